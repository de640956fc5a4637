// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore

/// Images assembled from columns, each the patch under a window at one position: overlapping
/// patches are summed. N×(C·patch)×positions → N×C×….
///
/// - Source: ONNX `Col2Im`, with one to three spatial axes.
public struct Col2Im: Operator {
  public static let opType = "Col2Im"
  private let node: Node

  public init(_ node: Node, opset: Int) throws { self.node = node }

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    let x = try floating(inputs, 0, "columns", rank: 3)
    _ = try required(inputs, 1, "image_shape")
    _ = try required(inputs, 2, "block_shape")
    let extents = try integers(inputs, 1, "image_shape") ?? []
    let shape = try geometry(x.shape, extents, integers(inputs, 2, "block_shape") ?? []).images
    return [TensorInfo(x.dtype, shape)]
  }

  private func geometry(
    _ columns: Shape, _ extents: [Int], _ block: [Int]
  ) throws -> (images: Shape, placement: SlidingWindow.Placement) {
    guard extents.count == block.count, block.allSatisfy({ 1...SlidingWindow.limit ~= $0 }) else {
      throw mismatch("patches \(block) do not match images \(extents)")
    }
    let patch = try Shape(checking: block).count
    guard columns[1] % patch == 0 else {
      throw mismatch("columns \(columns) are not a multiple of patches \(block)")
    }
    let images = try Shape(checking: [columns[0], columns[1] / patch] + extents)
    let placement = try SlidingWindow(node, kernel: block).place(images)
    guard placement.outputCount == columns[2] else {
      throw mismatch("\(columns[2]) positions do not match patches \(block) in \(extents)")
    }
    return (images, placement)
  }

  public func forward(
    _ inputs: inout [AnyTensor?], _ context: ExecutionContext
  ) throws -> [AnyTensor] {
    let (images, placement) = try geometry(
      inputs[0]!.shape, inputs[1]!.integers, inputs[2]!.integers)
    switch inputs[0].take()! {
    case .float64(let x): return [.float64(sums(x.contiguous(), images, placement))]
    case let x: return [.float32(sums(try x.require().contiguous(), images, placement))]
    }
  }

  @specialized(where T == Float)
  @specialized(where T == Double)
  private func sums<T: LayerElement>(
    _ columns: Tensor<T>, _ images: Shape, _ placement: SlidingWindow.Placement
  ) -> Tensor<T> {
    var result = Tensor<T>(zeros: images)
    guard result.count > 0 else { return result }
    let positions = columns.shape[2]
    let (depth, height, width) = (placement.depth, placement.height, placement.width)
    let patch = depth.kernel * height.kernel * width.kernel
    var target = result.mutableSpan
    for plane in 0..<images[0] * images[1] {
      for tap in 0..<patch {
        let offsets = (
          tap / width.kernel / height.kernel * depth.dilation - depth.before,
          tap / width.kernel % height.kernel * height.dilation - height.before,
          tap % width.kernel * width.dilation - width.before
        )
        placement.forEachOutput { position, z, y, x in
          let (row, line, column) = (
            z * depth.stride + offsets.0, y * height.stride + offsets.1,
            x * width.stride + offsets.2
          )
          guard 0..<depth.input ~= row, 0..<height.input ~= line, 0..<width.input ~= column else {
            return
          }
          let place = ((plane * depth.input + row) * height.input + line) * width.input + column
          target[place] += columns.span[(plane * patch + tap) * positions + position]
        }
      }
    }
    return result
  }
}
