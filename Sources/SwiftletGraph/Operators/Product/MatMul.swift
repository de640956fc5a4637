// SPDX-License-Identifier: Apache-2.0

import SwiftletBLAS
public import SwiftletCore

/// The product of matrices, or of all pairs of two batches of matrices that broadcast to each
/// other. A vector on the left is a row, on the right a column.
///
/// - Source: ONNX `MatMul`, NumPy's `matmul`.
public struct MatMul: FloatOperator {
  public static let opType = "MatMul"
  public let gradientReads = GradientReads(inputs: [0, 1])

  public init(_ node: Node, opset: Int) throws {}

  /// The shapes of the operands and the result as batches of matrices.
  private struct Layout {
    let a, b: Shape
    /// The common batch shape.
    let batch: Shape
    let result: Shape

    init?(_ left: Shape, _ right: Shape) {
      guard left.rank > 0, right.rank > 0 else { return nil }
      a = left.rank == 1 ? [1, left[0]] : left
      b = right.rank == 1 ? [right[0], 1] : right
      let (stackA, stackB) = (a.dimensions.dropLast(2), b.dimensions.dropLast(2))
      guard a[a.rank - 1] == b[b.rank - 2],
        let batch = Shape(Array(stackA)).broadcast(with: Shape(Array(stackB)))
      else { return nil }
      self.batch = batch
      let rows = left.rank == 1 ? [] : [a[a.rank - 2]]
      let columns = right.rank == 1 ? [] : [b[b.rank - 1]]
      guard let result = try? Shape(checking: batch.dimensions + rows + columns) else { return nil }
      self.result = result
    }
  }

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    let a = try required(inputs, 0, "left side", where: \.isNumber)
    let b = try required(inputs, 1, "right side")
    guard a.dtype == b.dtype, let layout = Layout(a.shape, b.shape) else {
      throw mismatch("\(a.dtype) \(a.shape) and \(b.dtype) \(b.shape) do not match")
    }
    return [TensorInfo(a.dtype, layout.result)]
  }

  /// The shape of the product; `nil` if the operands do not match.
  static func shape(_ a: Shape, _ b: Shape) -> Shape? { Layout(a, b)?.result }

  public func macs(inputs: [Shape?], outputs: [Shape]) -> Int {
    guard let a = inputs[0] else { return 0 }
    return outputs[0].count * a[a.rank - 1]
  }

  public func forward(
    _ inputs: inout [AnyTensor?], _ context: ExecutionContext
  ) throws -> [AnyTensor] {
    [try Self.product(inputs[0].take()!, inputs[1].take()!, context.threads)]
  }

  /// The product of numeric tensors.
  ///
  /// - Precondition: Inference has checked that they match.
  static func product(_ a: AnyTensor, _ b: AnyTensor, _ threads: Threads) throws -> AnyTensor {
    func opened<T: IntegerElement>(_: T.Type) throws -> AnyTensor {
      AnyTensor(product(try a.require(T.self), try b.require(T.self)))
    }
    switch a {
    case .float32(let a): return .float32(product(a, try b.require(), threads))
    case .float64(let a): return .float64(product(a, try b.require(), threads))
    default: return try opened(a.dtype.integerType())
    }
  }

  public func forward<T: LayerElement>(
    _ inputs: inout [Tensor<T>?], _ context: ExecutionContext
  ) throws -> [Tensor<T>] {
    [Self.product(inputs[0].take()!, inputs[1].take()!, context.threads)]
  }

  /// The integer product, which wraps.
  @specialized(where T == Int32)
  private static func product<T: IntegerElement>(_ a: Tensor<T>, _ b: Tensor<T>) -> Tensor<T> {
    let layout = Layout(a.shape, b.shape)!
    var result = Tensor<T>(zeros: layout.result)
    guard result.count > 0 else { return result }
    let stack = BatchedProduct(layout.a, layout.b, batch: layout.batch)
    let (a, b) = (a.contiguous(), b.contiguous())
    let (x, y) = (a.span, b.span)
    var output = result.mutableSpan
    for row in 0..<stack.rows {
      let (left, right) = stack.starts(ofRow: row)
      for k in 0..<stack.k {
        for column in 0..<stack.n {
          output[row * stack.n + column] &+= x[left + k] &* y[right + k * stack.n + column]
        }
      }
    }
    return result
  }

  @specialized(where T == Float)
  @specialized(where T == Double)
  private static func product<T: LayerElement>(
    _ a: Tensor<T>, _ b: Tensor<T>, _ threads: Threads
  ) -> Tensor<T> {
    let layout = Layout(a.shape, b.shape)!
    guard layout.result.count > 0, a.count > 0 else { return Tensor(zeros: layout.result) }
    let stack = BatchedProduct(layout.a, layout.b, batch: layout.batch)
    let (a, b) = (a.contiguous(), b.contiguous())
    let (n, k) = (stack.n, stack.k)
    var result = Tensor<T>(uninitialized: [stack.rows, n])
    threads.forEachBlock(of: &result, minimumWork: 1 + (1 << 16) / max(1, k)) { rows, output in
      var row = rows.lowerBound
      while row < rows.upperBound {
        let end = min(rows.upperBound, stack.end(ofRow: row))
        let (left, right) = stack.starts(ofRow: row)
        let first = row - rows.lowerBound
        var part = output.part(first * n..<(first + end - row) * n)
        BLAS.gemm(
          m: end - row, n: n, k: k, a: a.span.extracting(left...), lda: k,
          b: b.span.extracting(right...), ldb: n, c: &part, ldc: n)
        row = end
      }
    }
    return result.reshaped(to: layout.result)
  }

  @specialized(where T == Float)
  @specialized(where T == Double)
  public func gradients<T: LayerElement>(
    _ call: ForwardCall<T>, _ outputGradient: consuming Tensor<T>, _ context: ExecutionContext
  ) throws -> [Tensor<T>?] {
    let layout = Layout(call.inputShapes[0]!, call.inputShapes[1]!)!
    let a = call.inputs[0]!.reshaped(to: layout.a)
    let b = call.inputs[1]!.reshaped(to: layout.b)
    let dy = outputGradient.reshaped(
      to: Shape(layout.batch.dimensions + [a.shape[a.shape.rank - 2], b.shape[b.shape.rank - 1]]))
    // With y = a·b: da = dy·bᵀ and db = aᵀ·dy, summed over the repetitions.
    let slopes = [
      call.wanted[0] ? Self.product(dy, Self.transposed(b), context.threads) : nil,
      call.wanted[1] ? Self.product(Self.transposed(a), dy, context.threads) : nil,
    ]
    return zip(slopes, zip([a.shape, b.shape], call.inputShapes)).map { slope, shapes in
      guard let slope else { return nil }
      let summed =
        slope.shape == shapes.0 ? slope : Broadcast(shapes.0, to: slope.shape).sum(slope)
      return summed.reshaped(to: shapes.1!)
    }
  }

  private static func transposed<T: LayerElement>(_ stack: Tensor<T>) -> Tensor<T> {
    var axes = Array(0..<stack.shape.rank)
    axes.swapAt(axes.count - 1, axes.count - 2)
    return stack.permuted(to: axes)
  }
}

/// The operand positions of the rows of a batched matrix product.
private struct BatchedProduct: Sendable {
  /// Rows of all products together, and the extents of one product.
  let rows, n, k: Int
  private let m: Int
  /// The starts of the matrices of each pair.
  private let pairs: [(left: Int, right: Int)]

  init(_ a: Shape, _ b: Shape, batch: Shape) {
    k = a[a.rank - 1]
    n = b[b.rank - 1]
    // A shared matrix on the right turns a batch into a single product.
    let isShared = b.rank == 2
    m = isShared ? a.count(of: 0..<a.rank - 1) : a[a.rank - 2]
    if isShared {
      pairs = [(0, 0)]
    } else {
      let left = Self.starts(a, batch)
      let right = Self.starts(b, batch)
      pairs = Array(zip(left, right)).map { (left: $0.0, right: $0.1) }
    }
    rows = m * pairs.count
  }

  private static func starts(_ stack: Shape, _ batch: Shape) -> [Int] {
    let outer = Shape(Array(stack.dimensions.dropLast(2)))
    let size = stack.count(of: stack.rank - 2..<stack.rank)
    let numbers = Tensor<Int64>(outer, (0..<outer.count).map { Int64($0 * size) })
    return numbers.broadcast(to: batch).elements.map { Int($0) }
  }

  func starts(ofRow row: Int) -> (left: Int, right: Int) {
    let pair = pairs[row / m]
    return (pair.left + row % m * k, pair.right)
  }

  /// The end of the rows that multiply the same matrix.
  func end(ofRow row: Int) -> Int { (row / m + 1) * m }
}
