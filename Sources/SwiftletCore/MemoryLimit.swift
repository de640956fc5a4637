import Glibc
import Synchronization

/// The most memory that the values of a run, or the arrays of a file, may take together.
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

  /// The most bytes that the content of a compressed file may have by its compressed size: 64 MiB
  /// or 200-fold, whichever is more. Deflate can do 1032-fold, real arrays do 2- to 20-fold, and
  /// what a small file may claim should not take the memory of the machine.
  package static func expanded(_ compressed: Int) -> Int {
    min(bytes, max(64 << 20, compressed.multipliedReportingOverflow(by: 200).partialValue))
  }

  /// What happens when the system has no memory for a tensor: the process ends. A program may set a
  /// message of its own, which must not return.
  public static var whenExhausted: @Sendable (_ bytes: Int) -> Never {
    get { handler.withLock { $0 } }
    set { handler.withLock { $0 = newValue } }
  }

  private static let handler = Mutex<@Sendable (Int) -> Never>({ bytes in
    fatalError("the system has no memory for a tensor of \(bytes) bytes")
  })
}
