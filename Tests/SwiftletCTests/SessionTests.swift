// SPDX-License-Identifier: Apache-2.0

import CSwiftletABI
import Glibc
import OrderedCollections
import SwiftletCore
import SwiftletFormats
import SwiftletGraph
import SwiftletRuntime
import Testing
import _SwiftletTestSupport

struct SessionTests {
  @Test func aFileIsOpenedAndDescribed() throws {
    try withTemporaryFolder { folder in
      let path = "\(folder)/m.onnx"
      try ONNXFile.write(convolution(channels: 3), to: path)
      var session: OpaquePointer?
      expectOK(swiftlet_session_open(path, nil, &session))
      var count = 0
      expectOK(swiftlet_session_input_count(session, &count))
      #expect(count == 1)
      expectOK(swiftlet_session_output_count(session, &count))
      #expect(count == 1)
      var info = swiftlet_value_info()
      expectOK(swiftlet_session_input(session, 0, &info))
      #expect(String(cString: info.name) == "x")
      #expect(info.dtype == SWIFTLET_FLOAT32)
      #expect((0..<info.rank).map { info.dimensions[$0] } == [-1, 3, 5, 7])
      expectOK(swiftlet_session_output(session, 0, &info))
      #expect(String(cString: info.name) == "y")
      expect(swiftlet_session_output(session, 1, &info), SWIFTLET_USAGE, "output 1 of 1")
      expectOK(swiftlet_session_close(session))
    }
  }

  /// Whether the memory is read where it lies, anew in each run, to its last byte and not beyond.
  @Test(arguments: [1, 3, 4], [1, 2, 5])
  func boundMemoryIsReadInPlace(channels: Int, images: Int) throws {
    let graph = convolution(channels: channels)
    let session = try opened(graph, threads: 2)
    let request = try newRequest(session)
    let count = images * channels * 35
    let page = sysconf(Int32(_SC_PAGESIZE))
    let size = (count * 4 + page - 1) / page * page
    // The page behind the input cannot be read.
    let pages = mmap(
      nil, size + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)!
    defer { munmap(pages, size + page) }
    #expect(mprotect(pages + size, page, PROT_NONE) == 0)
    let start = (pages + size - count * 4).bindMemory(to: Float.self, capacity: count)
    let shape = [Int64(images), Int64(channels), 5, 7]
    expectOK(
      swiftlet_request_bind(request, "x", SWIFTLET_FLOAT32, shape, 4, start, count * 4))
    for seed in 0..<2 {
      var generator = RandomGenerator(seed: UInt64(seed))
      let x = Tensor<Float>([images, channels, 5, 7], normalUsing: &generator)
      for (index, element) in x.elements.enumerated() { start[index] = element }
      expectOK(swiftlet_request_run(request))
      let expected: Tensor<Float> = try Session(graph, threads: .serial).run(x)
      #expect(try output(request, as: Float.self) == expected.elements)
      #expect((0..<count).map { start[$0] } == x.elements)
    }
    expectOK(swiftlet_request_close(request))
    expectOK(swiftlet_session_close(session))
  }

  /// Operators that write over an input that nobody else has must not write over the caller's.
  @Test(arguments: ["Relu", "Neg", "Sqrt", "Sigmoid"])
  func boundMemoryIsNotWritten(opType: String) throws {
    let graph = model(
      [value("x", .float32, .symbolic("N"))], [node(opType, ["x"], "y")], [:],
      value("y", .float32, .symbolic("N")))
    let session = try opened(graph)
    let request = try newRequest(session)
    let x = Memory<Float>([-2, -1, 0, 1, 2, 3])
    expectOK(bind(request, "x", SWIFTLET_FLOAT32, [6], x))
    for _ in 0..<3 { expectOK(swiftlet_request_run(request)) }
    #expect(x.elements == [-2, -1, 0, 1, 2, 3])
    expectOK(swiftlet_request_close(request))
    expectOK(swiftlet_session_close(session))
  }

  @Test func resultsLieOutsideOfBoundMemory() throws {
    let session = try opened(identity())
    let request = try newRequest(session)
    let x = Memory<Float>([1, 2, 3])
    expectOK(bind(request, "x", SWIFTLET_FLOAT32, [3], x))
    expectOK(swiftlet_request_run(request))
    x[0] = 9
    #expect(try output(request, as: Float.self) == [1, 2, 3])
    expectOK(swiftlet_request_close(request))
    expectOK(swiftlet_session_close(session))
  }

  @Test func resultsAreCopiedToBoundMemory() throws {
    let session = try opened(identity())
    let request = try newRequest(session)
    let (x, y) = (Memory<Float>([1, 2, 3]), Memory<Float>([0, 0, 0, 7]))
    expectOK(bind(request, "x", SWIFTLET_FLOAT32, [3], x))
    expectOK(swiftlet_request_bind_output(request, 0, y.start, 12))
    for round in 0..<2 {
      x[0] = Float(round)
      expectOK(swiftlet_request_run(request))
      #expect(y.elements == [Float(round), 2, 3, 7])
    }
    expectOK(swiftlet_request_bind_output(request, 0, y.start, 16))
    expect(swiftlet_request_run(request), SWIFTLET_BAD_INPUT, "12 bytes, not 16")
    expectOK(swiftlet_request_bind_output(request, 0, nil, 0))
    expectOK(swiftlet_request_run(request))
    expect(swiftlet_request_bind_output(request, 1, y.start, 12), SWIFTLET_USAGE, "output 1 of 1")
    expectOK(swiftlet_request_close(request))
    expectOK(swiftlet_session_close(session))
  }

  /// Any byte is a truth value to C; elements below eight bits share bytes.
  @Test func someTypesAreCopied() throws {
    func result(_ dtype: DType, _ number: swiftlet_dtype, _ bytes: [UInt8], _ count: Int64) throws
      -> [UInt8]
    {
      let session = try opened(identity(dtype))
      let request = try newRequest(session)
      let x = Memory(bytes)
      expectOK(bind(request, "x", number, [count], x))
      expectOK(swiftlet_request_run(request))
      defer {
        expectOK(swiftlet_request_close(request))
        expectOK(swiftlet_session_close(session))
      }
      return try output(request, as: UInt8.self)
    }
    #expect(try result(.bool, SWIFTLET_BOOL, [0, 1, 7, 255], 4) == [0, 1, 1, 1])
    #expect(try result(.int4, SWIFTLET_INT4, [0x21, 0x0F], 3) == [0x21, 0x0F])
    #expect(try result(.uint8, SWIFTLET_UINT8, [3, 200], 2) == [3, 200])
  }

  @Test func mistakesInBindingsAreNamed() throws {
    let session = try opened(convolution(channels: 3))
    let request = try newRequest(session)
    let x = Memory([Float](repeating: 0, count: 106))
    let shape: [Int64] = [1, 3, 5, 7]
    func bound(
      _ data: UnsafeRawPointer?, name: String? = "x", dtype: swiftlet_dtype = SWIFTLET_FLOAT32,
      shape: [Int64] = [1, 3, 5, 7], byteCount: Int = 420
    ) -> swiftlet_status {
      swiftlet_request_bind(request, name, dtype, shape, shape.count, data, byteCount)
    }
    let data = UnsafeRawPointer(x.start)
    expect(
      swiftlet_request_run(request), SWIFTLET_BAD_INPUT, "nothing is bound to input 'x'")
    expect(bound(data, name: nil), SWIFTLET_USAGE, "name is NULL")
    expect(bound(data, name: "z"), SWIFTLET_BAD_INPUT, "it has 'x'")
    expect(bound(data, dtype: SWIFTLET_FLOAT64), SWIFTLET_BAD_INPUT, "float64")
    expect(bound(data, dtype: swiftlet_dtype(99)), SWIFTLET_USAGE, "99")
    expect(
      bound(data, shape: [1, 2, 5, 7]), SWIFTLET_BAD_INPUT, "1×2×5×7")
    expect(
      bound(data, shape: [1, 3, 5, -7]), SWIFTLET_BAD_INPUT, "negative")
    expect(
      bound(data, shape: [.max, 3, 5, .max]), SWIFTLET_BAD_INPUT, "overflow")
    expect(
      swiftlet_request_bind(request, "x", SWIFTLET_FLOAT32, nil, 4, data, 420),
      SWIFTLET_USAGE, "shape is NULL")
    expect(
      swiftlet_request_bind(request, "x", SWIFTLET_FLOAT32, shape, .max, data, 420),
      SWIFTLET_BAD_INPUT, "rank")
    expect(bound(data, byteCount: 416), SWIFTLET_USAGE, "416 bytes")
    expect(bound(nil), SWIFTLET_USAGE, "data is NULL")
    expect(bound(data + 1), SWIFTLET_USAGE, "aligned")
    expectOK(bound(data))
    expectOK(swiftlet_request_run(request))
    var tensor = swiftlet_tensor()
    expect(swiftlet_request_output(request, 1, &tensor), SWIFTLET_USAGE, "output 1 of 1")
    expect(swiftlet_request_output(request, 0, nil), SWIFTLET_USAGE, "tensor is NULL")
    expectOK(swiftlet_request_close(request))
    expectOK(swiftlet_session_close(session))
  }

  @Test func modelsThatAreNoneAreRefused() throws {
    var session: OpaquePointer?
    expect(swiftlet_session_open(nil, nil, &session), SWIFTLET_USAGE, "path is NULL")
    expect(swiftlet_session_open("/none", nil, nil), SWIFTLET_USAGE, "session is NULL")
    expect(swiftlet_session_open("/none", nil, &session), SWIFTLET_BAD_INPUT, "/none")
    expect(
      swiftlet_session_open_memory(nil, 3, nil, &session), SWIFTLET_USAGE, "bytes is NULL")
    let noise = Memory<UInt8>([1, 2, 3])
    expect(
      swiftlet_session_open_memory(noise.start, 3, nil, &session), SWIFTLET_BAD_INPUT,
      "not an ONNX model")
    var options = swiftlet_session_options(
      struct_size: 3, threads: 0, precision: SWIFTLET_FP32)
    let bytes = Memory(try ONNXFile.encode(identity()))
    expect(
      swiftlet_session_open_memory(bytes.start, bytes.count, &options, &session),
      SWIFTLET_USAGE, "sizeof")
    options.struct_size = MemoryLayout<swiftlet_session_options>.size
    options.threads = -1
    expect(
      swiftlet_session_open_memory(bytes.start, bytes.count, &options, &session),
      SWIFTLET_USAGE, "threads is -1")
    options.threads = 0
    options.precision = swiftlet_precision(7)
    expect(
      swiftlet_session_open_memory(bytes.start, bytes.count, &options, &session),
      SWIFTLET_USAGE, "7 is not a swiftlet_precision")
    #expect(session == nil)
  }

  @Test func bf16RoundsProducts() throws {
    let x = Memory((0..<105).map { Float($0 % 7) - 3.1 })
    func result(_ precision: swiftlet_precision) throws -> [Float] {
      let session = try opened(convolution(channels: 3), precision: precision)
      let request = try newRequest(session)
      expectOK(bind(request, "x", SWIFTLET_FLOAT32, [1, 3, 5, 7], x))
      expectOK(swiftlet_request_run(request))
      defer {
        expectOK(swiftlet_request_close(request))
        expectOK(swiftlet_session_close(session))
      }
      return try output(request, as: Float.self)
    }
    let (exact, rounded) = (try result(SWIFTLET_FP32), try result(SWIFTLET_BF16))
    #expect(exact != rounded)
    for (a, b) in zip(exact, rounded) { #expect(abs(a - b) < 0.05 * max(1, abs(a))) }
  }

  @Test func profilesAreJSON() throws {
    let session = try opened(convolution(channels: 3))
    let request = try newRequest(session)
    let x = Memory([Float](repeating: 1, count: 105))
    expectOK(bind(request, "x", SWIFTLET_FLOAT32, [1, 3, 5, 7], x))
    var json: UnsafeMutablePointer<CChar>?
    expectOK(swiftlet_request_profile(request, 2, &json))
    let text = String(cString: json!)
    #expect(text.hasPrefix("[{") && text.contains("\"milliseconds\":"), "\(text)")
    swiftlet_string_free(json)
    expectOK(swiftlet_request_close(request))
    expectOK(swiftlet_session_close(session))
  }
}
