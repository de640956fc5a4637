// SPDX-License-Identifier: Apache-2.0

internal import CSwiftletABI
import SwiftletCore
import SwiftletData
import SwiftletFiles
import SwiftletGraph

/// The data of a call: named as for `--data`, or samples of the program.
enum GivenData {
  case named(DataSpec)
  case own(Samples)

  /// - Parameters:
  ///   - text: The data as text.
  ///   - samples: Samples of the program.
  ///   - names: The names of both arguments, for errors.
  /// - Returns: `nil` if both are NULL.
  /// - Throws: A ``Refusal`` if both are given; the errors of ``DataSpec`` and ``Samples``.
  static func read(
    _ text: UnsafePointer<CChar>?, _ samples: UnsafePointer<swiftlet_samples>?,
    _ names: (text: String, samples: String), _ callbacks: Callbacks
  ) throws -> GivenData? {
    guard let text = unsafe text else {
      return try unsafe Samples(samples, names.samples, callbacks).map(GivenData.own)
    }
    guard unsafe samples == nil else {
      throw Refusal.usage("\(names.text) and \(names.samples) are given", fix: "give one of them")
    }
    return .named(try unsafe DataSpec(parsing: Arguments.text(text, names.text)))
  }

  func hasLabels() throws -> Bool {
    switch self {
    case .named(let spec): try spec.hasLabels()
    case .own(let samples): samples.data.hasLabels
    }
  }

  /// Arrays that are the same for all samples.
  var fixed: [String: FixedInput] {
    if case .own(let samples) = self { samples.fixed } else { [:] }
  }
}

extension Graph {
  /// Stores how pictures become the model's input, if the caller says so.
  ///
  /// - Parameter text: As for `--preprocess`; `nil`: as the model's metadata say, else a guess.
  /// - Throws: `badInput` for a name that does not exist, or a file that cannot be read;
  ///   `unsupported` for arrays.
  mutating func prepare(_ text: String?, for images: ImageDataset) throws {
    guard let text else { return }
    if case .arrays = images.pixels {
      throw SwiftletError(
        .unsupported, "arrays are fed to the model as they are", at: images.name,
        fix: "leave preprocess out")
    }
    let preprocessing: Preprocessing
    if let scaling = Preprocessing.Scaling(rawValue: text) {
      preprocessing = try Preprocessing(for: self, images: images, scaling: scaling)
    } else if InputFile.exists(text) {
      preprocessing = try Preprocessing(reading: text, for: self, images: images)
    } else {
      let names = Preprocessing.Scaling.allCases.map(\.rawValue).joined(separator: ", ")
      throw SwiftletError(
        .badInput, "there is no preprocessing and no file '\(text)'",
        fix: "give one of \(names), or a file")
    }
    preprocessing.store(in: &self)
  }
}
