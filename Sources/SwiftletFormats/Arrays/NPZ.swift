// SPDX-License-Identifier: Apache-2.0

public import OrderedCollections
public import SwiftletCore
import SwiftletFiles

/// Named arrays in NumPy's npz format: a zip file of npy files.
///
/// As strict as `ZipArchive`, and every entry must be an npy file: NumPy would return others as
/// bytes. `MemoryLimit` bounds the content, also relative to the size of the file, which stops zip
/// bombs.
///
/// - Source: `numpy.savez`.
public enum NPZ {
  /// The arrays of a file, in file order.
  ///
  /// - Throws: `io` or `badInput` naming the file; `unsupported` as ``NPY/read(_:)``, and for
  ///   encrypted entries and compression other than deflate.
  public static func read(_ path: String) throws -> OrderedDictionary<String, AnyTensor> {
    try locating(path) { try decode(InputFile.read(path), file: path) }
  }

  /// Reads arrays from the bytes of a file.
  public static func decode(
    _ bytes: [UInt8], file: String = "npz"
  ) throws -> OrderedDictionary<String, AnyTensor> {
    let archive = try ZipArchive(FileBytes(bytes, name: file))
    var total = 0
    let limit = MemoryLimit.expanded(bytes.count)
    var tensors: OrderedDictionary<String, AnyTensor> = [:]
    for entry in archive.entries {
      let name = try name(of: entry)
      let (sum, overflow) = total.addingReportingOverflow(entry.size)
      guard !overflow, sum <= limit else {
        throw SwiftletError(
          .badInput, "the \(bytes.count) bytes expand to more than \(limit)",
          fix: "save the arrays without compression")
      }
      total = sum
      tensors[name] = try locating("array '\(entry.name)'") {
        try NPY.decode(archive.content(of: entry))
      }
    }
    return tensors
  }

  /// The name of the array in an entry.
  ///
  /// - Throws: `badInput` if it is not an npy file.
  static func name(of entry: ZipArchive.Entry) throws -> String {
    guard entry.name.hasSuffix(".npy") else {
      throw SwiftletError(.badInput, "the entry '\(entry.name)' is not an npy file")
    }
    return String(entry.name.dropLast(4))
  }

  /// Writes arrays, completely or not at all: uncompressed, with the same bytes for the same
  /// arrays. The fp32 arrays named in `halves` are rounded to 16-bit floats.
  ///
  /// - Throws: `io` naming the path; `unsupported` above 4 GiB.
  public static func write(
    _ tensors: OrderedDictionary<String, AnyTensor>, to path: String, halves: Set<String> = []
  ) throws {
    try AtomicFile.write(encode(tensors, halves: halves), to: path)
  }

  /// The bytes of an npz file. `texts` are added as arrays of NumPy's type `<U`, which
  /// ``decode(_:file:)`` refuses: they are for other programs.
  public static func encode(
    _ tensors: OrderedDictionary<String, AnyTensor>, halves: Set<String> = [],
    texts: OrderedDictionary<String, [String]> = [:]
  ) throws -> [UInt8] {
    var bytes: [UInt8] = []
    var directory: [UInt8] = []
    let entries = tensors.count + texts.count
    func append(_ key: String, _ content: [UInt8]) throws {
      let name = Array("\(key).npy".utf8)
      guard bytes.count + content.count < Int(UInt32.max), name.count < Int(UInt16.max),
        entries < Int(UInt16.max)
      else {
        throw SwiftletError(
          .unsupported, "the arrays are too large for one npz file (4 GiB)",
          fix: "write safetensors")
      }
      // Version 2.0, UTF-8 names, stored, midnight on January 1st, 1980.
      let shared: [UInt8] =
        [20, 0, 0, 8, 0, 0, 0, 0, 0x21, 0] + little(ZipArchive.checksum(content[...]), 4)
        + little(UInt32(content.count), 4) + little(UInt32(content.count), 4)
        + little(UInt32(name.count), 2) + [0, 0]
      directory += [0x50, 0x4b, 1, 2, 20, 0] + shared + [UInt8](repeating: 0, count: 10)
      directory += little(UInt32(bytes.count), 4) + name
      bytes += [0x50, 0x4b, 3, 4] + shared + name + content
    }
    for (key, tensor) in tensors {
      try append(key, NPY.encode(tensor, asHalf: halves.contains(key)))
    }
    for (key, lines) in texts { try append(key, NPY.encode(lines)) }
    let count = little(UInt32(entries), 2)
    let end = little(UInt32(directory.count), 4) + little(UInt32(bytes.count), 4)
    return bytes + directory + [0x50, 0x4b, 5, 6, 0, 0, 0, 0] + count + count + end + [0, 0]
  }

  private static func little(_ value: UInt32, _ count: Int) -> [UInt8] {
    (0..<count).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
  }
}
