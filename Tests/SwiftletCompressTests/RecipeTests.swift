// SPDX-License-Identifier: Apache-2.0

import Foundation
import SwiftletCompress
import SwiftletCore
import SwiftletFiles
import Testing
import _SwiftletTestSupport

struct RecipeTests {
  /// Steps of earlier manifests had the settings of all techniques, most of them in groups.
  private func former(
    _ technique: String, common: [String: Any] = [:], decomposition: [String: Any] = [:],
    distillation: [String: Any] = [:], quantization: [String: Any] = [:]
  ) throws -> CompressionStep {
    var step: [String: Any] = [
      "technique": technique, "ratio": 0.5, "calibrationImages": 512, "width": 0.5, "epochs": 1,
      "learningRate": 0.001,
    ]
    step.merge(common) { $1 }
    step["decomposition"] = [
      "allocation": "budget", "cost": "milliseconds", "dataAware": true, "precision": "fp32",
    ].merging(decomposition) { $1 }
    step["distillation"] = [
      "adversarial": 0, "attention": 0, "batch": 128, "crop": 0, "depth": 1, "flip": false,
      "fresh": false, "hints": 0, "layers": [] as [String], "optimizer": "adam",
      "schedule": "cosine", "stretch": 1, "warmup": 0,
    ].merging(distillation) { $1 }
    step["quantization"] = [
      "activations": "u8", "bits": 8, "correctsBias": true, "equalizes": false,
      "keep": [] as [String], "mode": "static", "int4": [] as [String],
      "observer": "percentile", "percentile": 99.999, "powerOfTwo": false, "qatEpochs": 0,
      "qatLearningRate": 0.0002, "rounding": "nearest",
    ].merging(quantization) { $1 }
    return try JSONDecoder().decode(
      CompressionStep.self, from: try JSONSerialization.data(withJSONObject: step))
  }

  @Test(arguments: Technique.allCases)
  func formerDefaultsAreRead(technique: Technique) throws {
    #expect(try former(technique.rawValue) == CompressionStep(technique))
  }

  @Test func formerStepsAreRead() throws {
    let lowrank = try former(
      "lowrank", common: ["ratio": 0.3, "energy": 0.9],
      decomposition: [
        "methods": ["spatial"], "prunes": true, "batch": 4, "precision": "int8",
        "dataAware": false, "integerBits": 7,
      ], distillation: ["batch": 3])
    #expect(
      lowrank
        == .lowrank {
          ($0.ratio, $0.energy, $0.methods) = (0.3, 0.9, [.spatial, .prune])
          ($0.timingBatch, $0.timingPrecision, $0.dataAware) = (4, .int8, false)
        })
    let uniform = try former("prune", common: ["allocatesChannels": false, "width": 0.4])
    #expect(uniform == .prune { $0.width = 0.4 })
    let chosen = try former(
      "prune", common: ["allocatesChannels": true, "ratio": 0.4],
      decomposition: ["cost": "bytes", "precisions": ["fp32", "int8"]])
    #expect(
      chosen == .prune { ($0.ratio, $0.cost, $0.precisions) = (0.4, .bytes, [.fp32, .int8]) })
    let distill = try former(
      "distill", common: ["width": 0.3, "epochs": 4, "temperature": 2],
      decomposition: ["dataAware": false, "batch": 4],
      distillation: ["batch": 8, "restarts": 2, "student": "s.onnx"])
    #expect(
      distill
        == .distill {
          ($0.width, $0.epochs, $0.temperature, $0.dataAware) = (0.3, 4, 2, false)
          ($0.batch, $0.period, $0.student) = (8, 2, "s.onnx")
        })
    let quantize = try former(
      "quantize", quantization: ["equalizes": true, "correctsBias": false, "bf16": ["a"]])
    #expect(
      quantize
        == .quantize { ($0.equalize, $0.biasCorrection, $0.bf16) = (true, false, ["a"]) })
  }

  private func parse(_ text: String) throws -> Recipe {
    try withTemporaryFolder { folder in
      try AtomicFile.write(text, to: "\(folder)/recipe.yaml")
      return try Recipe(reading: "\(folder)/recipe.yaml")
    }
  }

  @Test func settingsAreRead() throws {
    let recipe = try parse(
      """
      steps:
        - technique: lowrank
          ratio: 0.25
        - {technique: distill, epochs: 2, temperature: 3, alpha: 1, learningRate: 1e-4}
        - technique: quantize
          calibrationImages: 64
        - {technique: prune, width: 0.25}
        - {technique: prune, ratio: 0.4, cost: bytes, allocation: greedy}
        - {technique: lowrank, methods: [prune, cp], precisions: [fp32, int8]}
      """)
    #expect(
      recipe.steps.map(\.technique) == [.lowrank, .distill, .quantize, .prune, .prune, .lowrank])
    #expect(
      recipe.steps == [
        .lowrank { $0.ratio = 0.25 },
        .distill {
          ($0.epochs, $0.temperature, $0.alpha, $0.learningRate) = (2, 3, 1, 1e-4)
        },
        .quantize { $0.calibrationImages = 64 },
        .prune { $0.width = 0.25 },
        .prune { ($0.ratio, $0.cost, $0.allocation) = (0.4, .bytes, .greedy) },
        .lowrank { ($0.methods, $0.precisions) = ([.prune, .cp], [.fp32, .int8]) },
      ])
  }

  @Test func settingsOfQuantizationAreRead() throws {
    let recipe = try parse(
      """
      steps:
        - technique: quantize
          mode: weightOnly
          bits: 4
          rounding: gptq
          groupSize: 64
          correctsBias: false
          keep: [conv1, fc2]
        - technique: quantize
          observer: percentile
          percentile: 99
          equalizes: true
          mixedDrop: 1
          mixedConfidence: 99%
      """)
    var settings = QuantizationSettings()
    (settings.mode, settings.bits, settings.rounding) = (.weightOnly, 4, .gptq)
    (settings.groupSize, settings.biasCorrection) = (64, false)
    settings.keep = ["conv1", "fc2"]
    #expect(recipe.steps[0][QuantizationSettings.self] == settings)
    settings = QuantizationSettings()
    (settings.percentile, settings.equalize) = (99, true)
    (settings.mixedDrop, settings.mixedConfidence) = (1, 0.99)
    #expect(recipe.steps[1][QuantizationSettings.self] == settings)
  }

  @Test(arguments: [
    ("steps: [{technique: quantize, bits: 5}]", "bits"),
    ("steps: [{technique: quantize, observer: best}]", "observer"),
    ("steps: [{technique: quantize, equalizes: 2}]", "equalize"),
    ("steps: [{technique: quantize, keep: conv1}]", "keep"),
    ("steps: [{technique: quantize, mode: dynamic, bits: 4}]", "dynamic"),
    ("steps: [{technique: quantize, mode: weightOnly, qatEpochs: 1}]", "static"),
    ("steps: [{technique: quantize, percentile: 101}]", "percentile"),
    ("steps: [{technique: quantize, mixedDrop: 1, bits: 4}]", "mixed"),
    ("", "steps"), ("steps: []", "steps"), ("steps: {a: 1}", "steps"), ("[1, 2]", "steps"),
    ("steps: [{ratio: 1}]", "technique"), ("steps: [{technique: magic}]", "magic"),
    ("steps: [{technique: svd, rank: 3}]", "rank"),
    ("steps: [{technique: svd, ratio: 7}]", "ratio"),
    ("steps: [{technique: svd, ratio: half}]", "ratio"),
    ("steps: [{technique: distill, epochs: 1.5}]", "epochs"),
    ("steps: [{technique: prune, ratio: 0.5, width: 0.5}]", "width"),
    ("steps: [{technique: prune, ratio: 0.5, allocation: evbmf}]", "evbmf"),
    ("steps: [{technique: eigen, methods: [prune, channel], allocation: ratio}]", "greedy"),
    ("steps: [{technique: eigen, methods: [prune]}]", "prune"),
    ("steps: [{technique: eigen, precisions: [fp32, fp16]}]", "fp16"),
    ("steps: [{technique: eigen, precisions: [fp32]}]", "precisions"),
    ("steps: [{technique: eigen, precisions: [fp32, int8], dataAware: false}]", "data"),
    ("steps: [{technique: eigen, precisions: [fp32, int8], allocation: energy}]", "energy"),
    ("steps: [{technique: eigen, methods: [prune, magic]}]", "magic"),
    ("steps: [{technique: svd}]\nmore: 1", "steps"), ("steps: [", "YAML"),
  ])
  func mistakesAreNamed(text: String, fragment: String) {
    let error = #expect(throws: SwiftletError.self) { try parse(text) }
    #expect(error?.code == .badInput)
    #expect(error?.description.contains(fragment) == true, "\(String(describing: error))")
  }
}

@Suite struct FormerNameTests {
  private func step(_ json: String) throws -> CompressionStep {
    try JSONDecoder().decode(CompressionStep.self, from: Data(json.utf8))
  }

  /// Manifests of earlier versions are made again with the settings that they were made with.
  @Test func manifestsMayHaveAliases() throws {
    for json in [
      #"{"technique": "quantize", "narrow": ["a"], "smooth": 0.5}"#,
      #"{"technique": "quantize", "narrow": ["b"], "int4": ["a"], "smoothing": 0.5}"#,
    ] {
      let settings = try step(json)[QuantizationSettings.self]
      #expect(settings?.int4 == ["a"] && settings?.smoothing == 0.5)
    }
  }

  @Test func everyAliasIsReadFromJSON() throws {
    for technique in Technique.allCases {
      let defaults = CompressionStep(technique).settings.values
      for setting in technique.settings {
        for alias in setting.aliases {
          guard let value = defaults[setting.name] else { continue }
          let data = try JSONEncoder().encode([alias: value])
          let text = String(decoding: data, as: UTF8.self).dropFirst().dropLast()
          #expect(throws: Never.self) {
            try step(#"{"technique": "\#(technique.rawValue)", \#(text)}"#)
          }
        }
      }
    }
  }
}
