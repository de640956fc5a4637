import SwiftletCompress
import SwiftletCore
import Testing

/// Settings that do nothing where they are given, in recipes and on the command line.
struct StepSettingTests {
  /// Every key of the table is one that recipes take, for all of its techniques, and for no others.
  @Test(arguments: Technique.allCases)
  func theTableIsWhatRecipesTake(technique: Technique) throws {
    for setting in StepSetting.all {
      // A value of no setting's type: what is taken is the key.
      let error = #expect(throws: SwiftletError.self) {
        try Recipe(
          parsing: "steps: [{technique: \(technique.rawValue), \(setting.key): {a: 1}}]")
      }
      let others = StepSetting.all.filter { $0.key == setting.key }.flatMap(\.techniques)
      let isOurs = others.contains(technique)
      #expect(
        error?.what.contains("does nothing") == !isOurs
          || ["qatLearningRate"].contains(setting.key)
          || technique == .prune && error?.what.contains("cuts all groups") == true,
        "\(setting.key): \(error?.description ?? "")")
      #expect(error?.what.contains(setting.key) == true)
    }
  }

  private static let idle: [(yaml: String, what: String)] = [
    ("{technique: quantize, ratio: 0.5}", "'ratio' does nothing in quantize"),
    ("{technique: lowrank, epochs: 2}", "'epochs' does nothing in lowrank"),
    ("{technique: svd, bits: 4}", "'bits' does nothing in svd"),
    ("{technique: prune, energy: 0.9}", "'energy' does nothing in prune"),
    ("{technique: distill, ratio: 0.5}", "'ratio' does nothing in distill"),
    ("{technique: eigen, width: 0.5}", "'width' does nothing in eigen"),
    ("{technique: prune, cost: macs}", "'cost' does nothing in prune"),
    ("{technique: quantize, qatLearningRate: 1e-4}", "'qatLearningRate' does nothing"),
    ("{technique: distill, student: a.onnx, width: 0.5}", "'width' does nothing"),
    ("{technique: svd, methods: [tucker]}", "methods do nothing in svd"),
    ("{technique: distill, restarts: 1, schedule: constant}", "restarts do nothing"),
    ("{technique: distill, stretch: 2}", "stretch does nothing"),
    ("{technique: distill, warmup: 3, epochs: 2}", "warmup 3 is longer than all 2 epoch(s)"),
    ("{technique: distill, learningRate: 0}", "learningRate 0 is not between 1e-09 and 10"),
    ("{technique: quantize, keep: [a], narrow: [b, a]}", "named by both 'keep' and 'narrow'"),
    ("{technique: quantize, bf16: [a], narrow: [a]}", "named by both 'narrow' and 'bf16'"),
    ("{technique: svd, ratio: half}", "'ratio' is 'half', not a number"),
    ("{technique: distill, epochs: 1.5}", "'epochs' is 1.5, not a whole number"),
    ("{technique: distill, flip: 1}", "'flip' is 1, not true or false"),
    ("{technique: quantize, keep: conv}", "'keep' is 'conv', not a list of names"),
    ("{technique: quantize, observer: best}", "'best' is not a value of 'observer'"),
    ("{technique: quantize, speed: 1}", "unknown setting 'speed'"),
  ]

  @Test(arguments: idle.indices)
  func whatDoesNothingIsRefused(index: Int) throws {
    let (yaml, what) = Self.idle[index]
    let error = #expect(throws: SwiftletError.self) { try Recipe(parsing: "steps: [\(yaml)]") }
    #expect(error?.code == .badInput)
    #expect(error?.what.contains(what) == true, "\(error?.description ?? "")")
  }

  /// Who reads a setting is said, and which step it is.
  @Test func theReadersAreNamed() throws {
    let error = #expect(throws: SwiftletError.self) {
      try Recipe(parsing: "steps: [{technique: svd}, {technique: quantize, ratio: 0.5}]")
    }
    #expect(error?.location == "step 2")
    #expect(error?.mend == "it is for svd, lowrank, eigen, prune")
  }

  @Test func whatOneTechniqueOfSeveralReadsIsTaken() throws {
    try StepSetting.check(
      ["--ratio", "--bits", "--epochs"], for: [.lowrank, .distill, .quantize], spelling: .options)
    try StepSetting.check(["--width", "--batch"], for: [.prune, .distill], spelling: .options)
    try StepSetting.check(["--ratio", "--cost"], for: [.prune], spelling: .options)
    try StepSetting.check(["--student", "--width"], for: [.prune, .distill], spelling: .options)
    let error = #expect(throws: SwiftletError.self) {
      try StepSetting.check(["--width"], for: [.lowrank, .distill], spelling: .options)
    }
    #expect(error?.what == "'--width' does nothing in distill after lowrank")
  }

  @Test func errorsOfTheCommandNameItsOptions() {
    let error = StepSetting.spelledAsOptions(
      SwiftletError(
        .badInput, "calibrationImages 0 is not between 1 and 1e7", at: "quantize",
        mend: "leave mode, bits and qatEpochs out"))
    #expect(error.what == "--calibration-size 0 is not between 1 and 1e7")
    #expect(error.mend == "leave mode, --bits and --qat-epochs out")
    let plain = SwiftletError(.badInput, "the ratio and the epochs", mend: "try 0.5 of the labels")
    #expect(StepSetting.spelledAsOptions(plain) == plain)
  }
}
