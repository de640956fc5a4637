import SwiftletCore
import SwiftletFormats

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
    let document = try YAML.parse(text)
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

  /// The steps, which know by which kernels the weights will be multiplied that a later `quantize` makes.
  var timedSteps: [CompressionStep] {
    var (steps, bits) = (steps, Int?.none)
    for index in steps.indices.reversed() {
      if steps[index].technique == .quantize { bits = steps[index].quantization.bits }
      steps[index].decomposition.integerBits = bits ?? steps[index].decomposition.integerBits
    }
    return steps
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
        .badInput, "'\(settings["technique"] ?? "")' is not a technique",
        mend: "use one of " + Technique.allCases.map(\.rawValue).joined(separator: ", "))
    }
    self.init(technique)
    let given = settings.keys.filter { $0 != "technique" }
    try StepSetting.check(given, for: [technique], spelling: .keys)
    for key in given.sorted() { try set(key, SettingValue(key, settings[key]!)) }
    if technique == .prune, settings["ratio"] != nil {
      guard settings["width"] == nil else {
        throw SwiftletError(
          .badInput, "ratio and width both say how many channels stay", at: technique.rawValue,
          mend: "give ratio to have a width chosen for each group, width to cut all alike")
      }
      allocatesChannels = true
    }
    try validate()
  }

  private mutating func set(_ key: String, _ value: SettingValue) throws {
    switch key {
    case "ratio": ratio = try value.number()
    case "energy": energy = try value.number()
    case "calibrationImages": calibrationImages = try value.whole()
    case "width": width = try value.number()
    case "epochs": epochs = try value.whole()
    case "learningRate": learningRate = try value.number()
    case "temperature": temperature = try value.number()
    case "alpha": alpha = try value.number()
    default:
      guard
        try technique == .distill && distillation.set(key, value) || decomposition.set(key, value)
          || quantization.set(key, value)
      else {
        throw SwiftletError(
          .badInput, "unknown setting '\(key)'",
          mend: "of \(technique.rawValue) there are "
            + StepSetting.all.filter { $0.techniques.contains(technique) }.map(\.key)
            .joined(separator: ", "))
      }
    }
  }
}

extension QuantizationSettings {
  /// - Returns: Whether there is such a setting.
  mutating func set(_ key: String, _ value: SettingValue) throws -> Bool {
    switch key {
    case "mode": mode = try value.choice()
    case "bits": bits = try value.whole()
    case "observer": observer = try value.choice()
    case "percentile": percentile = try value.number()
    case "activations": activations = try value.choice()
    case "powerOfTwo": powerOfTwo = try value.truth()
    case "groupSize": groupSize = try value.whole()
    case "rounding": rounding = try value.choice()
    case "equalizes": equalizes = try value.truth()
    case "correctsBias": correctsBias = try value.truth()
    case "smoothing": smoothing = try value.number()
    case "qatEpochs": qatEpochs = try value.whole()
    case "qatLearningRate": qatLearningRate = try value.number()
    case "keep": keep = try value.names()
    case "narrow": narrow = try value.names()
    case "bf16": bf16 = try value.names()
    case "plainWeights": plainWeights = try value.truth()
    case "mixedDrop": mixedDrop = try value.number()
    case "mixedConfidence": mixedConfidence = try value.number()
    case "calibrationState": calibrationState = try value.text()
    default: return false
    }
    return true
  }
}

/// What a recipe gives for a setting.
struct SettingValue {
  private let key: String
  private let value: Any

  init(_ key: String, _ value: Any) { (self.key, self.value) = (key, value) }

  private func wrong(_ kind: String) -> SwiftletError {
    SwiftletError(.badInput, "'\(key)' is \(Self.shown(value)), not \(kind)")
  }

  private static func shown(_ value: Any) -> String {
    switch value {
    case let text as String: "'\(text)'"
    case is [Any]: "a list"
    case is [String: Any]: "a list of settings"
    default: "\(value)"
    }
  }

  func number() throws -> Double {
    guard let number = (value as? Double) ?? (value as? Int).map(Double.init) else {
      throw wrong("a number")
    }
    return number
  }

  func whole() throws -> Int {
    guard let whole = try Int(exactly: number()) else { throw wrong("a whole number") }
    return whole
  }

  func truth() throws -> Bool {
    guard let truth = value as? Bool else { throw wrong("true or false") }
    return truth
  }

  func text() throws -> String {
    guard let text = value as? String else { throw wrong("text") }
    return text
  }

  func names() throws -> [String] {
    guard let names = value as? [String] else { throw wrong("a list of names") }
    return names
  }

  func choice<Choice: RawRepresentable & CaseIterable>() throws -> Choice
  where Choice.RawValue == String {
    guard let choice = Choice(rawValue: try text()) else {
      throw SwiftletError(
        .badInput, "'\(value)' is not a value of '\(key)'",
        mend: "use one of " + Choice.allCases.map(\.rawValue).joined(separator: ", "))
    }
    return choice
  }
}
