// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import Synchronization

/// The memory for pictures that are decoded and not yet, or not for the last time, used.
///
/// A quarter is for the pictures that the workers of one pass decode ahead of the model, half for
/// pictures that are kept because later passes need them again. The rest is for the batch that the
/// model gets, which has the size that was asked for. Passes that have begun keep theirs.
public enum LoaderMemory {
  /// The default: 512 MiB, or a quarter of `MemoryLimit.bytes` if that is less.
  public static var standard: Int { min(512 << 20, MemoryLimit.bytes / 4) }

  private static let chosen = Atomic(0)

  /// The bounds of work that has its own.
  private static let bounds = Mutex<[Int]>([])

  /// The memory in bytes: ``standard`` unless set, process-wide, or bounded by ``bounded(by:_:)``.
  public static var bytes: Int {
    get {
      if let own = bounds.withLock({ $0.min() }) { return own }
      let value = chosen.load(ordering: .relaxed)
      return value > 0 ? value : standard
    }
    set { chosen.store(max(1, newValue), ordering: .relaxed) }
  }

  /// Does work for which ``bytes`` is another number. While several threads do such work, the
  /// smallest number counts for all, so that none exceeds its own.
  ///
  /// - Parameters:
  ///   - bytes: The memory; `nil` changes nothing.
  ///   - body: The work.
  public static func bounded<Result>(
    by bytes: Int?, _ body: () throws -> Result
  ) rethrows -> Result {
    guard let bytes = bytes.map({ max(1, $0) }) else { return try body() }
    bounds.withLock { $0.append(bytes) }
    defer {
      _ = bounds.withLock { $0.remove(at: $0.firstIndex(of: bytes)!) }
      FittedImages.shared.shrink()
    }
    return try body()
  }

  /// The most bytes of pictures that are decoded ahead in one pass.
  static func ahead(of bytes: Int) -> Int { bytes / 4 }

  /// The most bytes of pictures to keep for later passes.
  static var kept: Int { bytes / 2 }
}
