// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletFiles

#if canImport(Glibc)
  import Glibc
#endif

/// Fashion-MNIST: 60,000 and 10,000 grey images of clothes, 28×28 (Xiao, Rasul, Vollgraf 2017).
package enum FashionMNIST {
  static let classNames = [
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag",
    "Ankle boot",
  ]

  /// One part of the data set, from the first folder that has it.
  ///
  /// - Throws: `io` with the package to install if none has.
  package static func load(_ part: DataSpec.Part, from folders: [String]) throws -> ImageDataset {
    guard let folder = folders.first(where: { IDXFolder.holdsImages($0, part: part) }) else {
      throw SwiftletError(
        .io, "Fashion-MNIST was not found", at: folders.joined(separator: ", "),
        fix: "apt install dataset-fashion-mnist or pass --data-dir")
    }
    return try IDXFolder.load(folder, part: part, classNames: classNames)
  }

  /// The folders to search, in order.
  package static func searchPath(
    dataDirectory: String?, environment: String? = environmentFolder
  ) -> [String] {
    [dataDirectory, environment].compactMap { $0 }.flatMap {
      [$0, InputFile.join($0, "fashion-mnist")]
    } + ["/usr/share/datasets/fashion-mnist"]
  }

  /// `$SWIFTLET_DATA`
  package static var environmentFolder: String? {
    guard let value = unsafe getenv("SWIFTLET_DATA") else { return nil }
    return unsafe String(cString: value)
  }
}
