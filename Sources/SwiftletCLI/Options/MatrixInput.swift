// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Swiftlet

/// The matrices that a command takes, as its help names them.
protocol MatrixScope: Sendable {
  /// Examples of `--size`.
  static var sizes: String { get }
  /// What `--seed` is for.
  static var seeded: String { get }
}

/// Matrices of any size.
enum AnyMatrix: MatrixScope {
  static var sizes: String { "1000x200 or 500" }
  static var seeded: String { "the random matrix and of random sampling" }
}

/// Square matrices.
enum SquareMatrix: MatrixScope {
  static var sizes: String { "500 or 500x500" }
  static var seeded: String { "the random matrix" }
}

/// Options for a matrix from a file, or a random one.
struct MatrixOptions<Scope: MatrixScope>: ParsableArguments {
  @Argument(help: "Matrix in an .npy file, float32 or float64.")
  var file: String?

  @Option(
    help: ArgumentHelp(
      "Size of a random matrix instead of a file, such as \(Scope.sizes).", valueName: "MxN"))
  var size: MatrixSize?

  @Option(
    help: ArgumentHelp(
      "Element type: f32 or f64. Default: the file's, else f64.", valueName: "type"))
  var dtype: ElementType?

  @Option(help: "Seed of \(Scope.seeded).")
  var seed: UInt64 = 0

  func validate() throws {
    guard (file == nil) != (size == nil) else {
      throw ValidationError("give either an .npy file or --size")
    }
    for extent in size.map({ [$0.rows, $0.columns] }) ?? [] {
      try check("--size", extent, 1...32_766)
    }
  }

  /// Loads or generates the matrix, converted to the element type asked for.
  func read() throws -> AnyTensor {
    if let size {
      var generator = RandomGenerator(seed: seed)
      let shape: Shape = [size.rows, size.columns]
      try MemoryLimit.require(
        Double(shape.count) * (dtype == .f32 ? 4 : 8), of: UInt8.self, for: "a matrix of \(shape)")
      return dtype == .f32
        ? AnyTensor(Tensor<Float>(shape, normalUsing: &generator))
        : AnyTensor(Tensor<Double>(shape, normalUsing: &generator))
    }
    let array = try NPY.read(file!)
    guard array.shape.rank == 2 else {
      throw SwiftletError(
        .badInput, "an array of shape \(array.shape) is not a matrix", at: file!,
        fix: "reshape it to two axes")
    }
    switch (array, dtype) {
    case (.float32(let matrix), .f64): return AnyTensor(matrix.converted(to: Double.self))
    case (.float64(let matrix), .f32): return AnyTensor(matrix.converted(to: Float.self))
    case (.float32, _), (.float64, _): return array
    default:
      throw SwiftletError(
        .unsupported, "matrices of \(array.dtype) are not supported", at: file!,
        fix: "save it as float32 or float64"
      )
    }
  }

  /// Checks that neither the plot nor the factors NAME.npy in the folder would overwrite the
  /// matrix.
  func checkOutputs(plot: String?, folder: String?, files names: [String]) throws {
    var written: [OutputFiles.File] = plot.map { [($0, "--plot")] } ?? []
    // A folder that does not exist yet has no files to overwrite.
    if let folder, OutputFolder.exists(folder) {
      written += names.map { ("\(folder)/\($0).npy", "\($0).npy") }
    }
    try OutputFiles(written: written, read: file.map { [($0, "the matrix")] } ?? []).check()
  }

  /// The name of the matrix in errors.
  var label: String { file ?? "random matrix" }
}

/// The element type of a matrix.
enum ElementType: String, ExpressibleByArgument, CaseIterable { case f32, f64 }

/// The size of a matrix, as in `--size 1000x200`.
struct MatrixSize: ExpressibleByArgument {
  let rows, columns: Int

  init?(argument: String) {
    let parts = argument.lowercased().split(separator: "x", omittingEmptySubsequences: false)
    let numbers = parts.compactMap { Int($0) }
    guard numbers.count == parts.count, 1...2 ~= numbers.count else { return nil }
    (rows, columns) = (numbers[0], numbers[numbers.count - 1])
  }
}
