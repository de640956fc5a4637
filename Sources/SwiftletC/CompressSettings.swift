// SPDX-License-Identifier: Apache-2.0

internal import CSwiftletABI
import SwiftletCompress
import SwiftletCore
import SwiftletGraph

/// The validated `swiftlet_compress_options`, and the recipe.
struct CompressSettings {
  var threads = Threads.available
  var seed: UInt64 = 0
  let source: DataSettings
  var goals = Goals()
  /// What to apply.
  let recipe: Recipe
  /// Whether the recipe is a preset's, some of whose steps may be left out.
  let isPreset: Bool
  var judge: GivenData?
  var split: Double?
  var preprocess: String?
  var outputs: [String] = []
  /// `nil`: as the data suggest.
  let metric: Metric?
  /// Where to write the HTML report.
  var report: String?

  /// The size of the struct's first version, which ended with `max_drop`.
  private static let firstSize = 40

  init(
    _ recipe: UnsafePointer<CChar>?, _ options: swiftlet_compress_options, _ callbacks: Callbacks
  ) throws {
    func text(_ pointer: UnsafePointer<CChar>?, _ name: String) throws -> String? {
      try unsafe pointer.map { try unsafe Arguments.text($0, "options.\(name)") }
    }
    threads = try unsafe Arguments.threads(options.threads)
    seed = unsafe options.seed
    source = try unsafe DataSettings(
      dataDirectory: options.data_directory, skipDamaged: options.skip_damaged,
      loaderMemory: options.loader_memory, extents: options.extents,
      extentCount: options.extent_count, threads: threads, callbacks)
    goals = try unsafe Self.goals(options, text)
    let split = unsafe options.split
    guard split == 0 || (0..<1) ~= split else {
      throw Refusal.usage("options.split is \(split)", fix: "use a fraction below 1, such as 0.8")
    }
    self.split = split == 0 ? nil : split
    judge = try unsafe GivenData.read(
      options.judge, options.judge_samples, ("options.judge", "options.judge_samples"), callbacks)
    guard judge == nil || self.split == nil else {
      throw Refusal.usage("options.split and other data to judge on are given", fix: "give one")
    }
    preprocess = try unsafe text(options.preprocess, "preprocess")
    outputs = try unsafe Arguments.texts(options.outputs, options.output_count, "options.outputs")
    report = try unsafe text(options.report, "report")
    metric = try unsafe Metric.read(options.metric, options.own_metric, callbacks)

    let yaml = try unsafe recipe.map { try unsafe Arguments.text($0, "recipe") }
    let technique = try unsafe text(options.technique, "technique")
    let preset = try unsafe text(options.preset, "preset")
    let settings = try unsafe text(options.settings, "settings") ?? ""
    (self.recipe, isPreset) = try Self.recipe(yaml, technique, preset, settings, goals)
  }

  /// Whether data serve as images of classes: as in the command line.
  func countsClasses(of model: Graph, _ data: GivenData) throws -> Bool {
    guard try data.hasLabels() else { return false }
    return recipe.steps.contains(where: \.trains)
      || data.fixed.isEmpty && outputs.count < 2
        && (metric ?? .top1).countsClasses(of: [model])
  }

  /// The struct with what a program knows of it; all defaults for NULL.
  static func read(
    _ options: UnsafePointer<swiftlet_compress_options>?
  ) throws -> swiftlet_compress_options {
    try unsafe Options.read(options, "options", first: firstSize) ?? swiftlet_compress_options()
  }

  private static func goals(
    _ options: swiftlet_compress_options,
    _ text: (UnsafePointer<CChar>?, String) throws -> String?
  ) throws -> Goals {
    func bound(_ pointer: UnsafePointer<CChar>?, _ name: String) throws -> Goals.Bound? {
      try unsafe text(pointer, name).map { text in
        guard let bound = Goals.Bound(parsing: text) else {
          throw Refusal.usage(
            "options.\(name) is '\(text)'", fix: "use a number above 0, such as 200k or 50%")
        }
        return bound
      }
    }
    let (drop, relative) = unsafe (options.max_drop, options.max_relative_drop)
    let confidence = unsafe options.confidence
    for (value, name) in [(drop, "max_drop"), (relative, "max_relative_drop")] {
      guard value >= 0, value.isFinite else {
        throw Refusal.usage("options.\(name) is \(value)", fix: "use 0 or more")
      }
    }
    guard drop == 0 || relative == 0 else {
      throw Refusal.usage("options.max_drop and max_relative_drop are given", fix: "give one")
    }
    let maxDrop: Goals.Drop? =
      relative > 0 ? .relative(relative) : drop > 0 ? .absolute(drop) : nil
    guard confidence == 0 || 0.5..<1 ~= confidence else {
      throw Refusal.usage("options.confidence is \(confidence)", fix: "use 0.5 to below 1")
    }
    return try unsafe Goals(
      maxDrop: maxDrop, confidence: maxDrop == nil || confidence == 0 ? nil : confidence,
      size: bound(options.target_size, "target_size"),
      macs: bound(options.target_macs, "target_macs"),
      latency: bound(options.target_latency, "target_latency"))
  }

  /// What to apply: exactly one of the three says it.
  private static func recipe(
    _ yaml: String?, _ technique: String?, _ preset: String?, _ settings: String, _ goals: Goals
  ) throws -> (Recipe, isPreset: Bool) {
    guard [yaml, technique, preset].count(where: { $0 != nil }) == 1 else {
      throw Refusal.usage(
        yaml == nil && technique == nil && preset == nil
          ? "recipe is NULL" : "several of recipe, options.technique and options.preset are given",
        fix: "give one of recipe, options.technique and options.preset")
    }
    if let yaml {
      guard settings.isEmpty else {
        throw Refusal.usage("options.settings are given with a recipe", fix: "put them into it")
      }
      return (try Recipe(parsing: yaml), false)
    }
    if let preset {
      guard let known = Preset(rawValue: preset) else {
        throw SwiftletError(
          .badInput, "unknown preset '\(preset)'",
          fix: "use one of \(Preset.allCases.map(\.rawValue).joined(separator: ", "))")
      }
      let given = try Recipe.settings(
        parsing: settings, of: known.recipe.steps.map(\.technique))
      if let other = given.keys.sorted().first(where: { $0 != "calibrationImages" }) {
        throw SwiftletError(
          .badInput, "presets have no setting '\(other)'", fix: "name techniques, or leave it out")
      }
      return (try known.recipe(given["calibrationImages"]), true)
    }
    let names = (technique ?? "").split(separator: ",", omittingEmptySubsequences: false)
    let techniques = try names.map { try Technique(named: String($0)) }
    return (
      try Recipe(
        techniques, sharing: Recipe.settings(parsing: settings, of: techniques),
        maxDrop: goals.maxDrop, confidence: goals.confidence, spelling: .keys), false
    )
  }
}
