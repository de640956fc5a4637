// SPDX-License-Identifier: Apache-2.0

public import OrderedCollections
import SwiftletCore
import SwiftletFiles

extension ArrayFile {
  /// The arrays of a file, or of a folder of files, whose rows are read when they are needed.
  ///
  /// A folder stands for all its `.npz` and `.safetensors` files, in the order of their names,
  /// which each hold some of the samples. Arrays that have as many rows as most others in each file
  /// are joined along the first axis; the others, such as a size that all samples share, must be
  /// the same in all files.
  ///
  /// Headers and sizes are checked here. The checksum of an array in an npz file is verified when
  /// the array is first read, unless it is above 64 MiB and not compressed, since the whole array
  /// would be read for the first row. Compressed arrays are expanded when they are first read:
  /// into memory, beyond 32 MiB in all into a temporary file.
  ///
  /// - Parameter path: A `.npy`, `.npz` or `.safetensors` file, or a folder.
  /// - Returns: The arrays in the order of the file, or the first file.
  /// - Throws: As ``read(_:)``, except that the size of the arrays does not matter; `unsupported`
  ///   for large arrays in column-major order, whose rows are not stored together; `badInput`
  ///   naming the file whose arrays do not fit those of the first one in the folder.
  public static func open(_ path: String) throws -> OrderedDictionary<String, StoredArray> {
    InputFolder.exists(path) ? try openShards(in: path) : try open(path, Scratch())
  }

  static func open(
    _ path: String, _ scratch: Scratch
  ) throws -> OrderedDictionary<String, StoredArray> {
    // A path that is misspelled does not exist, whatever its extension.
    let file = try FileBytes(reading: path)
    return try open(file, Kind(path), scratch)
  }

  /// Larger arrays are not put into another order in memory.
  private static let smallSize = 64 << 20

  private static func open(
    _ file: FileBytes, _ kind: Kind, _ scratch: Scratch
  ) throws -> OrderedDictionary<String, StoredArray> {
    switch kind {
    case .npy:
      let stored = try locating(file.path) {
        let head = try file.bytes(in: 0..<min(file.count, NPYLayout.headCount))
        let layout = try NPYLayout(head, of: file.count)
        return try array(
          layout, ArrayPiece(file, at: layout.data.lowerBound, layout.elements), name: file.path
        ) { try file.bytes(in: 0..<file.count) }
      }
      return [name(ofArrayIn: file.path): stored]
    case .npz:
      return try locating(file.path) { try arrays(of: ZipArchive(file), file, scratch) }
    case .safetensors:
      var result: OrderedDictionary<String, StoredArray> = [:]
      for entry in try Safetensors.header(of: file).entries {
        let piece = ArrayPiece(file, at: entry.range.lowerBound, entry.elements)
        result[entry.name] = StoredArray(piece, entry.elements.dtype, entry.shape)
      }
      return result
    }
  }

  private static func arrays(
    of archive: ZipArchive, _ file: FileBytes, _ scratch: Scratch
  ) throws -> OrderedDictionary<String, StoredArray> {
    var result: OrderedDictionary<String, StoredArray> = [:]
    for entry in archive.entries {
      let name = try NPZ.name(of: entry)
      result[name] = try locating("array '\(name)'") {
        let layout = try NPYLayout(archive.prefix(NPYLayout.headCount, of: entry), of: entry.size)
        if entry.isDeflated { try requirePlausible(entry) }
        let content = ZipContent(entry, of: archive, in: file, scratch)
        let piece = ArrayPiece(content, at: layout.data.lowerBound, layout.elements)
        return try array(layout, piece, name: name) { try archive.content(of: entry) }
      }
    }
    return result
  }

  /// What a small file claims must not fill the disk.
  private static func requirePlausible(_ entry: ZipArchive.Entry) throws {
    guard entry.size <= MemoryLimit.plausibleExpansion(of: entry.data.count) else {
      throw SwiftletError(
        .badInput, "its \(entry.data.count) bytes expand to \(entry.size), more than 200-fold",
        fix: "save the arrays without compression")
    }
  }

  /// - Parameter content: The whole npy file.
  private static func array(
    _ layout: NPYLayout, _ piece: ArrayPiece, name: String,
    _ content: () throws -> ArraySlice<UInt8>
  ) throws -> StoredArray {
    guard !layout.isByRows else {
      return StoredArray(piece, layout.elements.dtype, layout.shape)
    }
    guard layout.data.count <= min(smallSize, MemoryLimit.bytes) else {
      throw SwiftletError(
        .unsupported, "the array is in column-major (Fortran) order, which is not read by rows",
        fix: "numpy.save('new.npy', numpy.ascontiguousarray(array))")
    }
    return StoredArray(try NPY.decode(content()))
  }
}
