// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore

/// Rectangles of images, each cut into a grid of bins of which each becomes its greatest value:
/// X N×C×H×W, rectangles R×5 (image, x1, y1, x2, y2, both ends inclusive) → R×C×bins.
///
/// - Source: ONNX `MaxRoiPool`; Girshick 2015, arXiv:1504.08083.
public struct MaxRoiPool: Operator {
  public static let opType = "MaxRoiPool"
  private let height, width: Int
  private let scale: Double

  public init(_ node: Node, opset: Int) throws {
    let bins = try node.ints("pooled_shape") ?? []
    guard bins.count == 2, bins.allSatisfy({ 1...SlidingWindow.limit ~= $0 }) else {
      throw SwiftletError(
        .badInput, "MaxRoiPool has pooled_shape \(bins), which must be two numbers of at least 1")
    }
    (height, width) = (bins[0], bins[1])
    scale = Double(try node.float("spatial_scale", default: 1))
  }

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    let x = try floating(inputs, 0, "input", rank: 4)
    let boxes = try floating(inputs, 1, "rectangles", rank: 2)
    guard boxes.shape[1] == 5, x.shape[2] > 0, x.shape[3] > 0 else {
      throw mismatch(
        "rectangles \(boxes.shape) must have 5 columns, and the input \(x.shape) must not be empty")
    }
    return [
      TensorInfo(x.dtype, try Shape(checking: [boxes.shape[0], x.shape[1], height, width]))
    ]
  }

  public func forward(
    _ inputs: inout [AnyTensor?], _ context: ExecutionContext
  ) throws -> [AnyTensor] {
    let boxes: Tensor<Double> = try inputs[1]!.converted(to: .float64).require()
    switch inputs[0]! {
    case .float64(let x): return [.float64(try pooled(x, boxes.elements))]
    case let x: return [.float32(try pooled(x.require(), boxes.elements))]
    }
  }

  @specialized(where T == Float)
  @specialized(where T == Double)
  private func pooled<T: LayerElement>(_ x: Tensor<T>, _ boxes: [Double]) throws -> Tensor<T> {
    let x = x.contiguous()
    let (images, channels, rows, columns) = (x.shape[0], x.shape[1], x.shape[2], x.shape[3])
    let count = boxes.count / 5
    var result = Tensor<T>(zeros: [count, channels, height, width])
    var output = result.mutableSpan
    for box in 0..<count {
      let values = Array(boxes[5 * box..<5 * box + 5])
      guard values.allSatisfy({ abs($0) < 1e9 }), 0..<images ~= Int(values[0]) else {
        throw mismatch("rectangle \(box), \(values), is invalid for \(images) images")
      }
      let corners = values[1...].map { Int(($0 * scale).rounded()) }
      let vertical = bins(from: corners[1], to: corners[3], height, below: rows)
      let horizontal = bins(from: corners[0], to: corners[2], width, below: columns)
      for channel in 0..<channels {
        let plane = (Int(values[0]) * channels + channel) * rows * columns
        for (row, ys) in vertical.enumerated() {
          for (column, xs) in horizontal.enumerated() where !ys.isEmpty && !xs.isEmpty {
            var greatest = -T.infinity
            for y in ys {
              for place in xs {
                let value = x.span[plane + y * columns + place]
                if value > greatest || value.isNaN { greatest = value }
              }
            }
            output[((box * channels + channel) * height + row) * width + column] = greatest
          }
        }
      }
    }
    return result
  }

  /// The places of each bin, within the image.
  private func bins(from start: Int, to end: Int, _ count: Int, below limit: Int) -> [Range<Int>] {
    let size = Double(max(end - start + 1, 1)) / Double(count)
    return (0..<count).map { bin in
      let low = start + Int((Double(bin) * size).rounded(.down))
      let high = start + Int((Double(bin + 1) * size).rounded(.up))
      let first = min(max(low, 0), limit)
      return first..<max(first, min(max(high, 0), limit))
    }
  }
}
