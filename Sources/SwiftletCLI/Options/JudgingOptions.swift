// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Swiftlet

/// Options for the data to judge a model on after training or calibration.
struct JudgingOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Train and calibrate with this fraction of the data, chosen at random, and judge on the "
        + "rest. Default: judge on the test part.",
      valueName: "fraction"))
  var split: Double?

  @Option(
    help: ArgumentHelp(
      "Other data to judge on; by default, its test part.",
      valueName: "spec"))
  var judge: String?

  func validate() throws {
    if split != nil && judge != nil { throw ValidationError("give either --split or --judge") }
  }

  /// Loads labelled images, split into parts; prints a remark if the split was not asked for.
  ///
  /// - Parameters:
  ///   - judgesWhole: See ``DataParts``.
  ///   - damaged: Leaves out damaged pictures.
  func parts(
    _ data: DataOptions<some DataScope>, seed: UInt64, judgesWhole: Bool = false,
    leavingOut damaged: DamagedPictures?
  ) throws -> DataParts {
    let judge = try judge.map { text in
      try DataSpec(parsing: text)
    }
    let parts = try DataParts(
      DataSpec(parsing: data.spec), split: split, judge: judge, seed: seed,
      dataDirectory: data.dataDir, judgesWhole: judgesWhole, leavingOut: damaged,
      progress: Console.progress)
    try parts.training.requireLabels()
    guard parts.validation.hasLabels else {
      throw SwiftletError(
        .badInput, "--data has labels, but the data to judge on have none",
        at: parts.validation.name, fix: "give --judge labelled data")
    }
    parts.training.sayClasses()
    if let remark = parts.remark { Console.say(remark) }
    if let warning = parts.warning { Console.warn(warning) }
    return parts
  }

  /// Samples to judge on without training; `nil`: a part of the data.
  func samples(
    _ data: DataOptions<some DataScope>, leavingOut damaged: DamagedPictures?,
    mayHaveLabels: Bool
  ) throws -> ImageDataset? {
    let samples = try DataSpec(parsing: data.spec).loadJudging(
      judge.map(DataSpec.init(parsing:)), split: split, dataDirectory: data.dataDir,
      leavingOut: damaged)
    guard let samples, samples.hasLabels, !mayHaveLabels else { return samples }
    throw SwiftletError(
      .badInput, "--data has no labels, but the data to judge on have", at: samples.name,
      fix: "add :unlabelled to the latter")
  }
}
