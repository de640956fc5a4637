// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletFiles
import SwiftletFormats

/// A folder with the four files of MNIST and similar data sets, plain or `.gz`:
/// `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, and the same with `t10k-` or `test-`.
enum IDXFolder {
  /// The images (N×H×W or N×C×H×W) and labels of one part. Files of the other part are not read.
  ///
  /// - Parameter classNames: The classes; without them the largest label determines their number.
  /// - Throws: `io` or `badInput` naming the missing or invalid file.
  static func load(
    _ folder: String, part: DataSpec.Part, classNames: [String]? = nil
  ) throws -> ImageDataset {
    guard let imageFile = find("images-idx3-ubyte", in: folder, part) else {
      throw missing("images-idx3-ubyte", in: folder, part)
    }
    guard let labelFile = find("labels-idx1-ubyte", in: folder, part) else {
      throw missing("labels-idx1-ubyte", in: folder, part)
    }
    let images = try IDX.read(imageFile, ranks: 3...4)
    let labels = try IDX.read(labelFile, ranks: 1...1).elements.map(Int.init)
    let shape = images.shape
    return try ImageDataset(
      name: labelFile,
      images: shape.rank == 4 ? images : images.reshaped(to: [shape[0], 1, shape[1], shape[2]]),
      labels: labels, classCount: classNames?.count ?? (labels.max() ?? 0) + 1,
      classNames: classNames)
  }

  /// Whether the folder has images of this part.
  static func holdsImages(_ folder: String, part: DataSpec.Part) -> Bool {
    find("images-idx3-ubyte", in: folder, part) != nil
  }

  /// Names that files of either part may have.
  static let fileNames = DataSpec.Part.allCases.flatMap(prefixes).flatMap { prefix in
    ["images-idx3-ubyte", "labels-idx1-ubyte"].flatMap { name in
      ["\(prefix)-\(name)", "\(prefix)-\(name).gz"]
    }
  }

  private static func prefixes(of part: DataSpec.Part) -> [String] {
    switch part {
    case .train: ["train"]
    case .test: ["t10k", "test"]
    }
  }

  private static func find(_ name: String, in folder: String, _ part: DataSpec.Part) -> String? {
    for prefix in prefixes(of: part) {
      for ending in ["", ".gz"] {
        let path = InputFile.join(folder, "\(prefix)-\(name)\(ending)")
        if InputFile.exists(path) { return path }
      }
    }
    return nil
  }

  private static func missing(
    _ name: String, in folder: String, _ part: DataSpec.Part
  ) -> SwiftletError {
    let names = prefixes(of: part).map { "\($0)-\(name)[.gz]" }.joined(separator: " or ")
    return SwiftletError(.io, "\(names) is missing", at: folder, fix: "check the folder")
  }
}
