// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Swiftlet

/// How images become a model's input, as given: the name of a scaling, or a file.
enum PreprocessArgument: ExpressibleByArgument {
  case scaling(Preprocessing.Scaling)
  case file(String)

  init?(argument: String) {
    self = Preprocessing.Scaling(rawValue: argument).map(Self.scaling) ?? .file(argument)
  }
}

/// Options for image preprocessing.
struct PreprocessOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Pixel scaling: imagenet, half, unit, raw or caffe; or a file. See 'swiftlet help data'. "
        + "Default: from the model's metadata, else a guess.",
      valueName: "scaling|file"), completion: .file())
  var preprocess: PreprocessArgument?

  /// Advice appended to the warning that a model is no better than guessing.
  static let advice = "; --preprocess changes how pixels are scaled"

  /// The file, if it is one.
  var file: String? {
    if case .file(let path) = preprocess { path } else { nil }
  }

  func validate() throws {
    guard let path = file, !InputFile.exists(path) else { return }
    let words = Preprocessing.Scaling.allCases.map(\.rawValue)
    let hint =
      Nearest.word(to: path, among: words).map { "did you mean '\($0)'?" }
      ?? "give \(words.joined(separator: ", ")) or a file"
    throw ValidationError("--preprocess: there is no scaling and no file '\(path)': \(hint)")
  }

  /// Stores the preprocessing in the model, or prints what is guessed. Arrays have none.
  ///
  /// - Parameters:
  ///   - path: The model's file.
  ///   - others: Models that it is compared with. Without an option or metadata of its own it takes
  ///     the preprocessing of the first that has one.
  ///   - overrides: Whether the option takes precedence over the model's own metadata.
  func prepare(
    _ graph: inout Graph, _ path: String, for images: ImageDataset,
    like others: [(path: String, graph: Graph)] = [], overrides: Bool = true
  ) throws {
    if case .arrays = images.pixels {
      guard preprocess == nil else {
        throw SwiftletError(
          .unsupported, "arrays are fed to the model as they are", at: images.name,
          fix: "leave --preprocess out")
      }
      return
    }
    let isStored = Preprocessing.isStored(in: graph)
    switch preprocess {
    case .scaling(let scaling) where overrides || !isStored:
      try Preprocessing(for: graph, images: images, scaling: scaling).store(in: &graph)
    case .file(let path) where overrides || !isStored:
      try Preprocessing(reading: path, for: graph, images: images).store(in: &graph)
    case nil where !isStored:
      if let source = others.first(where: {
        Preprocessing.adopt(from: $0.graph, into: &graph, images: images)
      }) {
        return Console.say(
          "\(path) has no preprocessing of its own: it gets the pixels of \(source.path); "
            + "--preprocess changes it")
      }
      let summary = try Preprocessing.stored(in: graph, images: images).summary
      Console.say(
        "guessed preprocessing, as \(path) has none: \(summary); --preprocess changes it")
    case .scaling, .file, nil: break
    }
  }
}
