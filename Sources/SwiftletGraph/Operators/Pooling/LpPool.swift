// SPDX-License-Identifier: Apache-2.0

import RealModule
public import SwiftletCore

/// The p-norm (Σ|x|ᵖ)^(1/p) of each window, where padding counts as 0: x N×C×… → N×C×….
///
/// - Source: ONNX `LpPool`.
public struct LpPool: Operator {
  public static let opType = "LpPool"
  private let window: SlidingWindow
  private let norm: PowerNorm

  public init(_ node: Node, opset: Int) throws {
    window = try SlidingWindow(node)
    norm = try PowerNorm(node)
  }

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    [try window.pooled(floating(inputs, 0, "input"))]
  }

  public func forward(
    _ inputs: inout [AnyTensor?], _ context: ExecutionContext
  ) throws -> [AnyTensor] {
    switch inputs[0]! {
    case .float64(let x): [.float64(try pool(x, context.threads))]
    case let x: [.float32(try pool(x.require(), context.threads))]
    }
  }

  @specialized(where T == Float)
  @specialized(where T == Double)
  private func pool<T: LayerElement>(_ tensor: Tensor<T>, _ threads: Threads) throws -> Tensor<T> {
    let x = tensor.contiguous()
    let place = try window.place(x.shape)
    let (area, size, norm) = (place.inputCount, place.outputCount, norm)
    var y = Tensor<T>(uninitialized: [x.shape[0] * x.shape[1], size])
    threads.forEachBlock(of: &y) { planes, output in
      for plane in planes {
        let image = x.span.extracting(plane * area..<(plane + 1) * area)
        let start = (plane - planes.lowerBound) * size
        place.forEachOutput { position, z, row, column in
          var sum: T = 0
          place.forEachTap(z, row, column) { sum += norm.term(image[$0]) }
          output[start + position] = norm.root(sum)
        }
      }
    }
    return y.reshaped(to: Shape(x.shape.dimensions[..<2] + place.output))
  }
}

/// The norm (Σ|x|ᵖ)^(1/p), term by term.
struct PowerNorm: Sendable {
  private let p: Int

  /// Reads the attribute `p`, by default 2. In operator set 1 it is a float.
  ///
  /// - Throws: `badInput` if it is below 1, `unsupported` if it is not whole.
  init(_ node: Node) throws {
    if case .float(let value) = node.attributes["p"] {
      guard let whole = Int(exactly: value) else {
        throw SwiftletError(.unsupported, "\(node.opType) with p = \(value) is not supported")
      }
      p = whole
    } else {
      p = try node.int("p", default: 2)
    }
    guard 1...1 << 20 ~= p else {
      throw SwiftletError(.badInput, "\(node.opType) has p = \(p), which must be at least 1")
    }
  }

  @inline(__always)
  func term<T: LayerElement>(_ x: T) -> T {
    switch p {
    case 1: abs(x)
    case 2: x * x
    default: T.pow(abs(x), p)
    }
  }

  @inline(__always)
  func root<T: LayerElement>(_ sum: T) -> T {
    switch p {
    case 1: sum
    case 2: sum.squareRoot()
    default: T.root(sum, p)
    }
  }
}
