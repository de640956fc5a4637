// SPDX-License-Identifier: Apache-2.0

// Functions have their names in C.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

public import CSwiftletABI
import Glibc
import SwiftletCore
import SwiftletGraph

@c @implementation
public func swiftlet_version() -> UnsafePointer<CChar>? { unsafe StaticText.version.pointer }

@c @implementation
public func swiftlet_abi_version() -> Int32 { SWIFTLET_ABI_VERSION }

@c @implementation
public func swiftlet_last_error() -> UnsafePointer<CChar>? { unsafe swl_last_error() }

@c @implementation
public func swiftlet_status_name(_ status: swiftlet_status) -> UnsafePointer<CChar>? {
  let text: StaticText =
    switch status {
    case SWIFTLET_OK: .ok
    case SWIFTLET_BAD_INPUT: .badInput
    case SWIFTLET_UNSUPPORTED: .unsupported
    case SWIFTLET_CANCELLED: .cancelled
    case SWIFTLET_BUSY: .busy
    case SWIFTLET_OUT_OF_MEMORY: .outOfMemory
    case SWIFTLET_USAGE: .usage
    case SWIFTLET_INTERNAL: .internal
    default: .unknown
    }
  return unsafe text.pointer
}

@c @implementation
public func swiftlet_string_free(_ string: UnsafeMutablePointer<CChar>?) { unsafe free(string) }

@c @implementation
public func swiftlet_set_max_memory(_ bytes: UInt64) -> swiftlet_status {
  call {
    if bytes == 0 { MemoryLimit.reset() } else { MemoryLimit.bytes = Int(clamping: bytes) }
  }
}

@c @implementation
public func swiftlet_set_max_steps(_ steps: UInt64) -> swiftlet_status {
  call { StepLimit.steps = steps == 0 ? StepLimit.standard : Int(clamping: steps) }
}

/// Text that C may keep indefinitely.
///
/// `@unchecked Sendable`: never written after it is made.
@safe
private struct StaticText: @unchecked Sendable {
  let pointer: UnsafePointer<CChar>

  init(_ text: String) { unsafe pointer = UnsafePointer(copyForC(text)) }

  static let version = StaticText(Release.version)
  static let ok = StaticText("ok")
  static let badInput = StaticText("bad input")
  static let unsupported = StaticText("unsupported")
  static let cancelled = StaticText("cancelled")
  static let busy = StaticText("busy")
  static let outOfMemory = StaticText("out of memory")
  static let usage = StaticText("wrong usage")
  static let `internal` = StaticText("internal error")
  static let unknown = StaticText("unknown status")
}

/// The text as a malloc'ed C string. Embedded NULs, which would end it early, are dropped.
func copyForC(_ text: String) -> UnsafeMutablePointer<CChar> {
  let bytes = text.utf8.filter { $0 != 0 }
  let copy = unsafe malloc(bytes.count + 1)!.bindMemory(to: CChar.self, capacity: bytes.count + 1)
  for (index, byte) in bytes.enumerated() { unsafe copy[index] = CChar(bitPattern: byte) }
  unsafe copy[bytes.count] = 0
  return unsafe copy
}
