// SPDX-License-Identifier: Apache-2.0

import Foundation
import OrderedCollections
import SwiftletCore
import SwiftletGraph
import SwiftletRuntime
import Testing

/// Profiles of layers: what they compute, and their form in files.
struct ProfileTests {
  /// A matrix product, with 4-bit weights if asked, of bytes if asked.
  private func product(isGroupwise: Bool, readsBytes: Bool = false) -> Graph {
    var graph = model(
      [value("x", .float32, .symbolic("N"), .fixed(16))], [node("MatMul", ["x", "w"], "y")],
      ["w": floats([16, 6])], outputs: [value("y", .float32, .symbolic("N"), .fixed(6))])
    graph.opset = 21
    if isGroupwise {
      graph.initializers["w"] = nil
      graph.initializers["c"] = .uint4(
        Tensor([16, 6], (0..<96).map { UInt4(bits: UInt8($0 % 16)) }))
      graph.initializers["s"] = scalar(0.1)
      graph.nodes.insert(node("DequantizeLinear", ["c", "s"], "w"), at: 0)
    }
    if readsBytes {
      graph.initializers["z"] = .uint8(Tensor([], [7]))
      graph.initializers["t"] = scalar(0.02)
      graph.nodes[graph.nodes.count - 1].inputs[0] = "d"
      graph.nodes.insert(node("DequantizeLinear", ["q", "t", "z"], "d"), at: 0)
      graph.nodes.insert(node("QuantizeLinear", ["x", "t", "z"], "q"), at: 0)
    }
    return graph
  }

  private func profile(
    _ graph: Graph, precision: Precision = .fp32
  ) throws -> [LayerProfile] {
    try Session(graph, threads: .serial, precision: precision)
      .profile(["x": floats([3, 16])], runs: 1)
  }

  @Test func encodedFormHasTheText() throws {
    let rows = try profile(product(isGroupwise: false))
    #expect(rows.map(\.computations.count) == [1, 1, 1])
    let data = try JSONEncoder().encode(rows)
    let objects = try #require(
      try JSONSerialization.jsonObject(with: data) as? [[String: Any]])
    for object in objects {
      #expect(
        Set(object.keys) == ["layer", "kernel", "milliseconds", "gigaOperationsPerSecond"])
    }
    let decoded = try JSONDecoder().decode([LayerProfile].self, from: data)
    #expect(decoded.map(\.layer) == rows.map(\.layer))
    #expect(decoded.map(\.kernel) == rows.map { "\($0.computations[0])" })
    #expect(decoded.allSatisfy { $0.computations.isEmpty })
  }

  /// Speeds are compared with the peak for the numbers that the kernel multiplies.
  @Test func peakOfEachLayer() throws {
    let peaks = try JSONDecoder().decode(
      Peaks.self, from: Data(#"{"float": 1, "bfloat": 2, "integer": 4, "memory": 8}"#.utf8))
    func peak(_ graph: Graph, _ precision: Precision = .fp32) throws -> Double {
      let rows = try profile(graph, precision: precision)
      return peaks.operations(of: try #require(rows.first { $0.gigaOperationsPerSecond > 0 }))
    }
    #expect(try peak(product(isGroupwise: false)) == 1)
    #expect(try peak(product(isGroupwise: false), .bf16) == 2)
    #expect(try peak(product(isGroupwise: true)) == 1)
    #expect(try peak(product(isGroupwise: true, readsBytes: true)) == 4)
  }
}
