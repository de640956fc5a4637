// SPDX-License-Identifier: Apache-2.0

import Glibc
import Synchronization

/// The maximum memory for the values of a run, the arrays of a file, or the results and workspace
/// of a matrix computation.
///
/// The setting is process-wide. A request that would exceed it fails before memory is allocated;
/// operators may use somewhat more while they run.
public enum MemoryLimit {
  /// The default limit: 8 GiB, or the machine's memory, or half of the address space if that is
  /// limited (`ulimit -v`), whichever is least.
  public static let standard: Int = {
    var limit = 8 << 30
    let (pages, size) = (sysconf(Int32(_SC_PHYS_PAGES)), sysconf(Int32(_SC_PAGESIZE)))
    if pages > 0 && size > 0 { limit = min(limit, pages * size) }
    var allowed = rlimit()
    if unsafe getrlimit(__rlimit_resource_t(RLIMIT_AS.rawValue), &allowed) == 0 {
      limit = min(limit, Int(clamping: allowed.rlim_cur) / 2)
    }
    return limit
  }()

  private static let chosen = Atomic(0)

  /// The limit in bytes: ``standard`` unless set.
  public static var bytes: Int {
    get {
      let value = chosen.load(ordering: .relaxed)
      return value > 0 ? value : standard
    }
    set { chosen.store(max(1, newValue), ordering: .relaxed) }
  }

  /// The limit if it was set. Otherwise matrices may use the available memory: their sizes come
  /// from the caller, not from an untrusted file.
  package static var chosenBytes: Int? {
    let value = chosen.load(ordering: .relaxed)
    return value > 0 ? value : nil
  }

  /// Removes a limit that was set.
  package static func reset() { chosen.store(0, ordering: .relaxed) }

  /// Checks, before a computation allocates memory piece by piece, that all of it is available.
  ///
  /// - Parameters:
  ///   - count: Number of elements of everything that the computation allocates. A `Double`,
  ///     because products of extents overflow `Int`.
  ///   - what: The computation that needs them, such as "svd of 4×3".
  /// - Throws: `outOfMemory` if they exceed the limit that was set, or the available memory.
  package static func require<T>(
    _ count: Double, of _: T.Type, for what: @autoclosure () -> String
  ) throws {
    let bytes = count * Double(MemoryLayout<T>.stride)
    if let limit = chosenBytes, bytes > Double(limit) {
      throw SwiftletError(
        .outOfMemory, "\(what()) needs \(size(bytes)), more than the limit of \(limit) bytes",
        fix: "allow more (--max-memory, swiftlet_set_max_memory)")
    }
    try requireAvailable(bytes, for: what())
  }

  /// As above, for a number of bytes already compared with the limit.
  ///
  /// Free below a megabyte, about two microseconds above, and fifty from 64 MB on.
  package static func requireAvailable(
    _ bytes: Double, for what: @autoclosure () -> String
  ) throws {
    guard bytes >= Double(1 << 20) else { return }
    if bytes >= Double(64 << 20), let available = AvailableMemory.bytes, bytes > available {
      throw exhausted(what(), bytes, "\(size(available)) is available")
    }
    // Allocated blocks are up to an eighth larger than requested, and small ones follow.
    let reserve = bytes * 1.125 + Double(4 << 20)
    guard reserve < Double(Int.max), AvailableMemory.canMap(Int(reserve)) else {
      throw exhausted(what(), bytes, "the system cannot allocate that much")
    }
  }

  private static func exhausted(
    _ what: String, _ bytes: Double, _ remark: String
  ) -> SwiftletError {
    SwiftletError(
      .outOfMemory, "\(what) needs \(size(bytes)), and \(remark)",
      fix: "use smaller sizes, or a machine with more memory")
  }

  /// A size such as "28.8 GB".
  private static func size(_ bytes: Double) -> String {
    var (value, unit) = (bytes, "bytes")
    for larger in ["kB", "MB", "GB", "TB", "PB", "EB"] where value >= 1000 {
      (value, unit) = (value / 1000, larger)
    }
    return "\((value * 10).rounded() / 10) \(unit)"
  }

  /// The maximum content of a compressed file, by its compressed size in bytes: 64 MiB or 200-fold,
  /// whichever is more. Deflate can reach 1032-fold, real arrays reach 2- to 20-fold, and the claim
  /// of a small file must not exhaust the machine's memory or disk.
  package static func plausibleExpansion(of compressed: Int) -> Int {
    max(64 << 20, compressed.multipliedReportingOverflow(by: 200).partialValue)
  }

  /// As above, but no more than the limit.
  package static func expanded(_ compressed: Int) -> Int {
    min(bytes, plausibleExpansion(of: compressed))
  }

  /// Called when the system has no memory for a tensor whose size was not checked in advance: the
  /// process ends. A program may install its own handler, which must not return.
  public static var whenExhausted: @Sendable (_ bytes: Int) -> Never {
    get { handler.withLock { $0 } }
    set { handler.withLock { $0 = newValue } }
  }

  private static let handler = Mutex<@Sendable (Int) -> Never>({ bytes in
    fatalError("the system has no memory for a tensor of \(bytes) bytes")
  })
}
