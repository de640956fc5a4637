// SPDX-License-Identifier: Apache-2.0

// Functions have their names in C.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

public import CSwiftletABI
import SwiftletCore
import SwiftletFormats
import SwiftletGraph

@c @implementation
public func swiftlet_session_open(
  _ path: UnsafePointer<CChar>?, _ options: UnsafePointer<swiftlet_session_options>?,
  _ session: UnsafeMutablePointer<OpaquePointer?>?
) -> swiftlet_status {
  unsafe open(options, session) {
    let path = try unsafe Arguments.text(path, "path")
    return (try ONNXFile.read(path), path)
  }
}

@c @implementation
public func swiftlet_session_open_memory(
  _ bytes: UnsafeRawPointer?, _ byteCount: Int,
  _ options: UnsafePointer<swiftlet_session_options>?,
  _ session: UnsafeMutablePointer<OpaquePointer?>?
) -> swiftlet_status {
  unsafe open(options, session) {
    guard let bytes = unsafe bytes else { throw Refusal.usage("bytes is NULL") }
    guard byteCount >= 0 else { throw Refusal.usage("byte_count exceeds the address space") }
    let copy = unsafe [UInt8](UnsafeRawBufferPointer(start: bytes, count: byteCount))
    return (try ONNXFile.decode(copy), "model in memory")
  }
}

private func open(
  _ options: UnsafePointer<swiftlet_session_options>?,
  _ session: UnsafeMutablePointer<OpaquePointer?>?,
  _ read: () throws -> (graph: Graph, name: String)
) -> swiftlet_status {
  call {
    let target = try unsafe Arguments.target(session, "session")
    unsafe target.pointee = nil
    let (graph, name) = try read()
    let model = try locating(name) { try unsafe Model(graph, options) }
    unsafe target.pointee = try Handles.sessions.insert(model)
  }
}

@c @implementation
public func swiftlet_session_close(_ session: OpaquePointer?) -> swiftlet_status {
  call {
    guard unsafe session != nil else { return }
    _ = try unsafe Handles.sessions.remove(session)
  }
}

@c @implementation
public func swiftlet_session_input_count(
  _ session: OpaquePointer?, _ count: UnsafeMutablePointer<Int>?
) -> swiftlet_status {
  unsafe tell(count, session, \.inputDescriptions)
}

@c @implementation
public func swiftlet_session_output_count(
  _ session: OpaquePointer?, _ count: UnsafeMutablePointer<Int>?
) -> swiftlet_status {
  unsafe tell(count, session, \.outputDescriptions)
}

private func tell(
  _ count: UnsafeMutablePointer<Int>?, _ session: OpaquePointer?,
  _ values: KeyPath<Model, [ValueDescription]>
) -> swiftlet_status {
  call {
    let target = try unsafe Arguments.target(count, "count")
    unsafe target.pointee = try Handles.sessions.find(session)[keyPath: values].count
  }
}

@c @implementation
public func swiftlet_session_input(
  _ session: OpaquePointer?, _ index: Int, _ info: UnsafeMutablePointer<swiftlet_value_info>?
) -> swiftlet_status {
  unsafe describe(session, index, info, "input", \.inputDescriptions)
}

@c @implementation
public func swiftlet_session_output(
  _ session: OpaquePointer?, _ index: Int, _ info: UnsafeMutablePointer<swiftlet_value_info>?
) -> swiftlet_status {
  unsafe describe(session, index, info, "output", \.outputDescriptions)
}

private func describe(
  _ session: OpaquePointer?, _ index: Int, _ info: UnsafeMutablePointer<swiftlet_value_info>?,
  _ kind: String, _ values: KeyPath<Model, [ValueDescription]>
) -> swiftlet_status {
  call {
    let target = try unsafe Arguments.target(info, "info")
    let values = try unsafe Handles.sessions.find(session)[keyPath: values]
    guard values.indices ~= index else {
      throw Refusal.usage("\(kind) \(index) of \(values.count) does not exist")
    }
    unsafe target.pointee = values[index].info
  }
}
