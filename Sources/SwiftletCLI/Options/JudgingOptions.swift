// SPDX-License-Identifier: Apache-2.0

public import ArgumentParser
public import Swiftlet

/// What a model is judged on that was trained or calibrated with other data.
struct JudgingOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Train and calibrate with this fraction of the data, chosen at random, and judge on the rest. Default: judge on the test part.",
      valueName: "fraction"))
  var split: Double?

  @Option(
    help: ArgumentHelp(
      "Other data to judge on; without :train, their test part.",
      valueName: "spec"))
  var judge: String?

  func validate() throws {
    if split != nil && judge != nil { throw ValidationError("give either --split or --judge") }
  }

  /// Labelled images divided, which is said where it was not asked for.
  ///
  /// - Parameter judgesWhole: As of ``DataParts``.
  func parts(_ data: DataOptions, seed: UInt64, judgesWhole: Bool = false) throws -> DataParts {
    let judge = try judge.map { text in
      guard !text.hasPrefix("inputs:") else {
        throw SwiftletError(
          .badInput, "there are labels in --data, and none in --judge", at: text,
          mend: "give labelled images, or --data inputs:FILE.npz")
      }
      return try DataSpec(parsing: text)
    }
    let parts = try DataParts(
      DataSpec(parsing: data.spec), split: split, judge: judge, seed: seed,
      dataDirectory: data.dataDir, judgesWhole: judgesWhole)
    if let remark = parts.remark { Console.say(remark) }
    if let warning = parts.warning { Console.warn(warning) }
    return parts
  }

  /// Inputs without labels to judge on; `nil`: some of the data.
  func unlabelledInputs() throws -> [String: AnyTensor]? {
    guard let judge else { return nil }
    var options = DataOptions()
    options.data = judge
    guard let inputs = try options.unlabelledInputs() else {
      throw SwiftletError(
        .badInput, "there are no labels in --data, and --judge is of labelled images", at: judge,
        mend: "give inputs:FILE.npz")
    }
    return inputs
  }
}

/// How images become what a model takes.
struct PreprocessOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "How pixels are scaled: imagenet, half (-1...1), unit (0...1) or raw (0...255). Default: as the model's metadata say, else a guess.",
      valueName: "way"))
  var preprocess: Preprocessing.Scaling?

  /// What follows a warning that a model only guesses.
  static let advice = "; --preprocess changes how pixels are scaled"

  /// Writes the way into the model, or says what is guessed.
  ///
  /// - Parameter overrides: Whether what the model itself says counts less.
  func prepare(_ graph: inout Graph, for images: ImageDataset, overrides: Bool = true) throws {
    let isStored = Preprocessing.isStored(in: graph)
    if let preprocess, overrides || !isStored {
      try Preprocessing(for: graph, images: images, scaling: preprocess).store(in: &graph)
    } else if !isStored {
      let summary = try Preprocessing.stored(in: graph, images: images).summary
      Console.say(
        "images become \(summary): a guess, the model does not say; --preprocess changes it")
    }
  }
}

extension Preprocessing.Scaling: ExpressibleByArgument {}
