import SwiftletCore
import SwiftletFormats
import Yams

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
  public init(yaml path: String) throws {
    self = try locating(path) {
      let bytes = try InputFile.read(path, limit: 1 << 20)
      return try Recipe(parsing: String(decoding: bytes, as: UTF8.self))
    }
  }

  /// Reads the content of a recipe file.
  ///
  /// - Throws: `badInput` naming step and setting for anything that is not understood.
  public init(parsing text: String) throws {
    let document: Any?
    do { document = try Yams.load(yaml: text) } catch {
      throw SwiftletError(.badInput, "this is no YAML: \(error)")
    }
    guard let root = document as? [String: Any], root.keys.allSatisfy({ $0 == "steps" }),
      let entries = root["steps"] as? [[String: Any]], !entries.isEmpty
    else {
      throw SwiftletError(
        .badInput, "a recipe has one key, 'steps', with a list of techniques",
        mend: "see 'swiftlet compress --help'")
    }
    steps = try entries.enumerated().map { index, entry in
      try locating("step \(index + 1)") { try CompressionStep(settings: entry) }
    }
  }

  /// - Throws: `badInput` if there are no steps, or a setting is out of range.
  public func validate() throws {
    guard !steps.isEmpty else { throw SwiftletError(.badInput, "the recipe has no steps") }
    for step in steps { try step.validate() }
  }
}

extension CompressionStep {
  /// Reads settings by name; the names are those of the properties.
  init(settings: [String: Any]) throws {
    guard let name = settings["technique"] as? String, let technique = Technique(rawValue: name)
    else {
      throw SwiftletError(
        .badInput, "'\(settings["technique"] ?? "")' is no technique",
        mend: "use one of " + Technique.allCases.map(\.rawValue).joined(separator: ", "))
    }
    self.init(technique)
    for (key, value) in settings where key != "technique" {
      guard let number = (value as? Double) ?? (value as? Int).map(Double.init) else {
        throw SwiftletError(.badInput, "'\(key)' is no number")
      }
      try set(key, number)
    }
    try validate()
  }

  private mutating func set(_ key: String, _ number: Double) throws {
    switch key {
    case "ratio": ratio = number
    case "energy": energy = number
    case "calibrationImages": calibrationImages = try whole(key, number)
    case "width": width = number
    case "epochs": epochs = try whole(key, number)
    case "learningRate": learningRate = number
    case "temperature": temperature = number
    case "alpha": alpha = number
    default:
      throw SwiftletError(
        .badInput, "unknown setting '\(key)'",
        mend: "known are ratio, energy, calibrationImages, width, epochs, learningRate, "
          + "temperature, alpha")
    }
  }

  private func whole(_ key: String, _ number: Double) throws -> Int {
    guard let value = Int(exactly: number) else {
      throw SwiftletError(.badInput, "'\(key)' is no whole number")
    }
    return value
  }
}
