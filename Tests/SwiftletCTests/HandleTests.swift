// SPDX-License-Identifier: Apache-2.0

import CSwiftletABI
import SwiftletCore
import SwiftletGraph
import Synchronization
import Testing
import _SwiftletTestSupport

struct HandleTests {
  @Test func closedHandlesAreRefused() throws {
    let session = try opened(identity())
    let first = try newRequest(session)
    expectOK(swiftlet_session_close(session))
    var count = 0
    expect(swiftlet_session_input_count(session, &count), SWIFTLET_USAGE, "not an open session")
    expect(swiftlet_session_close(session), SWIFTLET_USAGE, "not an open session")
    // The request outlives the session, and its place is given out again under another handle.
    let x = Memory<Float>([4])
    expectOK(bind(first, "x", SWIFTLET_FLOAT32, [1], x))
    expectOK(swiftlet_request_run(first))
    #expect(try output(first, as: Float.self) == [4])
    expectOK(swiftlet_request_close(first))
    let other = try opened(identity())
    let second = try newRequest(other)
    expect(swiftlet_request_run(first), SWIFTLET_USAGE, "not an open request")
    expectOK(swiftlet_request_close(second))
    expectOK(swiftlet_session_close(other))
  }

  @Test func otherPointersAreRefused() throws {
    let session = try opened(identity())
    let memory = Memory<Int>([1])
    for bits in [1, 8, UInt(bitPattern: memory.start), .max] {
      let handle = OpaquePointer(bitPattern: bits)
      expect(swiftlet_request_run(handle), SWIFTLET_USAGE, "not an open request")
      expect(swiftlet_session_close(handle), SWIFTLET_USAGE, "not an open session")
    }
    expect(swiftlet_request_run(session), SWIFTLET_USAGE, "not an open request")
    expect(swiftlet_request_run(nil), SWIFTLET_USAGE, "the request is NULL")
    expectOK(swiftlet_request_close(nil))
    expectOK(swiftlet_session_close(nil))
    expectOK(swiftlet_session_close(session))
  }

  @Test func theLibraryNamesItself() {
    #expect(String(cString: swiftlet_version()) == SWIFTLET_VERSION)
    #expect(Release.version == SWIFTLET_VERSION)
    #expect(swiftlet_abi_version() == SWIFTLET_ABI_VERSION)
    let names = [
      SWIFTLET_OK, SWIFTLET_BAD_INPUT, SWIFTLET_UNSUPPORTED, SWIFTLET_CANCELLED, SWIFTLET_BUSY,
      SWIFTLET_USAGE, SWIFTLET_INTERNAL, swiftlet_status(1),
    ].map { String(cString: swiftlet_status_name($0)) }
    #expect(Set(names).count == 8 && names.last == "unknown status")
  }

  @Test func dtypesAreThoseOfTheLibrary() {
    let numbers: [DType: swiftlet_dtype] = [
      .float32: SWIFTLET_FLOAT32, .float64: SWIFTLET_FLOAT64, .int8: SWIFTLET_INT8,
      .uint8: SWIFTLET_UINT8, .int16: SWIFTLET_INT16, .uint16: SWIFTLET_UINT16,
      .int32: SWIFTLET_INT32, .uint32: SWIFTLET_UINT32, .int64: SWIFTLET_INT64,
      .uint64: SWIFTLET_UINT64, .bool: SWIFTLET_BOOL, .int4: SWIFTLET_INT4,
      .uint4: SWIFTLET_UINT4, .int2: SWIFTLET_INT2, .uint2: SWIFTLET_UINT2,
      .float8e4m3fn: SWIFTLET_FLOAT8E4M3FN, .float8e4m3fnuz: SWIFTLET_FLOAT8E4M3FNUZ,
      .float8e5m2: SWIFTLET_FLOAT8E5M2, .float8e5m2fnuz: SWIFTLET_FLOAT8E5M2FNUZ,
      .float4e2m1: SWIFTLET_FLOAT4E2M1,
    ]
    for dtype in DType.allCases { #expect(numbers[dtype]?.rawValue == UInt32(dtype.onnx)) }
  }
}

/// Run under the thread sanitizer too; see `make test-tsan`.
struct InterfaceConcurrencyTests {
  private static let x = Memory((0..<105).map { Float($0 % 7) - 3 })

  private func expected() throws -> [Float] {
    let session = try opened(convolution(channels: 3))
    defer { expectOK(swiftlet_session_close(session)) }
    return try run(session)
  }

  private func run(_ session: OpaquePointer) throws -> [Float] {
    let own = try newRequest(session)
    defer { expectOK(swiftlet_request_close(own)) }
    expectOK(bind(own, "x", SWIFTLET_FLOAT32, [1, 3, 5, 7], Self.x))
    expectOK(swiftlet_request_run(own))
    return try output(own, as: Float.self)
  }

  @Test(arguments: [1, 2]) func eightThreadsShareASession(threads: Int32) throws {
    let expected = try self.expected()
    let session = try opened(convolution(channels: 3), threads: threads)
    let bits = UInt(bitPattern: session)
    let equal = Atomic(0)
    onThreads(8) { _ in
      for _ in 0..<100 {
        let result = try? self.run(OpaquePointer(bitPattern: bits)!)
        if result == expected { equal.add(1, ordering: .relaxed) }
      }
    }
    #expect(equal.load(ordering: .relaxed) == 800)
    expectOK(swiftlet_session_close(session))
  }

  @Test func sessionsComeAndGo() throws {
    let expected = try self.expected()
    let equal = Atomic(0)
    onThreads(4) { _ in
      for _ in 0..<25 {
        guard let session = try? opened(convolution(channels: 3), threads: 2) else { continue }
        if (try? self.run(session)) == expected { equal.add(1, ordering: .relaxed) }
        expectOK(swiftlet_session_close(session))
      }
    }
    #expect(equal.load(ordering: .relaxed) == 100)
  }

  /// One request in many hands: each call works or says that the request is busy or gone.
  @Test func aRequestIsFoughtOver() throws {
    let session = try opened(convolution(channels: 3))
    let shared = try newRequest(session)
    expectOK(bind(shared, "x", SWIFTLET_FLOAT32, [1, 3, 5, 7], Self.x))
    let bits = UInt(bitPattern: shared)
    let done = Atomic(0)
    let closed = Atomic(0)
    let wrong = Atomic(0)
    onThreads(6) { thread in
      let handle = OpaquePointer(bitPattern: bits)
      for round in 0..<200 {
        let closes = thread == 0 && round >= 100
        let status = closes ? swiftlet_request_close(handle) : swiftlet_request_run(handle)
        switch status {
        case SWIFTLET_OK:
          if closes { closed.add(1, ordering: .relaxed) } else { done.add(1, ordering: .relaxed) }
        case SWIFTLET_BUSY, SWIFTLET_USAGE: break
        default: wrong.add(1, ordering: .relaxed)
        }
      }
    }
    #expect(done.load(ordering: .relaxed) > 0)
    #expect(closed.load(ordering: .relaxed) <= 1)
    #expect(wrong.load(ordering: .relaxed) == 0)
    let rest = swiftlet_request_close(shared)
    #expect(rest == (closed.load(ordering: .relaxed) == 1 ? SWIFTLET_USAGE : SWIFTLET_OK))
    expectOK(swiftlet_session_close(session))
  }
}
