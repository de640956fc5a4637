// SPDX-License-Identifier: Apache-2.0

import CSwiftletABI
import OrderedCollections
import SwiftletCore
import SwiftletFormats
import SwiftletGraph
import Testing

/// Elements in memory of the test's own, as a caller has them.
///
/// `@unchecked Sendable`: threads read it.

final class Memory<T: BitwiseCopyable>: @unchecked Sendable {
  let start: UnsafeMutablePointer<T>
  let count: Int

  init(_ elements: [T]) {
    count = elements.count
    start = .allocate(capacity: max(1, count))
    for (index, element) in elements.enumerated() { start[index] = element }
  }

  deinit { start.deallocate() }

  var elements: [T] { (0..<count).map { start[$0] } }
  var byteCount: Int { count * MemoryLayout<T>.stride }

  subscript(index: Int) -> T {
    get { start[index] }
    set { start[index] = newValue }
  }
}

/// The calling thread's last error.
var lastError: String { String(cString: swiftlet_last_error()) }

func expectOK(_ status: swiftlet_status, sourceLocation: SourceLocation = #_sourceLocation) {
  #expect(status == SWIFTLET_OK, "\(lastError)", sourceLocation: sourceLocation)
}

func expect(
  _ status: swiftlet_status, _ expected: swiftlet_status, _ fragment: String,
  sourceLocation: SourceLocation = #_sourceLocation
) {
  #expect(status == expected, "\(lastError)", sourceLocation: sourceLocation)
  #expect(lastError.contains(fragment), "\(lastError)", sourceLocation: sourceLocation)
}

// MARK: Models

func value(_ name: String, _ dtype: DType = .float32, _ dimensions: Dimension...) -> ValueInfo {
  ValueInfo(name, dtype, dimensions)
}

func node(
  _ opType: String, _ inputs: [String], _ output: String, _ attributes: [String: Attribute] = [:]
) -> Node {
  Node(opType, name: output, inputs: inputs, outputs: [output], attributes: attributes)
}

func model(
  _ inputs: [ValueInfo], _ nodes: [Node], _ constants: OrderedDictionary<String, AnyTensor> = [:],
  _ outputs: ValueInfo...
) -> Graph {
  Graph(name: "model", nodes: nodes, initializers: constants, inputs: inputs, outputs: outputs)
}

/// y = x, of one extent that the run decides.
func identity(_ dtype: DType = .float32) -> Graph {
  model(
    [value("x", dtype, .symbolic("N"))], [node("Identity", ["x"], "y")], [:],
    value("y", dtype, .symbolic("N")))
}

/// A padded convolution, ReLU, pooling and a fully connected layer.
func convolution(channels: Int) -> Graph {
  var generator = RandomGenerator(seed: 7)
  func weights(_ shape: Shape) -> AnyTensor { .float32(Tensor(shape, normalUsing: &generator)) }
  return model(
    [value("x", .float32, .symbolic("N"), .fixed(channels), .fixed(5), .fixed(7))],
    [
      node("Conv", ["x", "w"], "a", ["pads": .ints([1, 1, 1, 1])]), node("Relu", ["a"], "b"),
      node("GlobalAveragePool", ["b"], "c"), node("Flatten", ["c"], "d"),
      node("Gemm", ["d", "v"], "y", ["transB": .int(1)]),
    ],
    ["w": weights([6, channels, 3, 3]), "v": weights([4, 6])],
    value("y", .float32, .symbolic("N"), .fixed(4)))
}

/// A session opened from the bytes of a model's file.
func opened(
  _ graph: Graph, threads: Int32 = 1, precision: swiftlet_precision = SWIFTLET_FP32
) throws -> OpaquePointer {
  let bytes = Memory(try ONNXFile.encode(graph))
  var options = swiftlet_session_options(
    struct_size: MemoryLayout<swiftlet_session_options>.size, threads: threads,
    precision: precision)
  var session: OpaquePointer?
  expectOK(swiftlet_session_open_memory(bytes.start, bytes.count, &options, &session))
  return try #require(session)
}

func newRequest(_ session: OpaquePointer) throws -> OpaquePointer {
  var request: OpaquePointer?
  expectOK(swiftlet_request_create(session, &request))
  return try #require(request)
}

@discardableResult
func bind<T>(
  _ request: OpaquePointer, _ name: String, _ dtype: swiftlet_dtype, _ shape: [Int64],
  _ memory: Memory<T>
) -> swiftlet_status {
  swiftlet_request_bind(
    request, name, dtype, shape, shape.count, memory.start, memory.byteCount)
}

/// The elements of a result.
func output<T: BitwiseCopyable>(_ request: OpaquePointer, _ index: Int = 0, as _: T.Type) throws
  -> [T]
{
  var tensor = swiftlet_tensor()
  expectOK(swiftlet_request_output(request, index, &tensor))
  let start = try #require(tensor.data).assumingMemoryBound(to: T.self)
  return (0..<tensor.byte_count / MemoryLayout<T>.stride).map { start[$0] }
}
