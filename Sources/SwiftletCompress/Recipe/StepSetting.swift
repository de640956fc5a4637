public import SwiftletCore

/// A setting of a step: what recipes and the command line call it, and the techniques that read it.
public struct StepSetting: Sendable {
  /// The name in recipes.
  public let key: String
  /// The name on the command line.
  public let option: String
  public let techniques: [Technique]

  private init(_ key: String, _ option: String, _ techniques: [Technique]) {
    (self.key, self.option, self.techniques) = (key, option, techniques)
  }

  /// The settings that are known; the one place that says who reads what.
  public static let all: [StepSetting] = {
    let factoring: [Technique] = [.svd, .lowrank, .eigen]
    let sized = factoring + [.prune]
    func of(_ techniques: [Technique], _ names: [(key: String, option: String)]) -> [StepSetting] {
      names.map { StepSetting($0.key, $0.option, techniques) }
    }
    return of(sized, [("ratio", "--ratio")]) + of(factoring, [("energy", "--energy")])
      + of(Technique.allCases, [("calibrationImages", "--calibration-size")])
      + of([.prune, .distill], [("width", "--width")])
      + of(sized + [.distill], [("dataAware", "--plain")])
      + of(
        sized,
        [
          ("methods", "--methods"), ("allocation", "--allocation"), ("cost", "--cost"),
          ("batch", "--timing-batch"), ("precision", "--timing-precision"),
          ("precisions", "--precisions"),
        ])
      + of(
        [.distill],
        [
          ("epochs", "--epochs"), ("learningRate", "--lr"), ("temperature", "--temperature"),
          ("alpha", "--alpha"), ("student", "--student"), ("depth", "--depth"),
          ("fresh", "--fresh"), ("hints", "--hints"), ("attention", "--attention"),
          ("adversarial", "--adversarial"), ("layers", "--layer"), ("labels", "--labels"),
          ("annealRanks", "--anneal-ranks"), ("batch", "--batch"), ("optimizer", "--optimizer"),
          ("weightDecay", "--weight-decay"), ("schedule", "--schedule"), ("warmup", "--warmup"),
          ("restarts", "--restarts"), ("stretch", "--stretch"), ("crop", "--crop"),
          ("flip", "--flip"), ("teacherCache", "--teacher-cache"),
        ])
      + of(
        [.quantize],
        [
          ("mode", "--weight-only and --dynamic"), ("bits", "--bits"), ("observer", "--observer"),
          ("percentile", "--percentile"), ("activations", "--activations"),
          ("powerOfTwo", "--power-of-two"), ("groupSize", "--group-size"),
          ("rounding", "--rounding"), ("equalizes", "--equalize"),
          ("correctsBias", "--bias-correction"), ("smoothing", "--smooth"),
          ("qatEpochs", "--qat-epochs"), ("qatLearningRate", "--qat-lr"), ("keep", "--keep"),
          ("narrow", "--narrow"), ("bf16", "--bf16"), ("mixedDrop", "--mixed"),
          ("mixedConfidence", "--confidence"),
          ("plainWeights", "--plain-weights"), ("calibrationState", "--calibration-state"),
        ])
  }()

  /// How an interface calls settings.
  public enum Spelling: Sendable {
    case keys, options

    func name(_ setting: StepSetting) -> String { self == .keys ? setting.key : setting.option }
  }

  /// Refuses settings that were given and that none of the techniques looks at, as they are or with the others.
  ///
  /// `given` holds names in the given spelling; unknown ones are nobody's here.
  ///
  /// - Throws: `badInput` naming the setting, and whom it is for.
  public static func check(
    _ given: [String], for techniques: [Technique], spelling: Spelling
  ) throws {
    let given = given.sorted()
    for name in given {
      let meant = all.filter { spelling.name($0) == name }
      guard !meant.isEmpty else { continue }
      let readers = meant.flatMap(\.techniques)
      guard Set(readers).isDisjoint(with: techniques) else { continue }
      throw idle(
        name, "in " + techniques.map(\.rawValue).joined(separator: ", "),
        "it is for " + readers.map(\.rawValue).joined(separator: ", "))
    }
    func has(_ key: String) -> String? {
      all.first { $0.key == key && given.contains(spelling.name($0)) }.map(spelling.name)
    }
    if let width = has("width"), has("student") != nil, !techniques.contains(.prune) {
      throw idle(width, "with a student of one's own", "the student is trained as it is")
    }
    if let first = techniques.first, first != .distill, techniques.contains(.distill),
      let name = has("depth") ?? has("fresh")
        ?? (techniques.contains(.prune) ? nil : has("width"))
    {
      throw idle(
        name, "in distill after \(first.rawValue)",
        "what the techniques before it have made learns as it is")
    }
    if let rate = has("qatLearningRate"), has("qatEpochs") == nil {
      throw idle(rate, "without training", "add \(name("qatEpochs", spelling)), 1 or 2")
    }
    let ranks = ["allocation", "cost", "batch", "precision", "precisions", "methods"]
    if techniques.allSatisfy({ $0 == .prune || $0 == .distill || $0 == .quantize }),
      techniques.contains(.prune), has("ratio") == nil,
      let name = ranks.lazy.compactMap({ has($0) }).first(where: { $0 != "--batch" }),
      spelling == .options || !techniques.contains(.distill)
    {
      throw idle(
        name, "in prune, which cuts all groups of channels alike",
        "give \(self.name("ratio", spelling)) to have it choose")
    }
  }

  private static func name(_ key: String, _ spelling: Spelling) -> String {
    all.first { $0.key == key }.map(spelling.name) ?? key
  }

  private static func idle(_ name: String, _ place: String, _ mend: String) -> SwiftletError {
    SwiftletError(.badInput, "'\(name)' does nothing \(place)", mend: mend)
  }

  /// The same error with settings named as on the command line.
  public static func spelledAsOptions(_ error: SwiftletError) -> SwiftletError {
    func renamed(_ text: String, _ isNamed: (_ word: String, _ isFirst: Bool) -> Bool) -> String {
      var isFirst = true
      var before = ""
      return text.split(separator: " ", omittingEmptySubsequences: false).map { part in
        let word = part.trimming { ",:;'".contains($0) }
        defer { (isFirst, before) = (false, word) }
        let isQuoted = part.hasPrefix("'") && before != "layer"
        guard isQuoted || isNamed(word, isFirst), let option = option(of: word) else {
          return String(part)
        }
        return String(part.replacing(word, with: option))
      }.joined(separator: " ")
    }
    // Plain words are settings where a sentence begins with them, or says what to leave out.
    func isCamel(_ word: String) -> Bool { word.contains { $0.isUppercase } }
    return SwiftletError(
      error.code, renamed(error.what) { isCamel($0) || $1 }, at: error.location,
      mend: error.mend.map { mend in
        let leavesOut = mend.hasPrefix("leave ")
        return renamed(mend) { word, isFirst in isCamel(word) || leavesOut && !isFirst }
      })
  }

  private static func option(of key: String) -> String? {
    switch key {
    case "weightOnly": "--weight-only"
    case "mode": nil
    // Of distill, unless only layers are timed.
    case "batch": "--batch"
    default: all.first { $0.key == key }?.option
    }
  }
}

extension Substring {
  fileprivate func trimming(_ isEdge: (Character) -> Bool) -> String {
    var rest = self
    while let first = rest.first, isEdge(first) { rest = rest.dropFirst() }
    while let last = rest.last, isEdge(last) { rest = rest.dropLast() }
    return String(rest)
  }
}
