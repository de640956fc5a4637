// SPDX-License-Identifier: Apache-2.0

internal import CSwiftletABI
import SwiftletCore
import Synchronization

/// The callbacks of one call: one runs at a time, and none after one has asked to stop.
///
/// `@unchecked Sendable`: the caller must guard what `context` points to.
@safe
final class Callbacks: @unchecked Sendable {
  private let isStopped = Mutex(false)
  private let progress: swiftlet_progress?
  private let context: UnsafeMutableRawPointer?

  init(_ progress: swiftlet_progress?, _ context: UnsafeMutableRawPointer?) {
    unsafe (self.progress, self.context) = (progress, context)
  }

  /// Calls back.
  ///
  /// - Throws: A ``Refusal`` if this callback, or an earlier one, asks to stop.
  func run(_ body: () -> Int32) throws {
    try isStopped.withLock { isStopped in
      if !isStopped { isStopped = body() != 0 }
      if isStopped { throw Refusal.cancelled }
    }
  }

  /// Checks that no callback has asked to stop: work that only needs some of the data may go on
  /// without them.
  ///
  /// - Throws: A ``Refusal`` otherwise.
  func check() throws { try run { 0 } }

  /// Passes progress on to C.
  var handler: Progress.Handler? {
    guard let function = unsafe progress else { return nil }
    return { [self] progress in
      let (done, total) = (UInt64(max(0, progress.completed)), UInt64(max(0, progress.total ?? 0)))
      try run {
        unsafe progress.task.withCString { task in
          guard let remark = progress.remark else {
            return unsafe function(task, done, total, nil, context)
          }
          return unsafe remark.withCString { unsafe function(task, done, total, $0, context) }
        }
      }
    }
  }
}
