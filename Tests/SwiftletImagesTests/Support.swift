// SPDX-License-Identifier: Apache-2.0

import Foundation
import SwiftletCore
import SwiftletFiles
import SwiftletImages

/// The pictures in Fixtures/, and what Pillow reads in them: make.py there makes both.
enum Fixtures {
  static let folder = URL(filePath: #filePath).deletingLastPathComponent()
    .appending(path: "Fixtures")

  /// Names of the pictures that this build can decode.
  static let names: [String] = {
    #if Images
      let kinds = ["jpg", "png", "webp", "bmp"]
    #else
      let kinds = ["bmp"]
    #endif
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path())) ?? []
    return names.filter { name in kinds.contains { name.hasSuffix(".\($0)") } }.sorted()
  }()

  static func path(_ name: String) -> String { folder.appending(path: name).path() }

  static func bytes(_ name: String) throws -> [UInt8] { try InputFile.read(path(name)) }

  /// An array of bytes as NumPy writes it; of rank 2 it is a grey picture.
  static func array(_ name: String) throws -> Tensor<UInt8> {
    let bytes = try bytes("\(name).npy")
    let length = Int(bytes[8]) + Int(bytes[9]) << 8
    let header = String(decoding: bytes[10..<10 + length], as: UTF8.self)
    let numbers = header.firstMatch(of: /'shape': \(([^)]*)\)/)!.output.1
    let extents = numbers.split(separator: ",").map { Int($0.filter(\.isNumber))! }
    let shape = Shape(extents.count == 2 ? extents + [1] : extents)
    return Tensor(shape, Array(bytes[(10 + length)...]))
  }

  /// The digests of digests.txt by what is before them in their line.
  static let digests: [String: String] = {
    let text = (try? String(contentsOfFile: path("digests.txt"), encoding: .utf8)) ?? ""
    let lines = text.split(separator: "\n").map { $0.split(separator: " ") }
    return Dictionary(
      uniqueKeysWithValues: lines.map { words in
        (words.dropLast().joined(separator: " "), String(words[words.count - 1]))
      })
  }()
}

extension Image {
  var digest: String { Digest.sha256(pixels.elements) }

  /// The largest difference to other pixels of the same shape.
  func distance(to other: Tensor<UInt8>) -> Int {
    zip(pixels.elements, other.elements).map { abs(Int($0) - Int($1)) }.max()!
  }

  /// A grey picture.
  init(grey rows: [[UInt8]]) {
    self.init(Tensor([rows.count, rows[0].count, 1], rows.flatMap { $0 }))
  }

  /// The values of a grey picture, by rows.
  var rows: [[UInt8]] {
    let all = pixels.elements
    return (0..<height).map { Array(all[$0 * width..<($0 + 1) * width]) }
  }

  /// Random pixels.
  static func random(_ size: Size, _ channels: Channels, seed: UInt64 = 1) -> Image {
    var generator = RandomGenerator(seed: seed)
    let shape: Shape = [size.height, size.width, channels.rawValue]
    return Image(Tensor(shape, (0..<shape.count).map { _ in UInt8(generator.below(256)) }))
  }
}

extension [UInt8] {
  /// Where a sequence of bytes begins for the first time.
  func place(of bytes: [UInt8]) -> Int? {
    indices.first { self[$0...].starts(with: bytes) }
  }
}
