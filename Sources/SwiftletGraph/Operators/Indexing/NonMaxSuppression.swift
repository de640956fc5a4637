// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore

/// The boxes of each image and class that remain when, in order of decreasing score, boxes that
/// overlap a kept one too much are dropped: rows of image, class and box.
///
/// - Source: ONNX `NonMaxSuppression`. On equal scores the earlier box comes first.
public struct NonMaxSuppression: Operator {
  public static let opType = "NonMaxSuppression"
  private let isCentered: Bool

  public init(_ node: Node, opset: Int) throws {
    isCentered = try node.int("center_point_box", default: 0) != 0
  }

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    let boxes = try required(inputs, 0, "boxes") { $0 == .float32 }
    let scores = try required(inputs, 1, "scores") { $0 == .float32 }
    guard boxes.shape.rank == 3, scores.shape.rank == 3, boxes.shape[2] == 4,
      boxes.shape[0] == scores.shape[0], boxes.shape[1] == scores.shape[2]
    else { throw mismatch("boxes \(boxes.shape) and scores \(scores.shape) do not match") }
    for index in 2..<max(2, min(5, inputs.count)) {
      guard let setting = inputs[index] else { continue }
      guard setting.shape.count == 1, setting.dtype == (index == 2 ? .int64 : .float32) else {
        throw mismatch(
          "input \(index) is \(setting.dtype) \(setting.shape), but must be one number")
      }
    }
    guard inputs.allSatisfy({ $0 == nil || $0!.value != nil }) else { throw DataDependentShape() }
    let kept = try kept(inputs.map { $0?.value })
    return [TensorInfo(.int64, [kept.count / 3, 3])]
  }

  public func forward(
    _ inputs: inout [AnyTensor?], _ context: ExecutionContext
  ) throws -> [AnyTensor] {
    let kept = try kept(inputs)
    return [.int64(Tensor([kept.count / 3, 3], kept))]
  }

  private func kept(_ inputs: [AnyTensor?]) throws -> [Int64] {
    func number(_ index: Int) throws -> Float? {
      index < inputs.count ? try inputs[index]?.require(Float.self).elements[0] : nil
    }
    let limit = inputs.count > 2 ? inputs[2]?.integers[0] ?? 0 : 0
    let (overlap, threshold) = (try number(3) ?? 0, try number(4))
    let boxes = try inputs[0]!.require(Float.self)
    let scores = try inputs[1]!.require(Float.self)
    let count = boxes.shape[1]
    let (corners, values) = (boxes.elements, scores.elements)
    var result: [Int64] = []
    for image in 0..<boxes.shape[0] {
      let all = (0..<count).map { box in
        Box(corners[(image * count + box) * 4..<(image * count + box) * 4 + 4], isCentered)
      }
      for label in 0..<scores.shape[1] {
        let start = (image * scores.shape[1] + label) * count
        let candidates = (0..<count)
          .filter { box in threshold.map { values[start + box] > $0 } ?? true }
          .sorted {
            let (a, b) = (values[start + $0], values[start + $1])
            return a != b ? a > b || b.isNaN && !a.isNaN : $0 < $1
          }
        var kept: [Int] = []
        for box in candidates {
          if kept.count >= limit { break }
          if !kept.contains(where: { all[$0].overlap(all[box]) > overlap }) { kept.append(box) }
        }
        for box in kept { result += [Int64(image), Int64(label), Int64(box)] }
      }
    }
    return result
  }

  private struct Box {
    let left, right, top, bottom: Float

    /// From two opposite corners, y first, or from a centre, width and height.
    init(_ numbers: ArraySlice<Float>, _ isCentered: Bool) {
      let n = Array(numbers)
      if isCentered {
        (left, right) = (n[0] - n[2] / 2, n[0] + n[2] / 2)
        (top, bottom) = (n[1] - n[3] / 2, n[1] + n[3] / 2)
      } else {
        (left, right) = (min(n[1], n[3]), max(n[1], n[3]))
        (top, bottom) = (min(n[0], n[2]), max(n[0], n[2]))
      }
    }

    private var area: Float { (right - left) * (bottom - top) }

    /// The area of the intersection divided by that of the union (IoU).
    func overlap(_ other: Box) -> Float {
      let width = min(right, other.right) - max(left, other.left)
      let height = min(bottom, other.bottom) - max(top, other.top)
      guard width > 0, height > 0, area > 0, other.area > 0 else { return -.infinity }
      return width * height / (area + other.area - width * height)
    }
  }
}
