// SPDX-License-Identifier: Apache-2.0

public import OrderedCollections
public import SwiftletCore
import SwiftletFiles

/// Files of named arrays: `.npy` (one array, named like the file), `.npz` and `.safetensors`.
public enum ArrayFile {
  enum Kind: String, CaseIterable {
    case npy = ".npy"
    case npz = ".npz"
    case safetensors = ".safetensors"

    init(_ path: String) throws {
      guard let kind = Self.allCases.first(where: { path.hasSuffix($0.rawValue) }) else {
        let known = Self.allCases.map(\.rawValue).joined(separator: ", ")
        throw SwiftletError(
          .badInput, "the file extension is unknown", at: path,
          fix: "use \(known)")
      }
      self = kind
    }
  }

  /// Whether the file extension is that of a format that can hold several arrays.
  public static func holdsSeveral(_ path: String) -> Bool {
    let kind = try? Kind(path)
    return kind != nil && kind != .npy
  }

  /// The arrays of a file, in file order.
  ///
  /// - Throws: `io` or `badInput` naming the file; `unsupported` for element types that tensors do
  ///   not support.
  public static func read(_ path: String) throws -> OrderedDictionary<String, AnyTensor> {
    switch try Kind(path) {
    case .npy: return [name(ofArrayIn: path): try NPY.read(path)]
    case .npz: return try NPZ.read(path)
    case .safetensors: return try Safetensors(reading: path).tensors
    }
  }

  /// The name of the array in an npy file.
  static func name(ofArrayIn path: String) -> String {
    path.split(separator: "/").last.map { String($0.dropLast(Kind.npy.rawValue.count)) } ?? ""
  }

  /// Writes arrays, completely or not at all. The fp32 arrays named in `halves` become 16-bit
  /// floats in NumPy's formats.
  ///
  /// - Throws: `io` naming the path; `badInput` for several arrays in a `.npy` file.
  public static func write(
    _ tensors: OrderedDictionary<String, AnyTensor>, to path: String, halves: Set<String> = []
  ) throws {
    switch try Kind(path) {
    case .npy:
      guard tensors.count == 1, let tensor = tensors.values.first else {
        throw SwiftletError(
          .badInput, "an npy file cannot store \(tensors.count) arrays, only one", at: path,
          fix: "write .npz or .safetensors")
      }
      try AtomicFile.write(
        NPY.encode(tensor, asHalf: halves.contains(tensors.keys[0])), to: path)
    case .npz: try NPZ.write(tensors, to: path, halves: halves)
    case .safetensors: try Safetensors(tensors: tensors).write(to: path)
    }
  }
}
