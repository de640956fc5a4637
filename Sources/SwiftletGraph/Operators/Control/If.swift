// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore

/// The outputs of one of two subgraphs, selected by the condition.
///
/// The branches read values of the enclosing graph by name: ``Interpreter`` passes those after the
/// condition.
///
/// - Source: ONNX `If`.
public struct If: Operator {
  public static let opType = "If"
  private let branches: (then: Interpreter, otherwise: Interpreter)

  public init(_ node: Node, opset: Int) throws {
    guard node.inputs.count == 1 else {
      throw SwiftletError(
        .badInput, "If has \(node.inputs.count) inputs, but takes one, the condition")
    }
    func branch(_ name: String) throws -> Interpreter {
      let graph = try node.graph(name)
      guard graph.dataInputs.isEmpty, graph.outputs.count == node.outputs.count else {
        throw SwiftletError(
          .badInput,
          "'\(name)' of If has \(graph.dataInputs.count) inputs and \(graph.outputs.count) "
            + "outputs, but must have none and \(node.outputs.count)")
      }
      return try locating(name) { try Interpreter(graph, captured: node.captures) }
    }
    branches = (try branch("then_branch"), try branch("else_branch"))
  }

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    let condition = try required(inputs, 0, "condition") { $0 == .bool }
    guard condition.shape.count == 1 else {
      throw mismatch("condition \(condition.shape) is not a single element")
    }
    let captured = inputs.dropFirst().map { $0! }
    if let value = condition.value { return try branch(value).inferInner(captured) }
    // An error in a branch matters only when it is taken.
    guard let results = try? branches.then.inferInner(captured),
      let others = try? branches.otherwise.inferInner(captured), results == others
    else { throw DataDependentShape() }
    return results.map { TensorInfo($0.dtype, $0.shape) }
  }

  private func branch(_ condition: AnyTensor) throws -> Interpreter {
    try condition.require(Bool.self).elements[0] ? branches.then : branches.otherwise
  }

  public func forward(
    _ inputs: inout [AnyTensor?], _ context: ExecutionContext
  ) throws -> [AnyTensor] {
    let interpreter = try branch(inputs.removeFirst()!)
    return try interpreter.runInner(inputs.map { $0! }, context)
  }
}
