// SPDX-License-Identifier: Apache-2.0

import Foundation
import SwiftletCompress
import SwiftletCore
import SwiftletTraining
import Testing

/// What follows from the declarations of settings: keys, options, ranges, errors and the reference.
struct SettingTests {
  /// Every declared key is taken by its techniques, and refused by all others, which say whose it
  /// is.
  @Test(arguments: Technique.allCases)
  func aTechniqueTakesItsOwnSettings(technique: Technique) throws {
    let own = Set(technique.settings.map(\.name))
    #expect(own.count == technique.settings.count)
    for setting in Technique.allCases.flatMap(\.settings) {
      // A value of no setting's type: what is taken is the key.
      let error = #expect(throws: SwiftletError.self) {
        try Recipe(
          parsing: "steps: [{technique: \(technique.rawValue), \(setting.name): {a: 1}}]")
      }
      let message = error?.what ?? ""
      // An alias in this technique, and a name in another one.
      if setting.name == "batch", message.hasPrefix("'timingBatch'") { continue }
      #expect(message.contains("'\(setting.name)'"), "\(message)")
      #expect(
        message.contains("\(technique.rawValue) has no setting ") == !own.contains(setting.name),
        "\(message)")
    }
  }

  /// One name is one kind of value, and one option, whatever the technique.
  @Test func namesMeanTheSameEverywhere() {
    var kinds: [String: SettingKind] = [:]
    var options: [String: String] = [:]
    for setting in Technique.allCases.flatMap(\.settings) {
      #expect(kinds.updateValue(setting.kind, forKey: setting.name) ?? setting.kind == setting.kind)
      let names = [setting.name] + setting.aliases + setting.shorthands.map(\.name)
      for name in names {
        let option = SettingDescription.option(name)
        let owner = options.updateValue(setting.name, forKey: option)
        #expect(owner ?? setting.name == setting.name, "\(option)")
      }
      #expect(!setting.help.isEmpty && !setting.help.hasSuffix("."), "\(setting.name)")
    }
    #expect(SettingDescription.option("qatLearningRate") == "--qat-learning-rate")
    #expect(SettingDescription.option("bf16") == "--bf16")
  }

  /// All defaults lie in their ranges, and what a step writes is what it reads.
  @Test(arguments: Technique.allCases)
  func stepsAreWrittenAndRead(technique: Technique) throws {
    let step = CompressionStep(technique)
    try step.validate()
    let data = try JSONEncoder().encode(step)
    #expect(try JSONDecoder().decode(CompressionStep.self, from: data) == step)
    let written = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
    let names = Set(technique.settings.map(\.name) + ["technique"])
    #expect(names.isSuperset(of: written.keys) && written.keys.contains("calibrationImages"))
  }

  private static let changed: [CompressionStep] = [
    .svd { ($0.ratio, $0.dataAware, $0.methods) = (0.25, false, [.prune, .channel]) },
    .lowrank { ($0.energy, $0.allocation, $0.timingBatch) = (0.9, .energy, 4) },
    .eigen { ($0.precisions, $0.timingPrecision) = ([.fp32, .int8], .int8) },
    .prune { ($0.ratio, $0.cost, $0.calibrationImages) = (1, .bytes, 7) },
    .quantize {
      ($0.mode, $0.groupSize, $0.bits, $0.keep) = (.weightOnly, 16, 4, ["a,b", "c"])
      ($0.smoothing, $0.calibrationState) = (1, "state.bin")
    },
    .distill {
      ($0.student, $0.learningRate, $0.schedule, $0.period) = ("s.onnx", 1e-4, .step, 2)
      ($0.layers, $0.flip, $0.temperature) = (["a:b"], true, 1)
    },
  ]

  @Test(arguments: changed.indices)
  func changedStepsAreWrittenAndRead(index: Int) throws {
    let step = Self.changed[index]
    let read = try JSONDecoder().decode(
      CompressionStep.self, from: try JSONEncoder().encode(step))
    #expect(read == step && read != CompressionStep(step.technique))
  }

  private static let refused: [(yaml: String, what: String, fix: String)] = [
    (
      "{technique: svd, bits: 4}", "svd has no setting 'bits' (it belongs to quantize)",
      "leave it out"
    ),
    ("{technique: quantize, ratio: 0.5}", "quantize has no setting 'ratio' (it belongs to svd", ""),
    ("{technique: lowrank, epochs: 2}", "lowrank has no setting 'epochs' (it belongs to d", ""),
    ("{technique: svd, lr: 2}", "svd has no setting 'lr' (it belongs to distill)", ""),
    ("{technique: eigen, width: 0.5}", "no setting 'width' (it belongs to prune, distill)", ""),
    ("{technique: svd, bit: 4}", "unknown setting 'bit'", "'bits', a setting of quantize"),
    ("{technique: distill, learningrate: 1}", "unknown setting", "did you mean 'learningRate'?"),
    ("{technique: distill, epoch: 1}", "unknown setting 'epoch'", "did you mean 'epochs'?"),
    (
      "{technique: prune, speed: 1}", "unknown setting 'speed'",
      "the settings of prune are ratio, width, "
    ),
    ("{technique: quantise}", "unknown technique 'quantise'", "did you mean 'quantize'?"),
    ("{technique: 3}", "unknown technique '3'", "use one of svd, lowrank, eigen, prune"),
    ("{ratio: 3}", "the step has no technique", "technique: NAME"),
    ("{technique: distill, lr: 1, learningRate: 2}", "'learningRate' is given twice", ""),
    ("{technique: lowrank, batch: 1, timingBatch: 2}", "'timingBatch' is given twice", ""),
    ("{technique: prune, cost: macs}", "'cost' does nothing in prune", "use ratio"),
    ("{technique: quantize, qatLearningRate: 1e-4}", "'qatLearningRate' does nothing", ""),
    ("{technique: distill, student: a.onnx, width: 0.5}", "'width' does nothing", ""),
    ("{technique: svd, methods: [tucker]}", "methods does nothing in svd", ""),
    (
      "{technique: svd, allocation: evbmf, ratio: 0.5}",
      "'ratio' does nothing with allocation evbmf", ""
    ),
    (
      "{technique: quantize, mode: weightOnly, calibrationImages: 8}",
      "'calibrationImages' does nothing in weight-only", "nothing to calibrate"
    ),
    (
      "{technique: quantize, mode: dynamic, biasCorrection: true}",
      "'biasCorrection' does nothing in dynamic", ""
    ),
    (
      "{technique: distill, alpha: 0, temperature: 3}", "'temperature' does nothing with alpha 0",
      ""
    ),
    (
      "{technique: quantize, groupSize: 3}", "'groupSize' does nothing in static quantization",
      "leave it out, as only weight-only quantization has groups"
    ),
    (
      "{technique: quantize, observer: mse, percentile: 99}",
      "'percentile' does nothing with observer mse", "leave one of them out"
    ),
    (
      "{technique: quantize, mode: weightOnly, observer: entropy}",
      "'observer' does nothing in weight-only quantization", "activation ranges"
    ),
    ("{technique: quantize, mode: weightOnly, smoothing: 0.5}", "'smoothing' does nothing in", ""),
    ("{technique: quantize, mode: weightOnly, equalize: true}", "'equalize' does nothing in w", ""),
    ("{technique: quantize, mode: dynamic, activations: s8}", "'activations' does nothing in", ""),
    ("{technique: quantize, mode: dynamic, rounding: gptq}", "'rounding' does nothing in dyn", ""),
    ("{technique: quantize, mode: dynamic, powerOfTwo: true}", "'powerOfTwo' does nothing in", ""),
    ("{technique: quantize, mode: dynamic, int4: [a]}", "'int4' does nothing in dynamic", "8 or 7"),
    (
      "{technique: quantize, mode: dynamic, calibrationState: a}", "'calibrationState' does not",
      "nothing is calibrated"
    ),
    ("{technique: quantize, qatEpochs: 0, qatLearningRate: 1}", "'qatLearningRate' does no", ""),
    (
      "{technique: lowrank, allocation: ratio, cost: macs}",
      "'cost' does nothing with allocation ratio", "use allocation budget or greedy"
    ),
    ("{technique: svd, energy: 0.9, cost: bytes}", "'cost' does nothing with allocation e", ""),
    (
      "{technique: eigen, energy: 0.9, allocation: evbmf}", "'allocation' does nothing with energy",
      ""
    ),
    (
      "{technique: lowrank, dataAware: false, precisions: [fp32, int8]}", "precisions needs data",
      "leave dataAware: false or precisions out"
    ),
    ("{technique: lowrank, methods: [channel, tuker]}", "'tuker' is not", "did you mean 'tucker'?"),
    ("{technique: svd, cost: mcas}", "'mcas' is not a value of 'cost'", "; did you mean 'macs'?"),
    ("{technique: svd, ratoi: 0.5}", "unknown setting 'ratoi'", "did you mean 'ratio'?"),
    ("{technique: sdv}", "unknown technique 'sdv'", "did you mean 'svd'?"),
    ("{technique: quantize, mixedDrop: 1, mixedConfidence: 100%}", "mixedConfidence 1 is not", ""),
    (
      "{technique: quantize, mixedDrop: 1, mixedConfidence: high}",
      "'mixedConfidence' is 'high', not a number, or a percentage such as 95%", ""
    ),
    ("{technique: quantize, mixedDrop: 1%}", "'mixedDrop' is '1%', not a number", ""),
    ("{technique: lowrank, methods: []}", "methods is empty", "channel, spatial, tucker, cp"),
    ("{technique: eigen, ratio: 0.5, energy: 0.5}", "ratio and energy exclude each other", ""),
    (
      "{technique: eigen, energy: 0.5, allocation: greedy}",
      "'energy' does nothing with allocation greedy", "leave allocation out"
    ),
    ("{technique: distill, restarts: 1, schedule: constant}", "period does nothing", ""),
    ("{technique: distill, stretch: 2}", "stretch does nothing without period", ""),
    ("{technique: distill, warmup: 3, epochs: 2}", "warmup 3 exceeds epochs 2", ""),
    (
      "{technique: distill, learningRate: 0}", "learningRate 0 is not between 1e-09 and 10", "0.001"
    ),
    ("{technique: distill, epochs: 0}", "epochs 0 is not between 1 and 10000", ""),
    ("{technique: quantize, bits: 5}", "bits 5 is not 8, 7 or 4", "use 8, 7 or 4"),
    (
      "{technique: quantize, mixedDrop: 1, mixedConfidence: 1}",
      "mixedConfidence 1 is not between 0.5 and below 1", ""
    ),
    ("{technique: quantize, mixedConfidence: 0.9}", "mixedConfidence does nothing without", ""),
    ("{technique: quantize, keep: [a], int4: [b, a]}", "both 'keep' and 'int4'", ""),
    ("{technique: quantize, bf16: [a], int4: [a]}", "both 'int4' and 'bf16'", ""),
    ("{technique: svd, ratio: half}", "'ratio' is 'half', not a number", ""),
    ("{technique: svd, ratio: .nan}", "ratio nan is not between", ""),
    ("{technique: distill, epochs: 1.5}", "'epochs' is 1.5, not a whole number", ""),
    ("{technique: distill, flip: 1}", "'flip' is 1, not true or false", ""),
    ("{technique: quantize, keep: conv}", "'keep' is 'conv', not a list of names", ""),
    ("{technique: quantize, keep: }", "'keep' is empty, not a list of names", ""),
    ("{technique: quantize, keep: [1, a]}", "'keep' is a list, not a list of names", ""),
    ("{technique: distill, student: [a]}", "'student' is a list, not a path", ""),
    ("{technique: quantize, observer: best}", "'best' is not a value of 'observer'", "percentile"),
    ("{technique: eigen, precisions: [fp16]}", "not a value of 'precisions'", "some of fp32"),
  ]

  @Test(arguments: refused.indices)
  func whatDoesNothingIsRefused(index: Int) throws {
    let (yaml, what, fix) = Self.refused[index]
    let error = #expect(throws: SwiftletError.self) { try Recipe(parsing: "steps: [\(yaml)]") }
    #expect(error?.code == .badInput)
    #expect(error?.what.contains(what) == true, "\(error?.description ?? "")")
    #expect(fix.isEmpty || error?.fix?.contains(fix) == true, "\(error?.description ?? "")")
  }

  /// What describes what happens anyway does nothing, and is no mistake.
  @Test(arguments: [
    "{technique: quantize, groupSize: 0}", "{technique: quantize, mode: weightOnly, groupSize: 32}",
    "{technique: quantize, mode: dynamic, rounding: nearest, powerOfTwo: false}",
    "{technique: quantize, mode: weightOnly, equalize: false, biasCorrection: false}",
    "{technique: quantize, mode: weightOnly, rounding: gptq, calibrationImages: 8}",
    "{technique: quantize, observer: percentile, percentile: 99}",
    "{technique: quantize, qatEpochs: 1, qatLearningRate: 1e-4}",
    "{technique: lowrank, allocation: greedy, cost: macs, timingBatch: 3}",
    "{technique: lowrank, allocation: ratio, ratio: 0.3}",
    "{technique: prune, ratio: 0.5, cost: bytes}",
  ])
  func whatIsReadOrHappensAnywayIsTaken(yaml: String) throws {
    #expect(try Recipe(parsing: "steps: [\(yaml)]").steps.count == 1)
  }

  /// Manifests list all settings, also those that did nothing.
  @Test func manifestsMayHoldIdleSettings() throws {
    let steps: [CompressionStep] = [
      .quantize { ($0.groupSize, $0.qatLearningRate) = (3, 1e-3) },
      .lowrank { ($0.allocation, $0.cost) = (.ratio, .macs) },
    ]
    for step in steps {
      let read = try JSONDecoder().decode(
        CompressionStep.self, from: try JSONEncoder().encode(step))
      try read.validate()
      #expect(read == step)
    }
  }

  @Test func fractionsMayBePercentages() throws {
    func parsed(_ text: String) -> SettingValue? { SettingKind.fraction.parse(text) }
    #expect(parsed("95%") == .number(0.95) && parsed("0.95") == .number(0.95))
    #expect(parsed("50%") == .number(0.5) && parsed("99.9%") == .number(0.999))
    #expect(parsed("%") == nil && parsed("x%") == nil && parsed("") == nil)
    #expect(SettingKind.number.parse("95%") == nil)
    for text in ["0.9", "90%", "'90%'"] {
      let yaml = "steps: [{technique: quantize, mixedDrop: 1, mixedConfidence: \(text)}]"
      let step = try Recipe(parsing: yaml).steps[0]
      #expect(step == .quantize { ($0.mixedDrop, $0.mixedConfidence) = (1, 0.9) }, "\(text)")
    }
  }

  @Test func goalsVaryTheStrengthOfSome() {
    #expect(Technique.allCases.filter(\.canVary) == [.svd, .lowrank, .eigen, .prune])
  }

  /// Names of earlier versions and of the command are read as well.
  @Test func aliasesAreRead() throws {
    let steps = try Recipe(
      parsing: """
        steps:
          - {technique: lowrank, calibrationSize: 9, batch: 4, precision: int8}
          - {technique: distill, lr: 0.01, restarts: 2, epochs: 4, hints: 1, layer: [a]}
          - {technique: quantize, equalizes: true, correctsBias: false, smooth: 0.5}
        """
    ).steps
    #expect(
      steps[0]
        == .lowrank {
          ($0.calibrationImages, $0.timingBatch, $0.timingPrecision) = (9, 4, .int8)
        })
    #expect(
      steps[1]
        == .distill {
          ($0.learningRate, $0.period, $0.epochs) = (0.01, 2, 4)
          ($0.hints, $0.layers) = (1, ["a"])
        })
    #expect(
      steps[2]
        == .quantize { ($0.equalize, $0.biasCorrection, $0.smoothing) = (true, false, 0.5) })
  }

  @Test func energyIsWhatCountsWhereItIsGiven() throws {
    let steps = try Recipe(parsing: "steps: [{technique: eigen, energy: 0.8}]").steps
    #expect(steps[0] == .eigen { ($0.energy, $0.allocation) = (0.8, .energy) })
  }

  /// The step is named, and what is wrong in it.
  @Test func theStepIsNamed() throws {
    let error = #expect(throws: SwiftletError.self) {
      try Recipe(parsing: "steps: [{technique: svd}, {technique: quantize, ratio: 0.5}]")
    }
    #expect(error?.location == "step 2")
    let range = #expect(throws: SwiftletError.self) {
      try Recipe(parsing: "steps: [{technique: svd}, {technique: svd, ratio: 5}]")
    }
    #expect(range?.location == "step 2, svd")
  }

  // MARK: Options

  private func shared(
    _ techniques: [Technique], _ given: [String: SettingValue]
  ) throws -> [CompressionStep] {
    try Recipe(techniques, sharing: given).steps
  }

  @Test func eachTechniqueOfSeveralTakesItsOwn() throws {
    let steps = try shared(
      [.lowrank, .distill, .quantize],
      [
        "ratio": .number(0.3), "bits": .whole(4), "epochs": .whole(2),
        "plainWeights": .truth(false),
      ]
    )
    #expect(
      steps == [
        .lowrank { $0.ratio = 0.3 }, .distill { $0.epochs = 2 }, .quantize { $0.bits = 4 },
      ])
    let student: [String: SettingValue] = ["student": .text("s.onnx"), "width": .number(0.4)]
    #expect(try shared([.prune, .distill], student)[0] == .prune { $0.width = 0.4 })
    // What makes two factors does not choose; ranks chosen one by one are not channels.
    let methods = try shared([.svd, .lowrank], ["methods": .names(["cp"])])
    #expect(methods == [CompressionStep(.svd), .lowrank { $0.methods = [.cp] }])
    let both: [String: SettingValue] = ["ratio": .number(0.3), "width": .number(0.4)]
    #expect(try shared([.eigen, .prune], both)[1] == .prune { $0.width = 0.4 })
    let ranks = try shared(
      [.eigen, .prune], ["ratio": .number(0.3), "allocation": .text("evbmf")])
    #expect(ranks[1][PruneSettings.self]?.ratio == nil)
    // One technique that reads a setting is enough.
    let width = try shared([.lowrank, .prune], ["cost": .text("macs"), "width": .number(0.4)])
    #expect(
      width == [
        .lowrank { $0.cost = .macs },
        .prune { ($0.cost, $0.width) = (.macs, 0.4) },
      ])
    let images = try shared(
      [.lowrank, .quantize], ["calibrationImages": .whole(8), "mode": .text("dynamic")])
    #expect(images[0] == .lowrank { $0.calibrationImages = 8 })
  }

  private static let idle: [([Technique], [String: SettingValue], String)] = [
    ([.svd], ["bits": .whole(4)], "svd has no setting '--bits' (it belongs to quantize)"),
    ([.svd, .prune], ["warmup": .whole(1)], "none of svd, prune has the setting '--warmup' (it "),
    ([.quantize], ["calibrationImages": .whole(0)], "--calibration-images 0 is not between"),
    (
      [.lowrank, .distill], ["width": .number(0.5)], "'--width' does nothing in distill after lowr"
    ),
    ([.prune, .distill], ["depth": .number(0.5)], "'--depth' does nothing in distill after prune"),
    ([.prune, .quantize], ["cost": .text("macs")], "'--cost' does nothing in prune"),
    ([.prune], ["ratio": .number(0.3), "width": .number(0.4)], "--ratio and --width exclude"),
    (
      [.prune], ["ratio": .number(0.3), "allocation": .text("ratio")], "--allocation 'ratio' can on"
    ),
    ([.quantize], ["qatLearningRate": .number(1)], "'--qat-learning-rate' does nothing"),
    ([.svd, .quantize], ["methods": .names(["cp"])], "--methods does nothing in svd"),
    ([.distill], ["warmup": .whole(9)], "--warmup 9 exceeds --epochs 1"),
    ([.quantize], ["keep": .names(["a"]), "bf16": .names(["a"])], "both '--keep' and '--bf16'"),
    ([.quantize], ["groupSize": .whole(3)], "'--group-size' does nothing in static quantization"),
    (
      [.lowrank], ["allocation": .text("ratio"), "cost": .text("macs")],
      "'--cost' does nothing with --allocation ratio"
    ),
    (
      [.eigen, .prune], ["allocation": .text("evbmf"), "cost": .text("macs")],
      "'--cost' does nothing with --allocation evbmf"
    ),
    ([.eigen], ["energy": .number(2)], "--energy 2 is not between 0.01 and 1"),
  ]

  @Test(arguments: idle.indices)
  func errorsNameOptions(index: Int) throws {
    let (techniques, given, what) = Self.idle[index]
    let error = #expect(throws: SwiftletError.self) { try shared(techniques, given) }
    #expect(error?.code == .badInput)
    #expect(error?.what.contains(what) == true, "\(error?.description ?? "")")
  }

  @Test func optionsTurnedOffAreSpelledSo() {
    let given: [String: SettingValue] = [
      "dataAware": .truth(false), "precisions": .names(["fp32", "int8"]),
    ]
    let error = #expect(throws: SwiftletError.self) { try shared([.lowrank], given) }
    #expect(error?.fix == "leave --no-data-aware or --precisions out")
  }

  // MARK: Reference

  @Test func theReferenceIsThatOfTheCode() throws {
    let path = URL(filePath: #filePath).appending(path: "../../../docs/settings.md")
    let text = try String(contentsOf: path.standardized, encoding: .utf8)
    #expect(
      text == SettingsReference.markdown, "run: swiftlet help settings > docs/settings.md")
    for setting in Technique.allCases.flatMap(\.settings) {
      #expect(text.contains("| `\(setting.name)` `\(setting.option)` |"))
    }
  }
}
