// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
import SwiftletFiles

/// Folders of files (shards) that each hold some of the samples of a data set.
extension ArrayFile {
  /// The files that ``open(_:)`` reads: that of a path, or those in a folder, sorted by name.
  ///
  /// - Throws: `io` if the folder cannot be read; `badInput` if it has no files of arrays.
  package static func files(of path: String) throws -> [String] {
    guard InputFolder.exists(path) else { return [path] }
    let names = try InputFolder.contents(path).files.filter(holdsSeveral)
    guard !names.isEmpty else {
      throw SwiftletError(
        .badInput, "there are no .npz or .safetensors files", at: path,
        fix: "save arrays there with numpy.savez, or name a file")
    }
    return names.map { InputFile.join(path, $0) }
  }

  /// As ``open(_:)`` of a folder.
  static func openShards(in folder: String) throws -> OrderedDictionary<String, StoredArray> {
    let scratch = Scratch()
    let files = try files(of: folder).map { path in
      let arrays = try open(path, scratch)
      return (path: path, arrays: arrays)
    }
    let first = files[0]
    for file in files.dropFirst() { try check(file, fits: first) }
    let isSample = samples(of: files.map(\.arrays))
    var result: OrderedDictionary<String, StoredArray> = [:]
    for (name, array) in first.arrays {
      if isSample.contains(name) {
        result[name] = try locating("\(folder), array '\(name)'") {
          try StoredArray(joining: files.map { $0.arrays[name]! })
        }
        continue
      }
      let own = try array.whole()
      for file in files.dropFirst() where try file.arrays[name]!.whole() != own {
        throw SwiftletError(
          .badInput,
          "array '\(name)' differs from that of \(first.path), and has no row per sample",
          at: file.path, fix: "save the same one in all files, or a row of it for each sample")
      }
      result[name] = array
    }
    return result
  }

  private typealias Shard = (path: String, arrays: OrderedDictionary<String, StoredArray>)

  /// - Throws: `badInput` if names, element types or the shapes of rows differ.
  private static func check(_ file: Shard, fits first: Shard) throws {
    func refusal(_ what: String) -> SwiftletError {
      SwiftletError(
        .badInput, what, at: file.path, fix: "save arrays of the same names and types in all files")
    }
    for name in first.arrays.keys where file.arrays[name] == nil {
      throw refusal("array '\(name)' of \(first.path) is missing")
    }
    for (name, array) in file.arrays {
      guard let other = first.arrays[name] else {
        throw refusal("array '\(name)' is not in \(first.path)")
      }
      guard array.dtype == other.dtype, array.shape.rank == other.shape.rank,
        array.rowShape == other.rowShape
      else {
        throw refusal(
          "array '\(name)' is \(array.dtype) \(array.shape), and \(other.dtype) \(other.shape) in "
            + first.path)
      }
    }
  }

  /// The names of the arrays that have a row for each sample: those whose numbers of rows, file by
  /// file, are the most frequent ones; on ties, the largest.
  private static func samples(
    of files: [OrderedDictionary<String, StoredArray>]
  ) -> Set<String> {
    let names = files[0].keys.filter { files[0][$0]!.shape.rank > 0 }
    let groups = Dictionary(grouping: names) { name in files.map { $0[name]!.count } }
    func total(_ rows: [Int]) -> Double { rows.reduce(0) { $0 + Double($1) } }
    let most = groups.max {
      ($0.value.count, total($0.key)) < ($1.value.count, total($1.key))
    }
    return Set(most?.value ?? [])
  }
}
