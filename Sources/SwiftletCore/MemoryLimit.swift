import Glibc
import Synchronization

/// The most memory that the values of a run, the arrays of a file, or the results and the workspace
/// of a computation with matrices may take together.
///
/// One setting for the process, as memory is one for the process. What would exceed it is refused
/// before memory is sought; operators may take some more while they work.
public enum MemoryLimit {
  /// The limit where none is set: 8 GiB, or what there is, whichever is less. What there is is this
  /// machine's memory, and half of the address space where that is limited (`ulimit -v`).
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

  /// The limit in bytes: ``standard``, unless it is set.
  public static var bytes: Int {
    get {
      let value = chosen.load(ordering: .relaxed)
      return value > 0 ? value : standard
    }
    set { chosen.store(max(1, newValue), ordering: .relaxed) }
  }

  /// The limit if somebody set it. Where nobody did, matrices may take what the machine has: their
  /// sizes are the caller's, not those of a file that nobody vouches for.
  package static var chosenBytes: Int? {
    let value = chosen.load(ordering: .relaxed)
    return value > 0 ? value : nil
  }

  /// Lifts a limit that was set.
  package static func reset() { chosen.store(0, ordering: .relaxed) }

  /// Makes sure, before a computation takes memory piece by piece, that all of it can be had.
  ///
  /// - Parameters:
  ///   - count: Elements of everything that the computation makes. A sum of `Double`s, as products of
  ///     extents overflow `Int`.
  ///   - what: What needs them, such as "svd of 4×3".
  /// - Throws: `outOfMemory` if they exceed the limit that is set, or what the machine has.
  package static func require<T>(
    _ count: Double, of _: T.Type, for what: @autoclosure () -> String
  ) throws {
    let bytes = count * Double(MemoryLayout<T>.stride)
    if let limit = chosenBytes, bytes > Double(limit) {
      throw SwiftletError(
        .outOfMemory, "\(what()) needs \(size(bytes)), more than the limit of \(limit) bytes",
        mend: "allow more (--max-memory, swiftlet_set_max_memory)")
    }
    try requireAvailable(bytes, for: what())
  }

  /// As above, for so many bytes that were compared with the limit already.
  ///
  /// Costs nothing below a megabyte, some two microseconds above, and fifty from 64 MB on.
  package static func requireAvailable(
    _ bytes: Double, for what: @autoclosure () -> String
  ) throws {
    guard bytes >= Double(1 << 20) else { return }
    if bytes >= Double(64 << 20), let available = AvailableMemory.bytes, bytes > available {
      throw exhausted(what(), bytes, "\(size(available)) are available")
    }
    // Blocks of memory are up to an eighth larger than what is asked for, and small ones follow.
    let reserve = bytes * 1.125 + Double(4 << 20)
    guard reserve < Double(Int.max), AvailableMemory.canMap(Int(reserve)) else {
      throw exhausted(what(), bytes, "the system does not give that much")
    }
  }

  private static func exhausted(
    _ what: String, _ bytes: Double, _ remark: String
  ) -> SwiftletError {
    SwiftletError(
      .outOfMemory, "\(what) needs \(size(bytes)), and \(remark)",
      mend: "use smaller sizes, or a machine with more memory")
  }

  /// Such as "28.8 GB".
  private static func size(_ bytes: Double) -> String {
    var (value, unit) = (bytes, "bytes")
    for larger in ["kB", "MB", "GB", "TB", "PB", "EB"] where value >= 1000 {
      (value, unit) = (value / 1000, larger)
    }
    return "\((value * 10).rounded() / 10) \(unit)"
  }

  /// The most bytes that the content of a compressed file may have by its compressed size: 64 MiB
  /// or 200-fold, whichever is more. Deflate can do 1032-fold, real arrays do 2- to 20-fold, and
  /// what a small file may claim should not take the memory of the machine.
  package static func expanded(_ compressed: Int) -> Int {
    min(bytes, max(64 << 20, compressed.multipliedReportingOverflow(by: 200).partialValue))
  }

  /// What happens when the system has no memory for a tensor that nobody asked about before: the
  /// process ends. A program may set a message of its own, which must not return.
  public static var whenExhausted: @Sendable (_ bytes: Int) -> Never {
    get { handler.withLock { $0 } }
    set { handler.withLock { $0 = newValue } }
  }

  private static let handler = Mutex<@Sendable (Int) -> Never>({ bytes in
    fatalError("the system has no memory for a tensor of \(bytes) bytes")
  })
}
