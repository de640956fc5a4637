// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import SwiftletCore
import SwiftletFiles
import SwiftletKernels
import Synchronization

/// Measured times by what was measured, kept in a file from run to run where there is one.
///
/// Times of another processor, of other kernels or of another release are never taken for this
/// one's: they are part of the key.
public final class LatencyCache: Sendable {
  private let path: String?
  private let machine: String
  private let times: Mutex<[String: Double]>
  private let asked = Mutex<Set<String>>([])
  /// Those that were taken while the machine did other work.
  private let disturbed = Mutex<Set<String>>([])
  /// What their keys end with in the file: the next run takes them again.
  private static let mark = " | under load"

  /// Names this machine and this release in keys.
  public static var machine: String {
    machine(cpu: CPU.model, isa: ISA.current.rawValue, version: Release.version)
  }

  /// Names a machine, and the release that measured on it: a later one may have faster kernels.
  public static func machine(cpu: String, isa: String, version: String) -> String {
    "Swiftlet \(version), \(cpu) \(isa)"
  }

  /// - Parameter path: A JSON file; `nil`: in memory alone. A damaged one is begun anew: all in it
  ///   can be measured again.
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

  /// Begins with times that were measured before, of this machine or not.
  public init(_ times: [String: Double], of machine: String) {
    path = nil
    self.machine = machine
    self.times = Mutex(times)
  }

  package subscript(key: String) -> Double? {
    get {
      let name = "\(machine) | \(key)"
      asked.withLock { _ = $0.insert(name) }
      return times.withLock { $0[name] }
    }
    set { times.withLock { $0["\(machine) | \(key)"] = newValue } }
  }

  /// Keeps a time for this run alone, because the machine did other work while it was taken.
  package func setDisturbed(_ key: String, _ time: Double) {
    self[key] = time
    disturbed.withLock { _ = $0.insert("\(machine) | \(key)") }
  }

  /// Deletes a file of times, so that all are taken again.
  ///
  /// - Returns: How many there were.
  /// - Throws: `io` if it cannot be deleted.
  public static func forget(_ path: String) throws -> Int {
    guard FileManager.default.fileExists(atPath: path) else { return 0 }
    let count = LatencyCache(path: path).times.withLock { $0.count }
    do { try FileManager.default.removeItem(atPath: path) } catch {
      throw SwiftletError(
        .io, "the file of times cannot be deleted", at: path,
        mend: "check the rights of its folder")
    }
    return count
  }

  /// The times that were asked for.
  public var used: [String: Double] {
    let names = asked.withLock { $0 }
    return times.withLock { $0.filter { names.contains($0.key) } }
  }

  /// Writes the file, if there is one. Where it cannot be written, times are measured again.
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
