// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import SwiftletCore
import SwiftletFiles
import SwiftletKernels
import Synchronization

/// Measured times of layers, optionally kept in a file between runs.
///
/// The key includes the processor, the kernels and the release, so times from other machines or
/// versions are never used.
public final class LatencyCache: Sendable {
  private let path: String?
  private let machine: String
  private let times: Mutex<[String: Double]>
  private let asked = Mutex<Set<String>>([])
  /// Keys of times that were measured while the machine was busy.
  private let disturbed = Mutex<Set<String>>([])
  /// Marks those keys in the file: the next run measures them again.
  private static let mark = " | under load"

  /// Identifies this machine and this release in keys.
  public static var machine: String {
    machine(cpu: CPU.model, isa: ISA.current.rawValue, version: Release.version)
  }

  /// Identifies a machine and the release that measured on it; a later release may have faster
  /// kernels.
  public static func machine(cpu: String, isa: String, version: String) -> String {
    "Swiftlet \(version), \(cpu) \(isa)"
  }

  /// Loads the times in a file, if there is one. A damaged file is ignored: all times can be
  /// measured again.
  ///
  /// - Parameter path: A JSON file; `nil`: keep times in memory only.
  public init(path: String? = nil) {
    self.path = path
    machine = Self.machine
    var known: [String: Double] = [:]
    if let path, let bytes = try? InputFile.read(path, limit: 1 << 26),
      let stored = try? JSONDecoder().decode([String: Double].self, from: Data(bytes))
    {
      known = stored.filter {
        $0.value.isFinite && $0.value >= 0 && !$0.key.hasSuffix(Self.mark)
      }
    }
    times = Mutex(known)
  }

  /// Creates a cache in memory with known times of a machine, this one or another.
  ///
  /// - Parameters:
  ///   - times: Milliseconds by full key, which begins with the machine, as in ``used``.
  ///   - machine: The prefix of the keys to look up, as ``machine(cpu:isa:version:)`` returns it.
  public init(_ times: [String: Double], of machine: String) {
    path = nil
    self.machine = machine
    self.times = Mutex(times)
  }

  /// Milliseconds measured on this machine under a key; `nil` if unknown. Reading marks the key as
  /// used.
  package subscript(key: String) -> Double? {
    get {
      let name = "\(machine) | \(key)"
      asked.withLock { _ = $0.insert(name) }
      return times.withLock { $0[name] }
    }
    set { times.withLock { $0["\(machine) | \(key)"] = newValue } }
  }

  /// Stores a time for this run only, because the machine was busy during the measurement.
  package func setDisturbed(_ key: String, _ time: Double) {
    self[key] = time
    disturbed.withLock { _ = $0.insert("\(machine) | \(key)") }
  }

  /// Deletes a file of times, so that all are measured again.
  ///
  /// - Parameter path: The file; it need not exist.
  /// - Returns: The number of valid times that the file contained.
  /// - Throws: `io` if it cannot be deleted.
  public static func forget(_ path: String) throws -> Int {
    guard FileManager.default.fileExists(atPath: path) else { return 0 }
    let count = LatencyCache(path: path).times.withLock { $0.count }
    do { try FileManager.default.removeItem(atPath: path) } catch {
      throw SwiftletError(
        .io, "cannot delete the timing cache", at: path,
        mend: "check the permissions of its folder")
    }
    return count
  }

  /// Milliseconds of all keys that were looked up, by full key.
  public var used: [String: Double] {
    let names = asked.withLock { $0 }
    return times.withLock { $0.filter { names.contains($0.key) } }
  }

  /// Writes the file, if there is one. Errors are ignored: the times are measured again next time.
  package func save() {
    guard let path else { return }
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .prettyPrinted]
    let marked = disturbed.withLock { $0 }
    let written = times.withLock { times in
      Dictionary(
        uniqueKeysWithValues: times.map { (marked.contains($0) ? $0 + Self.mark : $0, $1) })
    }
    guard let bytes = try? encoder.encode(written) else { return }
    try? AtomicFile.write(String(decoding: bytes, as: UTF8.self), to: path)
  }
}
