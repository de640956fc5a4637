// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore

/// Rectangles of images, each divided into a grid of bins; each bin gives the mean or the maximum
/// of values sampled in it: X N×C×H×W, rectangles R×4 (x1, y1, x2, y2), images R → R×C×bins.
///
/// - Source: ONNX `RoiAlign`; He et al. 2017.
public struct RoiAlign: Operator {
  public static let opType = "RoiAlign"
  private let takesMean, isHalfPixel: Bool
  private let height, width, samples: Int
  private let scale: Double

  /// More samples per bin are rejected: rectangles come from data.
  private static let sampleLimit = 1 << 16

  public init(_ node: Node, opset: Int) throws {
    let mode = try node.string("mode", default: "avg")
    let coordinates = try node.string(
      "coordinate_transformation_mode",
      default: opset >= 16 ? "half_pixel" : "output_half_pixel")
    guard ["avg", "max"].contains(mode), ["half_pixel", "output_half_pixel"].contains(coordinates)
    else {
      throw SwiftletError(
        .badInput,
        "RoiAlign has mode '\(mode)', which must be avg or max, or coordinate_transformation_mode "
          + "'\(coordinates)', which must be half_pixel or output_half_pixel")
    }
    (takesMean, isHalfPixel) = (mode == "avg", coordinates == "half_pixel")
    height = try node.int("output_height", default: 1)
    width = try node.int("output_width", default: 1)
    samples = try node.int("sampling_ratio", default: 0)
    scale = Double(try node.float("spatial_scale", default: 1))
    guard 1...SlidingWindow.limit ~= height, 1...SlidingWindow.limit ~= width,
      0...256 ~= samples
    else {
      throw SwiftletError(
        .badInput,
        "RoiAlign has \(height)×\(width) bins, which must be at least 1×1, and sampling_ratio "
          + "\(samples), which must be 0 to 256")
    }
  }

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    let x = try floating(inputs, 0, "input", rank: 4)
    let boxes = try floating(inputs, 1, "rectangles", rank: 2)
    let images = try required(inputs, 2, "images") { $0 == .int64 }
    guard boxes.shape[1] == 4, images.shape == [boxes.shape[0]], x.shape[2] > 0, x.shape[3] > 0
    else {
      throw mismatch(
        "rectangles \(boxes.shape) and image indices \(images.shape) do not match \(x.shape)")
    }
    return [
      TensorInfo(x.dtype, try Shape(checking: [boxes.shape[0], x.shape[1], height, width]))
    ]
  }

  public func forward(
    _ inputs: inout [AnyTensor?], _ context: ExecutionContext
  ) throws -> [AnyTensor] {
    let boxes: Tensor<Double> = try inputs[1]!.converted(to: .float64).require()
    let images = inputs[2]!.integers
    guard images.allSatisfy({ 0..<inputs[0]!.shape[0] ~= $0 }) else {
      throw mismatch("image indices \(images.prefix(8)) are not in 0..<\(inputs[0]!.shape[0])")
    }
    switch inputs[0]! {
    case .float64(let x): return [.float64(try aligned(x, boxes.elements, images))]
    case let x: return [.float32(try aligned(x.require(), boxes.elements, images))]
    }
  }

  /// The four neighbours of a sample and their weights.
  private struct Sample {
    var positions = (0, 0, 0, 0)
    var weights = (0.0, 0.0, 0.0, 0.0)
  }

  @specialized(where T == Float)
  @specialized(where T == Double)
  private func aligned<T: LayerElement>(
    _ x: Tensor<T>, _ boxes: [Double], _ images: [Int]
  ) throws -> Tensor<T> {
    let x = x.contiguous()
    let (channels, area) = (x.shape[1], x.shape[2] * x.shape[3])
    let bins = height * width
    var result = Tensor<T>(zeros: [images.count, channels, height, width])
    var output = result.mutableSpan
    for (box, image) in images.enumerated() {
      let corners = boxes[4 * box..<4 * box + 4].map { $0 * scale - (isHalfPixel ? 0.5 : 0) }
      guard corners.allSatisfy({ abs($0) < 1e9 }) else {
        throw mismatch("rectangle \(box) is invalid: \(Array(boxes[4 * box..<4 * box + 4]))")
      }
      var (boxWidth, boxHeight) = (corners[2] - corners[0], corners[3] - corners[1])
      if !isHalfPixel { (boxWidth, boxHeight) = (max(boxWidth, 1), max(boxHeight, 1)) }
      let (binHeight, binWidth) = (boxHeight / Double(height), boxWidth / Double(width))
      let rows = samples > 0 ? samples : max(0, Int(binHeight.rounded(.up)))
      let columns = samples > 0 ? samples : max(0, Int(binWidth.rounded(.up)))
      guard rows <= Self.sampleLimit, columns <= Self.sampleLimit,
        rows * columns <= Self.sampleLimit
      else {
        throw SwiftletError(
          .unsupported, "RoiAlign with \(rows)×\(columns) samples per bin is not supported")
      }
      for bin in 0..<bins {
        let top = corners[1] + Double(bin / width) * binHeight
        let left = corners[0] + Double(bin % width) * binWidth
        var places: [Sample] = []
        for row in 0..<rows {
          for column in 0..<columns {
            places.append(
              sample(
                y: top + (Double(row) + 0.5) * binHeight / Double(rows),
                x: left + (Double(column) + 0.5) * binWidth / Double(columns), x.shape))
          }
        }
        for channel in 0..<channels {
          let plane = x.span.extracting(
            (image * channels + channel) * area..<(image * channels + channel + 1) * area)
          output[(box * channels + channel) * bins + bin] = T(value(places, plane))
        }
      }
    }
    return result
  }

  private func sample(y: Double, x: Double, _ shape: Shape) -> Sample {
    let (height, width) = (shape[2], shape[3])
    guard -1...Double(height) ~= y, -1...Double(width) ~= x else { return Sample() }
    func neighbours(_ place: Double, _ extent: Int) -> (low: Int, high: Int, fraction: Double) {
      let place = max(0, place)
      let low = Int(place)
      return low >= extent - 1
        ? (extent - 1, extent - 1, 0) : (low, low + 1, place - Double(low))
    }
    let (row, column) = (neighbours(y, height), neighbours(x, width))
    return Sample(
      positions: (
        row.low * width + column.low, row.low * width + column.high,
        row.high * width + column.low, row.high * width + column.high
      ),
      weights: (
        (1 - row.fraction) * (1 - column.fraction), (1 - row.fraction) * column.fraction,
        row.fraction * (1 - column.fraction), row.fraction * column.fraction
      ))
  }

  /// The mean of the samples, or the maximum of all weighted neighbours.
  @inline(__always)
  private func value<T: LayerElement>(_ samples: [Sample], _ plane: Span<T>) -> Double {
    var sum = 0.0
    var greatest: Double?
    for sample in samples {
      let (p, w) = (sample.positions, sample.weights)
      let (a, b) = (w.0 * Double(plane[p.0]), w.1 * Double(plane[p.1]))
      let (c, d) = (w.2 * Double(plane[p.2]), w.3 * Double(plane[p.3]))
      sum += a + b + c + d
      greatest = max(greatest ?? -.infinity, a, b, c, d)
    }
    return takesMean ? sum / Double(max(1, samples.count)) : greatest ?? 0
  }
}
