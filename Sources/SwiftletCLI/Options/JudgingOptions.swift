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
  /// - Parameter judgesWhole: See ``DataParts``.
  func parts(
    _ data: DataOptions<some DataScope>, seed: UInt64, judgesWhole: Bool = false
  ) throws -> DataParts {
    let judge = try judge.map { text in
      try DataSpec(parsing: text)
    }
    let parts = try DataParts(
      DataSpec(parsing: data.spec), split: split, judge: judge, seed: seed,
      dataDirectory: data.dataDir, judgesWhole: judgesWhole)
    guard parts.validation.hasLabels else {
      throw SwiftletError(
        .badInput, "--data has labels, but the data to judge on have none",
        at: parts.validation.name, fix: "give --judge labelled data")
    }
    if let remark = parts.remark { Console.say(remark) }
    if let warning = parts.warning { Console.warn(warning) }
    return parts
  }

  /// Samples to judge on without labels; `nil`: a part of the data.
  ///
  /// - Parameter ignoringLabels: Whether the data may have labels.
  func samples(ignoringLabels: Bool) throws -> ImageDataset? {
    guard let judge else { return nil }
    let samples = try DataSpec(parsing: judge).load(defaultPart: .test)
    guard ignoringLabels || !samples.hasLabels else {
      throw SwiftletError(
        .badInput, "--data has no labels, but --judge has", at: judge,
        fix: "give data without labels, such as inputs:FILE.npz")
    }
    return samples
  }
}
