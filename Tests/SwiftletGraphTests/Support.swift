// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletGraph
import Testing

/// Runs one operator as an interpreter would, and checks that the results are what inference said.
func compute(
  _ opType: String, _ inputs: [AnyTensor?], _ attributes: [String: Attribute] = [:],
  outputs: Int = 1, opset: Int = 17, threads: Int = 1
) throws -> [AnyTensor] {
  let node = Node(
    opType, name: "n", inputs: inputs.indices.map { inputs[$0] == nil ? "" : "x\($0)" },
    outputs: (0..<outputs).map { "y\($0)" }, attributes: attributes)
  let op = try OperatorRegistry.make(node, opset: opset)
  let infos = try op.infer(inputs.map { $0.map(TensorInfo.init) })
  var operands = inputs
  let results = try op.forward(&operands, ExecutionContext(threads: Threads(count: threads)))
  #expect(results.map(TensorInfo.init) == infos)
  return results
}

/// An operator on inputs, and the results that it must give.
struct OperatorCase: Sendable, CustomStringConvertible {
  let opType: String
  let inputs: [AnyTensor?]
  let attributes: [String: Attribute]
  let expected: [AnyTensor]
  let opset: Int

  init(
    _ opType: String, _ inputs: [AnyTensor?], _ attributes: [String: Attribute] = [:],
    gives expected: AnyTensor..., opset: Int = 17
  ) {
    (self.opType, self.inputs, self.attributes) = (opType, inputs, attributes)
    (self.expected, self.opset) = (expected, opset)
  }

  var description: String {
    let shapes = inputs.map { $0.map { "\($0.dtype) \($0.shape)" } ?? "-" }
    return "\(opType) \(shapes.joined(separator: ", ")) \(attributes.keys.sorted())"
  }

  func check(threads: Int = 1) throws {
    let results = try compute(
      opType, inputs, attributes, outputs: expected.count, opset: opset, threads: threads)
    #expect(results == expected, "\(results.map(contents)) for \(expected.map(contents))")
  }

  private func contents(_ tensor: AnyTensor) -> String {
    func opened<T: TensorElement>(_: T.Type) -> String {
      "\(tensor.dtype) \(tensor.shape): \(tensor.typed(as: T.self)!.elements)"
    }
    return opened(tensor.dtype.elementType)
  }
}

/// An operator that must refuse its inputs.
struct Refusal: Sendable, CustomStringConvertible {
  let opType: String
  let inputs: [AnyTensor?]
  let attributes: [String: Attribute]
  let outputs: Int

  init(
    _ opType: String, _ inputs: [AnyTensor?], _ attributes: [String: Attribute] = [:],
    outputs: Int = 1
  ) {
    (self.opType, self.inputs) = (opType, inputs)
    (self.attributes, self.outputs) = (attributes, outputs)
  }

  var description: String {
    "\(opType) \(inputs.map { $0.map { "\($0.dtype) \($0.shape)" } ?? "-" }) \(attributes)"
  }

  func check() {
    #expect(throws: SwiftletError.self) {
      try compute(opType, inputs, attributes, outputs: outputs)
    }
  }
}

func floats(_ shape: Shape, _ values: [Float]) -> AnyTensor { .float32(Tensor(shape, values)) }
func ints(_ shape: Shape, _ values: [Int64]) -> AnyTensor { .int64(Tensor(shape, values)) }
func bools(_ shape: Shape, _ values: [Bool]) -> AnyTensor { .bool(Tensor(shape, values)) }
/// A list of integers.
func list(_ values: Int64...) -> AnyTensor { ints([values.count], values) }
/// The numbers 0, 1, … in fp32.
func count(_ shape: Shape) -> AnyTensor {
  floats(shape, (0..<shape.count).map(Float.init))
}

/// A node of onnxruntime's own operators, by default.
func contribNode(
  _ opType: String, _ inputs: [String], _ attributes: [String: Attribute] = [:],
  outputs: [String] = ["y"], domain: String = "com.microsoft"
) -> Node {
  Node(
    opType, name: opType, domain: domain, inputs: inputs, outputs: outputs, attributes: attributes)
}
