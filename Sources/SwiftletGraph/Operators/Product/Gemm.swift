// SPDX-License-Identifier: Apache-2.0

import SwiftletBLAS
public import SwiftletCore

/// y = alpha · op(a) · op(b) + beta · c: a M×K, b K×N (or transposed), c broadcast to M×N.
///
/// The fully connected layer of exported models: b holds weights N×K with `transB = 1`, c the bias.
///
/// - Source: ONNX `Gemm`.
public struct Gemm: FloatOperator {
  public static let opType = "Gemm"
  public let gradientReads = GradientReads(inputs: [0, 1])
  private let alpha: Float
  private let beta: Float
  private let transposeA: Bool
  private let transposeB: Bool

  public init(_ node: Node, opset: Int) throws {
    alpha = try node.float("alpha", default: 1)
    beta = try node.float("beta", default: 1)
    transposeA = try node.int("transA", default: 0) != 0
    transposeB = try node.int("transB", default: 0) != 0
  }

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    let a = try floating(inputs, 0, "input", rank: 2)
    let b = try floating(inputs, 1, "weight", rank: 2)
    let (m, n, k) = sizes(a.shape, b.shape)
    guard a.dtype == b.dtype, b.shape[transposeB ? 1 : 0] == k else {
      throw mismatch(
        "\(a.dtype) \(a.shape)\(transposeA ? "ᵀ" : "") and "
          + "\(b.dtype) \(b.shape)\(transposeB ? "ᵀ" : "") do not match")
    }
    let result = try Shape(checking: [m, n])
    if inputs.count > 2, let c = inputs[2] {
      guard c.dtype == a.dtype, c.shape.broadcast(with: result) == result else {
        throw mismatch("addend \(c.dtype) \(c.shape) does not broadcast to \(m)×\(n)")
      }
    }
    return [TensorInfo(a.dtype, result)]
  }

  public func macs(inputs: [Shape?], outputs: [Shape]) -> Int {
    guard let a = inputs[0] else { return 0 }
    return outputs[0].count * a[transposeA ? 0 : 1]
  }

  private func sizes(_ a: Shape, _ b: Shape) -> (m: Int, n: Int, k: Int) {
    (a[transposeA ? 1 : 0], b[transposeB ? 0 : 1], a[transposeA ? 0 : 1])
  }

  @specialized(where T == Float)
  @specialized(where T == Double)
  public func forward<T: LayerElement>(
    _ inputs: inout [Tensor<T>?], _ context: ExecutionContext
  ) throws -> [Tensor<T>] {
    let a = inputs[0]!.contiguous()
    let b = inputs[1]!.contiguous()
    let (m, n, k) = sizes(a.shape, b.shape)
    var y = Tensor<T>(uninitialized: [m, n])
    var addend: T = 0
    if inputs.count > 2, let c = inputs[2], beta != 0 {
      Broadcast(c.shape, to: y.shape).copy(c.contiguous(), into: &y)
      addend = T(beta)
    }
    // An empty sum leaves the addend.
    guard k > 0 else { return [addend == 0 ? Tensor(zeros: y.shape) : y.map { $0 * addend }] }
    Self.multiply(
      a, transposeA, b, transposeB, alpha: T(alpha), beta: addend, into: &y, context.threads)
    return [y]
  }

  @specialized(where T == Float)
  @specialized(where T == Double)
  public func gradients<T: LayerElement>(
    _ call: ForwardCall<T>, _ outputGradient: consuming Tensor<T>, _ context: ExecutionContext
  ) throws -> [Tensor<T>?] {
    let a = call.inputs[0]!.contiguous()
    let b = call.inputs[1]!.contiguous()
    let dy = outputGradient.contiguous()
    var result: [Tensor<T>?] = [nil, nil]
    // With y = op(a)·op(b): d op(a) = dy·op(b)ᵀ and d op(b) = op(a)ᵀ·dy; a transposed operand
    // takes the transpose of that, which is the product of the transposes in reverse order.
    if call.wanted[0] {
      var da = Tensor<T>(uninitialized: a.shape)
      if transposeA {
        Self.multiply(b, transposeB, dy, true, alpha: T(alpha), into: &da, context.threads)
      } else {
        Self.multiply(dy, false, b, !transposeB, alpha: T(alpha), into: &da, context.threads)
      }
      result[0] = da
    }
    if call.wanted[1] {
      var db = Tensor<T>(uninitialized: b.shape)
      if transposeB {
        Self.multiply(dy, true, a, transposeA, alpha: T(alpha), into: &db, context.threads)
      } else {
        Self.multiply(a, !transposeA, dy, false, alpha: T(alpha), into: &db, context.threads)
      }
      result[1] = db
    }
    if call.wanted.count > 2 {
      guard call.wanted[2], let shape = call.inputShapes[2] else { return result + [nil] }
      var dc = Broadcast(shape, to: dy.shape).sum(dy)
      if beta != 1 { dc = dc.map { $0 * T(beta) } }
      result.append(dc)
    }
    return result
  }

  /// result = alpha · op(a) · op(b) + beta · result, with rows divided among the threads; a single
  /// row is a matrix–vector product.
  private static func multiply<T: LayerElement>(
    _ a: Tensor<T>, _ transposeA: Bool, _ b: Tensor<T>, _ transposeB: Bool, alpha: T, beta: T = 0,
    into result: inout Tensor<T>, _ threads: Threads
  ) {
    let (n, k) = (result.shape[1], a.shape[transposeA ? 0 : 1])
    let (lda, ldb) = (a.shape[1], b.shape[1])
    if result.shape[0] == 1 && transposeB {
      var row = result.reshaped(to: [n])
      result = Tensor(uninitialized: [0, n])
      threads.forEachBlock(of: &row, minimumWork: 1 + (1 << 16) / max(1, k)) { columns, output in
        BLAS.gemv(
          m: columns.count, n: k, alpha: alpha,
          a: b.span.extracting(
            columns.lowerBound * ldb..<columns.upperBound * ldb),
          lda: ldb, x: a.span, beta: beta, y: &output)
      }
      result = row.reshaped(to: [1, n])
      return
    }
    threads.forEachBlock(of: &result, minimumWork: 1 + (1 << 16) / max(1, k)) { rows, output in
      let start = transposeA ? rows.lowerBound : rows.lowerBound * lda
      BLAS.gemm(
        m: rows.count, n: n, k: k, alpha: alpha, a: a.span.extracting(min(start, a.count)...),
        lda: lda, transposeA: transposeA, b: b.span, ldb: ldb, transposeB: transposeB, beta: beta,
        c: &output, ldc: n)
    }
  }
}
