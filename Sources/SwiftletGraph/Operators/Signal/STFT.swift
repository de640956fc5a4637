// SPDX-License-Identifier: Apache-2.0

import SwiftletCore

/// Discrete Fourier transforms of frames of a signal N×L or N×L×1 (real) or N×L×2 (complex), each
/// multiplied by a window: N×frames×frequencies×2.
///
/// A frame starts every `frame_step` elements; only frames entirely inside the signal count. By
/// default only the first ⌊n/2⌋ + 1 frequencies are returned.
///
/// - Source: ONNX `STFT`.
struct STFT: Operator {
  static let opType = "STFT"
  private let isOneSided: Bool

  init(_ node: Node, opset: Int) throws { isOneSided = try node.int("onesided", default: 1) != 0 }

  private struct Layout {
    let step, length, frames, output: Int
    let isComplex: Bool
  }

  private func layout(_ inputs: [TensorInfo?]) throws -> Layout {
    let x = try floating(inputs, 0, "signal")
    guard 2...3 ~= x.shape.rank, x.shape.rank == 2 || 1...2 ~= x.shape[2] else {
      throw mismatch("signal \(x.shape) is not N×L, N×L×1 or N×L×2")
    }
    let isComplex = x.shape.rank == 3 && x.shape[2] == 2
    _ = try required(inputs, 1, "frame_step")
    let step = try integers(inputs, 1, "frame_step")?.first ?? 0
    let window = inputs.count > 2 ? inputs[2] : nil
    if let window, window.shape.rank != 1 || window.dtype != x.dtype {
      throw mismatch("window \(window.dtype) \(window.shape) does not match a \(x.dtype) signal")
    }
    let asked = try integers(inputs, 3, "frame_length")?.first
    guard let length = asked ?? window?.shape[0], 1...DFT.lengthLimit ~= length,
      window.map({ $0.shape[0] == length }) ?? true, step > 0, length <= x.shape[1]
    else {
      throw mismatch(
        "frames of \(asked ?? window?.shape[0] ?? 0) in steps of \(step) "
          + "do not fit signal \(x.shape)")
    }
    guard !(isOneSided && isComplex) else {
      throw mismatch("onesided does not apply to a complex signal")
    }
    return Layout(
      step: step, length: length, frames: (x.shape[1] - length) / step + 1,
      output: isOneSided ? length / 2 + 1 : length, isComplex: isComplex)
  }

  func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    let layout = try layout(inputs)
    let x = inputs[0]!
    return [
      TensorInfo(x.dtype, try Shape(checking: [x.shape[0], layout.frames, layout.output, 2]))
    ]
  }

  func forward(_ inputs: inout [AnyTensor?], _ context: ExecutionContext) throws -> [AnyTensor] {
    let x = inputs[0]!
    let layout = try layout(inputs.map { $0.map(TensorInfo.init) })
    let values = try x.converted(to: .float64).require(Double.self).contiguous()
    let window =
      try (inputs.count > 2 ? inputs[2] : nil)?.converted(to: .float64).require(Double.self)
      .elements
      ?? [Double](repeating: 1, count: layout.length)
    let parts = layout.isComplex ? 2 : 1
    let transform = DiscreteFourier(count: layout.length)
    var y = Tensor<Double>(uninitialized: [x.shape[0] * layout.frames, layout.output * 2])
    let extent = x.shape[1]
    context.threads.forEachBlock(of: &y, minimumWork: 1 << 10) { frames, output in
      for frame in frames {
        let first = frame / layout.frames * extent + frame % layout.frames * layout.step
        let signal: DiscreteFourier.Numbers = (
          (0..<layout.length).map { values.span[(first + $0) * parts] * window[$0] },
          layout.isComplex
            ? (0..<layout.length).map { values.span[(first + $0) * parts + 1] * window[$0] }
            : [Double](repeating: 0, count: layout.length)
        )
        let result = transform.transformed(signal)
        let start = (frame - frames.lowerBound) * layout.output * 2
        for k in 0..<layout.output {
          output[start + 2 * k] = result.real[k]
          output[start + 2 * k + 1] = result.imaginary[k]
        }
      }
    }
    let shape: Shape = [x.shape[0], layout.frames, layout.output, 2]
    return [AnyTensor(y.reshaped(to: shape)).converted(to: x.dtype)]
  }
}
