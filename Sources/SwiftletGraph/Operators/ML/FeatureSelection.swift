// SPDX-License-Identifier: Apache-2.0

import SwiftletCore

/// Features at given positions of the last axis: x …×F, indices K → …×K; for a single row F, 1×K.
///
/// - Source: ONNX `ai.onnx.ml`, `ArrayFeatureExtractor`.
struct ArrayFeatureExtractor: Operator {
  static let opType = "ArrayFeatureExtractor"

  init(_ node: Node, opset: Int) throws {}

  func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    let x = try required(inputs, 0, "input")
    let indices = try required(inputs, 1, "indices") { $0 == .int64 }
    guard x.shape.rank > 0, indices.shape.count > 0 else {
      throw mismatch("indices \(indices.shape) do not match \(x.shape)")
    }
    return [TensorInfo(x.dtype, target(x.shape, indices.shape.count))]
  }

  private func target(_ shape: Shape, _ count: Int) -> Shape {
    shape.rank == 1 ? [1, count] : shape.replacing(axis: shape.rank - 1, with: count)
  }

  func forward(_ inputs: inout [AnyTensor?], _ context: ExecutionContext) throws -> [AnyTensor] {
    let x = inputs[0]!.contiguous
    let width = x.shape[x.shape.rank - 1]
    let indices = inputs[1]!.integers
    guard indices.allSatisfy({ 0..<width ~= $0 }) else {
      throw mismatch("an index is out of range for \(width) features")
    }
    let rows = width > 0 ? x.shape.count / width : 0
    let places = (0..<rows).flatMap { row in indices.map { row * width + $0 } }
    func opened<T: TensorElement>(_: T.Type) throws -> AnyTensor {
      AnyTensor(
        try x.require(T.self).gathering(places, length: 1, shape: target(x.shape, indices.count)))
    }
    return [try opened(x.dtype.elementType)]
  }
}

/// The concatenation of several inputs as fp32 features: N×F₁, N×F₂, … → N×(F₁ + F₂ + …).
///
/// - Source: ONNX `ai.onnx.ml`, `FeatureVectorizer`.
struct FeatureVectorizer: Operator {
  static let opType = "FeatureVectorizer"
  private let widths: [Int]?

  init(_ node: Node, opset: Int) throws { widths = try node.ints("inputdimensions") }

  func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    var (rows, width) = (0, 0)
    for index in inputs.indices {
      let part = try self.rows([try required(inputs, index, "input")])
      guard index == 0 || part.count == rows, widths.map({ $0.count == inputs.count }) ?? true,
        widths.map({ $0[index] == part.width }) ?? true
      else {
        throw mismatch(
          "input \(index) has \(part.count) rows of \(part.width) features, which do not match")
      }
      (rows, width) = (part.count, width + part.width)
    }
    guard !inputs.isEmpty else { throw mismatch("there are no inputs") }
    return [TensorInfo(.float32, try Shape(checking: [rows, width]))]
  }

  func forward(_ inputs: inout [AnyTensor?], _ context: ExecutionContext) throws -> [AnyTensor] {
    let parts = try inputs.map { part -> (width: Int, elements: [Float]) in
      let width = part!.shape[part!.shape.rank - 1]
      return (width, try part!.converted(to: .float32).require(Float.self).elements)
    }
    let rows = inputs[0]!.shape.rank == 1 ? 1 : inputs[0]!.shape[0]
    let elements = (0..<rows).flatMap { row in
      parts.flatMap { $0.elements[row * $0.width..<(row + 1) * $0.width] }
    }
    return [.float32(Tensor([rows, parts.reduce(0) { $0 + $1.width }], elements))]
  }
}

/// The class scores N×C unchanged: ONNX's maps from labels to scores cannot be represented as
/// tensors. Column c belongs to label c.
///
/// - Source: ONNX `ai.onnx.ml`, `ZipMap`.
struct ZipMap: Operator {
  static let opType = "ZipMap"
  private let count: Int

  init(_ node: Node, opset: Int) throws {
    count = try node.ints("classlabels_int64s")?.count ?? 0
    guard count > 0 else { throw SwiftletError(.badInput, "ZipMap has no labels") }
  }

  func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    let x = try required(inputs, 0, "scores") { $0 == .float32 }
    guard try rows(inputs).width == count else {
      throw mismatch("\(count) labels do not match \(x.shape)")
    }
    return [TensorInfo(.float32, [try rows(inputs).count, count])]
  }

  func forward(_ inputs: inout [AnyTensor?], _ context: ExecutionContext) throws -> [AnyTensor] {
    let x = try inputs[0]!.require(Float.self)
    return [.float32(x.reshaped(to: [x.count / count, count]))]
  }
}
