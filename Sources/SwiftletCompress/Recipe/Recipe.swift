// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletFiles

/// What to do to a model, in order.
///
///     steps:
///       - technique: lowrank
///         ratio: 0.5
///       - technique: quantize
///         calibrationImages: 512
public struct Recipe: Sendable, Codable, Equatable {
  public var steps: [CompressionStep]

  public init(_ steps: [CompressionStep]) { self.steps = steps }

  /// - Throws: `badInput` naming file, step and setting for anything that is not understood.
  public init(reading path: String) throws {
    self = try locating(path) {
      let bytes = try InputFile.read(path, limit: 1 << 20)
      return try Recipe(parsing: String(decoding: bytes, as: UTF8.self))
    }
  }

  /// Reads the content of a recipe file.
  ///
  /// - Throws: `badInput` naming step and setting for anything that is not understood.
  public init(parsing text: String) throws {
    let document = try YAML.parse(text)
    guard let root = document as? [String: Any], root.keys.allSatisfy({ $0 == "steps" }),
      let entries = root["steps"] as? [[String: Any]], !entries.isEmpty
    else {
      throw SwiftletError(
        .badInput, "a recipe has one key, 'steps', with a list of techniques",
        mend: "see 'swiftlet help techniques'")
    }
    steps = try entries.enumerated().map { index, entry in
      try locating("step \(index + 1)") { try CompressionStep(yaml: entry) }
    }
  }

  /// Techniques that share settings, as options of the command give them: each takes those that it
  /// has.
  ///
  /// `given` are settings by name.
  ///
  /// - Throws: `badInput` naming a setting that none of the techniques has, that does nothing, or
  ///   whose value will not do.
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
    try validate(spelling)
  }

  /// The steps, which know by which kernels the weights will be multiplied that a later `quantize`
  /// step makes.
  var timedSteps: [CompressionStep] {
    var (steps, bits) = (steps, Int?.none)
    for index in steps.indices.reversed() {
      bits = steps[index].settings.integerBits ?? bits
      steps[index].update { $0.expect(integerBits: bits) }
    }
    return steps
  }

  /// - Throws: `badInput` if there are no steps, or a setting is out of range.
  public func validate(_ spelling: SettingSpelling = .keys) throws {
    guard !steps.isEmpty else { throw SwiftletError(.badInput, "the recipe has no steps") }
    for step in steps { try step.validate(spelling) }
  }
}
