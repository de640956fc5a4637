// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletFormats
import SwiftletGraph
import Testing
import _SwiftletTestSupport

/// Models that contradict themselves.
struct ONNXLieTests {
  private let opset: [UInt8] = [0x42, 2, 0x10, 17]

  private func model(_ graph: [UInt8], version: UInt8 = 8, _ more: [UInt8] = []) -> [UInt8] {
    [0x08, version] + field(7, graph) + opset + more
  }

  private func node(_ attributes: [UInt8]...) -> [UInt8] {
    field(
      1,
      field(1, "x") + field(2, "y") + field(4, "Softmax")
        + attributes.flatMap { field(5, $0) })
  }

  private let axis: [UInt8] = [0x0a, 4] + Array("axis".utf8) + [0x18, 0, 0xa0, 1, 2]

  @Test func versionsMustAgree() throws {
    #expect(try ONNXFile.decode(model(node(axis))).nodes.count == 1)
    expectError(.badInput, "version 0") { try ONNXFile.decode(model(node(axis), version: 0)) }
    #expect(try ONNXFile.decode(model(node(axis), opset)).opset == 17)
    expectError(.badInput, "several versions") {
      try ONNXFile.decode(model(node(axis), [0x42, 2, 0x10, 13]))
    }
  }

  @Test func namesComeOnce() {
    expectError(.badInput, "'axis' occurs twice") { try ONNXFile.decode(model(node(axis, axis))) }
    let metadata = field(14, field(1, "k") + field(2, "v"))
    expectError(.badInput, "'k' occurs twice") {
      try ONNXFile.decode(model(node(axis), metadata + metadata))
    }
    let tensor = field(5, [0x08, 1, 0x10, 1] + field(8, "w") + field(9, [0, 0, 0, 0]))
    expectError(.badInput, "occurs twice") { try ONNXFile.decode(model(tensor + tensor)) }
    let external = field(13, field(1, "location") + field(2, "a"))
    expectError(.badInput, "location of external data occurs twice") {
      try ONNXFile.decode(
        model(field(5, [0x08, 1, 0x10, 1, 0x70, 1] + field(8, "w") + external + external)))
    }
  }

  @Test func attributesAreOfOneKind() {
    // An integer that has a float as well.
    expectError(.badInput, "match the declared kind") {
      try ONNXFile.decode(model(node(axis + [0x15, 0, 0, 0, 0])))
    }
  }

  /// Texts that are none are bytes of some other program.
  @Test func bytesInAttributesComeBack() throws {
    let blob = field(1, "blob") + field(4, [0xff, 0, 0xfe]) + [0xa0, 1, 3]
    let graph = try ONNXFile.decode(model(node(blob)))
    #expect(graph.nodes[0].attributes["blob"] == .unread(blob))
    let again = try ONNXFile.decode(ONNXFile.encode(graph))
    #expect(again.nodes == graph.nodes)
  }

  private func nested(_ depth: Int) -> [UInt8] {
    var graph: [UInt8] = node(axis)
    for _ in 1..<depth { graph = node(field(1, "g") + field(6, graph) + [0xa0, 1, 5]) }
    return model(graph)
  }

  @Test func graphsNestNoDeeperThan64() throws {
    let graph = try ONNXFile.decode(nested(64))
    #expect(try ONNXFile.decode(ONNXFile.encode(graph)).nodes == graph.nodes)
    for depth in [65, 100, 2000] {
      expectError(.badInput, "nested too deeply") { try ONNXFile.decode(nested(depth)) }
    }
  }

  @Test(
    arguments: [
      [0x3a, 0xff, 0xff, 0xff, 0xff, 0x07],
      [0x3a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
      [0x0b], [0, 0], [0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
      [0x3a, 2, 0x0a], [0x3e, 0],
    ] as [[UInt8]])
  func brokenFieldsAreRefused(bytes: [UInt8]) {
    expectError(.badInput) { try ONNXFile.decode([0x08, 8] + opset + bytes) }
  }

  @Test(arguments: [[-1], [1 << 62, 4], [1 << 31, 1 << 32, 2], [.min]])
  func shapesMustBePossible(dimensions: [Int]) {
    var dims: [UInt8] = []
    for extent in dimensions {
      dims.append(0x08)
      var rest = UInt64(bitPattern: Int64(extent))
      while rest > 0x7f {
        dims.append(UInt8(rest & 0x7f) | 0x80)
        rest >>= 7
      }
      dims.append(UInt8(rest))
    }
    let tensor = field(5, dims + [0x10, 1] + field(8, "w") + field(9, [0, 0, 0, 0]))
    expectError(.badInput, "tensor 'w'") { try ONNXFile.decode(model(tensor)) }
  }
}
