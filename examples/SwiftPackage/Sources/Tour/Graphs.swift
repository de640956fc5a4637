// SPDX-License-Identifier: Apache-2.0

/// Graphs.
///
/// A graph is a model: nodes that name ONNX operators, and their weights. It is read from ONNX, or
/// built like here, changed as a value, run by a session, and written as ONNX.

import Swiftlet

func graphs(in folder: String) throws {
  var graph = Graph(
    name: "scaled", nodes: [],
    initializers: ["weight": AnyTensor(Tensor<Float>([2, 2], [1, 2, 3, 4]))],
    inputs: [ValueInfo("x", .float32, [.symbolic("N"), .fixed(2)])],
    outputs: [ValueInfo("y", .float32, [.symbolic("N"), .fixed(2)])])
  graph.nodes = [
    Node("MatMul", name: "product", inputs: ["x", "weight"], outputs: ["xw"]),
    Node("Relu", name: "positive", inputs: ["xw"], outputs: ["y"]),
  ]

  let result = try Session(graph).run(Tensor<Float>([1, 2], [1, -1]))
  print("relu([1, -1] · weight) = \(result.elements)")
  print("\(graph.parameterCount) parameters, \(try ModelCost(graph).macs) MACs")

  let path = "\(folder)/scaled.onnx"
  try ONNXFile.write(graph, to: path)
  print("\(path): \(try ONNXFile.read(path).nodes.map(\.label).joined(separator: ", "))")
}
