// SPDX-License-Identifier: Apache-2.0

// Functions have their names in C.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

public import CSwiftletABI
import SwiftletCore

@c @implementation
public func swiftlet_request_create(
  _ session: OpaquePointer?, _ request: UnsafeMutablePointer<OpaquePointer?>?
) -> swiftlet_status {
  call {
    let target = try unsafe Arguments.target(request, "request")
    unsafe target.pointee = nil
    let model = try unsafe Handles.sessions.find(session)
    unsafe target.pointee = try Handles.requests.insert(Request(model))
  }
}

@c @implementation
public func swiftlet_request_close(_ request: OpaquePointer?) -> swiftlet_status {
  call {
    guard unsafe request != nil else { return }
    guard try unsafe Handles.requests.remove(request, if: { $0.retire() }) != nil else {
      throw Request.busy
    }
  }
}

@c @implementation
public func swiftlet_request_bind(
  _ request: OpaquePointer?, _ name: UnsafePointer<CChar>?, _ dtype: swiftlet_dtype,
  _ shape: UnsafePointer<Int64>?, _ rank: Int, _ data: UnsafeRawPointer?, _ byteCount: Int
) -> swiftlet_status {
  call {
    let request = try unsafe Handles.requests.find(request)
    let name = try unsafe Arguments.text(name, "name")
    let dtype = try DType(dtype)
    let shape = try unsafe Arguments.shape(shape, rank: rank)
    guard byteCount >= 0, unsafe data != nil || byteCount == 0 else {
      throw Refusal.usage("data is NULL, or byte_count exceeds the address space")
    }
    try request.use {
      try unsafe request.bind(
        name, dtype, shape, UnsafeRawBufferPointer(start: data, count: byteCount))
    }
  }
}

@c @implementation
public func swiftlet_request_bind_output(
  _ request: OpaquePointer?, _ index: Int, _ data: UnsafeMutableRawPointer?, _ byteCount: Int
) -> swiftlet_status {
  call {
    let request = try unsafe Handles.requests.find(request)
    guard byteCount >= 0 else { throw Refusal.usage("byte_count exceeds the address space") }
    let memory = unsafe data.map {
      unsafe UnsafeMutableRawBufferPointer(start: $0, count: byteCount)
    }
    try request.use { try unsafe request.bindOutput(index, memory) }
  }
}

@c @implementation
public func swiftlet_request_run(_ request: OpaquePointer?) -> swiftlet_status {
  call {
    let request = try unsafe Handles.requests.find(request)
    try request.use { try request.run() }
  }
}

@c @implementation
public func swiftlet_request_output(
  _ request: OpaquePointer?, _ index: Int, _ tensor: UnsafeMutablePointer<swiftlet_tensor>?
) -> swiftlet_status {
  call {
    let request = try unsafe Handles.requests.find(request)
    let target = try unsafe Arguments.target(tensor, "tensor")
    try request.use { unsafe target.pointee = try request.output(index) }
  }
}

@c @implementation
public func swiftlet_request_profile(
  _ request: OpaquePointer?, _ runs: Int32,
  _ json: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
) -> swiftlet_status {
  call {
    let request = try unsafe Handles.requests.find(request)
    let target = try unsafe Arguments.target(json, "json")
    try request.use {
      let layers = try request.profile(runs: max(1, Int(runs)))
      unsafe target.pointee = try copyForC(JSON.text(layers))
    }
  }
}
