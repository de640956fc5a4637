// SPDX-License-Identifier: Apache-2.0

import Foundation
import SwiftletCore
import SwiftletFiles
import SwiftletFormats
import SwiftletTraining
import Testing
import _SwiftletTestSupport

/// Writes a data set in MNIST's files: pictures of 12×12 in four classes.
func putPictures(_ folder: String) throws {
  for (part, count) in [("train", 160), ("t10k", 80)] {
    let (images, labels) = Pictures.make(count: count, classes: 4, seed: UInt64(count))
    let bytes = try IDX.encode(images.reshaped(to: [count, 12, 12]))
    try AtomicFile.write(bytes, to: "\(folder)/\(part)-images-idx3-ubyte")
    let classes = Tensor<UInt8>([count], labels.map(UInt8.init))
    try AtomicFile.write(try IDX.encode(classes), to: "\(folder)/\(part)-labels-idx1-ubyte")
  }
}

/// The names of the files in a folder.
func names(in folder: String) throws -> [String] {
  try FileManager.default.contentsOfDirectory(atPath: folder)
}
