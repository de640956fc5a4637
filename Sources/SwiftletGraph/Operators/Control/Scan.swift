// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore

/// A subgraph that runs on each slice of some inputs in turn, and on loop-carried values; its other
/// outputs are stacked over the slices.
///
/// - Source: ONNX `Scan`, from operator set 9 on.
public struct Scan: Operator {
  public static let opType = "Scan"
  private let body: Interpreter
  /// The numbers of loop-carried values, sliced inputs, and stacked outputs.
  private let carried, scanned, stacked: Int
  private let inputAxes, outputAxes: [Int]
  private let inputReversed, outputReversed: [Bool]

  public init(_ node: Node, opset: Int) throws {
    guard opset >= 9 else {
      throw SwiftletError(
        .unsupported, "Scan of operator set \(opset), over a batch, is not supported")
    }
    let graph = try node.graph("body")
    scanned = try node.int("num_scan_inputs", default: 0)
    guard scanned >= 1, scanned <= node.inputs.count, graph.dataInputs.count == node.inputs.count,
      graph.outputs.count == node.outputs.count,
      graph.outputs.count >= node.inputs.count - scanned
    else {
      throw SwiftletError(
        .badInput,
        "Scan has \(node.inputs.count) inputs, \(scanned) of them scanned, and "
          + "\(node.outputs.count) outputs, which do not match the \(graph.dataInputs.count) "
          + "inputs and \(graph.outputs.count) outputs of its body")
    }
    carried = node.inputs.count - scanned
    stacked = node.outputs.count - carried
    func list(_ name: String, _ count: Int) throws -> [Int] {
      let values = try node.ints(name) ?? [Int](repeating: 0, count: count)
      guard values.count == count else {
        throw SwiftletError(
          .badInput, "\(name) of Scan has \(values.count) values, but must have \(count)")
      }
      return values
    }
    inputAxes = try list("scan_input_axes", scanned)
    outputAxes = try list("scan_output_axes", stacked)
    inputReversed = try list("scan_input_directions", scanned).map { $0 != 0 }
    outputReversed = try list("scan_output_directions", stacked).map { $0 != 0 }
    body = try locating("body") { try Interpreter(graph, captured: node.captures) }
  }

  /// The number of slices, and what is known of one slice of each input.
  private func slices(_ inputs: [TensorInfo]) throws -> (count: Int, infos: [TensorInfo]) {
    var counts: Set<Int> = []
    let infos = try zip(inputs, inputAxes).map { info, axis in
      let axis = try self.axis(axis, rank: info.shape.rank)
      counts.insert(info.shape[axis])
      var extents = info.shape.dimensions
      extents.remove(at: axis)
      return TensorInfo(info.dtype, Shape(extents))
    }
    guard counts.count == 1 else {
      throw mismatch("the inputs have different numbers of slices: \(counts.sorted())")
    }
    return (counts.first!, infos)
  }

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    let own = try (0..<carried + scanned).map { try required(inputs, $0, "input") }
    let (count, infos) = try slices(Array(own[carried...]))
    let state = own[..<carried].map { TensorInfo($0.dtype, $0.shape) }
    let captured = inputs[(carried + scanned)...].map { $0! }
    let results = try body.inferInner(captured, inputs: state + infos)
    guard zip(results, state).allSatisfy({ $0 == $1 }) else {
      throw mismatch("a loop-carried value changes its type or shape")
    }
    return try state
      + zip(results[carried...], outputAxes).map { info, axis in
        var extents = info.shape.dimensions
        extents.insert(count, at: try self.axis(axis, rank: extents.count + 1))
        return TensorInfo(info.dtype, try Shape(checking: extents))
      }
  }

  public func forward(
    _ inputs: inout [AnyTensor?], _ context: ExecutionContext
  ) throws -> [AnyTensor] {
    var state = inputs[..<carried].map { $0! }
    let sources = inputs[carried..<carried + scanned].map { $0! }
    let captured = inputs[(carried + scanned)...].map { $0! }
    let (count, infos) = try slices(sources.map(TensorInfo.init))
    var stacks = [TensorStack](repeating: TensorStack(), count: stacked)
    for round in 0..<count {
      let parts = try sources.indices.map { index in
        try Self.slice(
          sources[index], axis: axis(inputAxes[index], rank: sources[index].shape.rank),
          at: inputReversed[index] ? count - 1 - round : round)
      }
      let results = try body.runInner(captured, inputs: state + parts, context)
      state = Array(results[..<carried])
      for index in stacks.indices { try stacks[index].append(results[carried + index]) }
    }
    guard count > 0 else {
      let known = try body.inferInner(
        captured.map(TensorInfo.init), inputs: state.map(TensorInfo.init) + infos)
      return try state
        + zip(known[carried...], outputAxes).map { info, axis in
          try TensorStack.empty(
            info.dtype, info.shape, axis: self.axis(axis, rank: info.shape.rank + 1))
        }
    }
    return try state
      + stacks.indices.map { index in
        try stacks[index].stacked(
          axis: axis(outputAxes[index], rank: stacks[index].rank + 1),
          reversed: outputReversed[index])
      }
  }

  private static func slice(_ tensor: AnyTensor, axis: Int, at index: Int) throws -> AnyTensor {
    func opened<T: TensorElement>(_: T.Type) throws -> AnyTensor {
      let slice = try tensor.require(T.self).slice(axis: axis, range: index..<index + 1)
      var extents = slice.shape.dimensions
      extents.remove(at: axis)
      return AnyTensor(slice.reshaped(to: Shape(extents)))
    }
    return try opened(tensor.dtype.elementType)
  }
}
