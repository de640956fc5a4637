// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletFiles
import SwiftletFormats

/// The steps of a compression, in order. In YAML:
///
///     steps:
///       - technique: lowrank
///         ratio: 0.5
///       - technique: quantize
///         calibrationImages: 512
public struct Recipe: Sendable, Codable, Equatable {
  /// The steps, in order of application.
  public var steps: [CompressionStep]

  /// A recipe of the given steps, which are not checked; see ``validate(_:)``.
  public init(_ steps: [CompressionStep]) { self.steps = steps }

  /// Reads a recipe from a YAML file.
  ///
  /// - Throws: `badInput` naming the file, step and setting that is wrong.
  public init(reading path: String) throws {
    self = try locating(path) {
      let bytes = try InputFile.read(path, limit: 1 << 20)
      return try Recipe(parsing: String(decoding: bytes, as: UTF8.self))
    }
  }

  /// Parses the content of a recipe file.
  ///
  /// - Throws: `badInput` naming the step and setting that is wrong.
  public init(parsing text: String) throws {
    let document = try YAML.parse(text)
    guard let root = document as? [String: Any], root.keys.allSatisfy({ $0 == "steps" }),
      let entries = root["steps"] as? [[String: Any]], !entries.isEmpty
    else {
      throw SwiftletError(
        .badInput, "a recipe needs the single key 'steps' with a list of techniques",
        fix: "see 'swiftlet help techniques'")
    }
    steps = try entries.enumerated().map { index, entry in
      try locating("step \(index + 1)") { try CompressionStep(yaml: entry) }
    }
  }

  /// A recipe of techniques that share settings, as given by command-line options: each technique
  /// takes the settings it has.
  ///
  /// - Parameters:
  ///   - techniques: The techniques, in order of application.
  ///   - given: The settings, by name.
  ///   - spelling: How errors spell names of settings.
  ///
  /// - Throws: `badInput` naming a setting that no technique has, that has no effect, or whose
  ///   value is invalid.
  public init(
    _ techniques: [Technique], sharing given: [String: SettingValue],
    spelling: SettingSpelling = .options
  ) throws {
    func has(_ technique: Technique, _ name: String) -> Bool {
      technique.settings.contains { $0.name == name }
    }
    for name in given.keys.sorted() where !techniques.contains(where: { has($0, name) }) {
      throw Technique.unknown(name, of: techniques, spelling)
    }
    steps = try techniques.enumerated().map { index, technique in
      var others = techniques
      others.remove(at: index)
      return try CompressionStep(
        technique, given.filter { has(technique, $0.key) }, others: others,
        before: index > 0 ? techniques[index - 1] : nil, spelling)
    }
    try CompressionStep.refuseIdle(given.keys.sorted(), in: steps, spelling)
    try validate(spelling)
  }

  /// The steps, each told how many bits a later `quantize` step will use, so that it times layers
  /// with the right kernels.
  var timedSteps: [CompressionStep] {
    var (steps, bits) = (steps, Int?.none)
    for index in steps.indices.reversed() {
      bits = steps[index].settings.integerBits ?? bits
      steps[index].update { $0.expect(integerBits: bits) }
    }
    return steps
  }

  /// Checks all settings, and the order of steps.
  ///
  /// - Parameter spelling: How errors spell names of settings.
  /// - Throws: `badInput` if there are no steps, a setting is out of range, or settings conflict;
  ///   `unsupported` if a step that needs floating-point weights follows one that leaves integers.
  public func validate(_ spelling: SettingSpelling = .keys) throws {
    guard !steps.isEmpty else { throw SwiftletError(.badInput, "the recipe has no steps") }
    var rounding: Technique?
    for step in steps {
      try step.validate(spelling)
      if let rounding, !step.settings.takesIntegers {
        throw SwiftletError(
          .unsupported,
          "\(step.technique.rawValue) cannot follow \(rounding.rawValue), which turns weights into "
            + "integers", fix: "put \(rounding.rawValue) last")
      }
      if step.settings.integerBits != nil { rounding = step.technique }
    }
  }
}
