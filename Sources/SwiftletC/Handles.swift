// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// Issues handles for objects, and looks the objects up.
///
/// A handle has the type of a pointer but is not one: it holds an index into the table and the
/// generation of that entry. Closed, forged and wrong-type handles are therefore detected, at about
/// 20 ns per call.
final class HandleTable<Object: AnyObject & Sendable>: Sendable {
  private struct Place {
    var generation: UInt32 = 1
    var object: Object?
  }

  private struct State {
    var places: [Place] = []
    var free: [Int] = []
  }

  private let state = Mutex(State())
  private let name: String
  /// The lowest bits of a handle of this kind.
  private let tag: UInt
  private static var tagBits: UInt { 3 }
  private static var indexBits: UInt { 29 }

  /// - Precondition: `tag` is in 1…7 and unique among tables.
  init(_ name: String, tag: UInt) { (self.name, self.tag) = (name, tag) }

  func insert(_ object: Object) throws -> OpaquePointer {
    let bits = try state.withLock { state -> UInt in
      let index: Int
      if let free = state.free.popLast() {
        index = free
      } else {
        guard state.places.count < 1 << Self.indexBits else {
          throw Refusal.usage("there are too many open \(name)s")
        }
        index = state.places.count
        state.places.append(Place())
      }
      state.places[index].object = object
      let generation = UInt(state.places[index].generation)
      return generation << 32 | UInt(index) << Self.tagBits | tag
    }
    return unsafe OpaquePointer(bitPattern: bits)!
  }

  func find(_ handle: OpaquePointer?) throws -> Object {
    let bits = UInt(bitPattern: handle)
    let found = state.withLock { state in
      Self.place(bits, tag, state).flatMap { state.places[$0].object }
    }
    guard let found else { throw refusal(bits) }
    return found
  }

  /// Removes the object if `condition` allows it.
  func remove(_ handle: OpaquePointer?, if condition: (Object) -> Bool = { _ in true }) throws
    -> Object?
  {
    let bits = UInt(bitPattern: handle)
    return try state.withLock { state -> Object? in
      guard let index = Self.place(bits, tag, state) else { throw refusal(bits) }
      let object = state.places[index].object!
      guard condition(object) else { return nil }
      state.places[index].object = nil
      // An entry whose generations are used up is not reused.
      let (next, overflow) = state.places[index].generation.addingReportingOverflow(1)
      state.places[index].generation = next
      if !overflow { state.free.append(index) }
      return object
    }
  }

  /// The index of a handle, if its object still exists.
  private static func place(_ bits: UInt, _ tag: UInt, _ state: borrowing State) -> Int? {
    let index = Int(bits & 0xFFFF_FFFF) >> tagBits
    guard bits & (1 << tagBits - 1) == tag, index < state.places.count,
      state.places[index].generation == UInt32(bits >> 32), state.places[index].object != nil
    else { return nil }
    return index
  }

  private func refusal(_ bits: UInt) -> Refusal {
    bits == 0
      ? .usage("the \(name) is NULL")
      : .usage("this is not an open \(name)", fix: "it was closed, or never opened")
  }
}

enum Handles {
  static let sessions = HandleTable<Model>("session", tag: 1)
  static let requests = HandleTable<Request>("request", tag: 2)
}
