// SPDX-License-Identifier: Apache-2.0

import Glibc

/// The memory that the machine has available.
enum AvailableMemory {
  /// Bytes that can be allocated without harming other processes: what Linux reports as available,
  /// plus free swap space; less if a control group allows less. `nil` if the system does not report
  /// it.
  ///
  /// Linux overcommits memory and ends the process that touches it, so a successful allocation
  /// proves nothing.
  static var bytes: Double? {
    let machine = kernel
    let group = ControlGroup.available
    guard let least = [machine, group].compactMap({ $0 }).min() else { return nil }
    // Memory kept from freed tensors is ours to reuse.
    return least + Double(MemoryPool.shared.heldBytes)
  }

  private static var kernel: Double? {
    let fields = SystemFile.fields("/proc/meminfo")
    guard let available = fields["MemAvailable:"] else { return nil }
    return 1024 * (available + (fields["SwapFree:"] ?? 0))
  }

  /// Whether the system would allocate this many bytes now, by the address-space limits and the
  /// overcommit rules.
  static func canMap(_ byteCount: Int) -> Bool {
    if tryMapping(byteCount) { return true }
    MemoryPool.shared.giveBack()
    return tryMapping(byteCount)
  }

  private static func tryMapping(_ byteCount: Int) -> Bool {
    let start = unsafe mmap(
      nil, byteCount, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    guard let start = unsafe start, unsafe start != MAP_FAILED else { return false }
    unsafe munmap(start, byteCount)
    return true
  }
}

/// The control groups of the process: containers and services have their own limits.
private enum ControlGroup {
  /// Bytes left within the limits of the process's group and its parents; `nil` if there is no
  /// limit.
  static var available: Double? {
    let lines = SystemFile.text("/proc/self/cgroup").split(separator: "\n")
    return lines.compactMap { line -> Double? in
      let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
      guard parts.count == 3 else { return nil }
      if parts[1].isEmpty {
        return least(
          in: "/sys/fs/cgroup", String(parts[2]), limit: "memory.max", usage: "memory.current",
          reclaimable: "inactive_file")
      }
      guard parts[1].split(separator: ",").contains("memory") else { return nil }
      return least(
        in: "/sys/fs/cgroup/memory", String(parts[2]), limit: "memory.limit_in_bytes",
        usage: "memory.usage_in_bytes", reclaimable: "total_inactive_file")
    }.min()
  }

  private static func least(
    in root: String, _ group: String, limit: String, usage: String, reclaimable: String
  ) -> Double? {
    var path = group.split(separator: "/").map(String.init)
    var found: Double?
    while true {
      let folder = ([root] + path).joined(separator: "/")
      // "max", and values larger than any machine, mean no limit.
      if let limit = SystemFile.number("\(folder)/\(limit)"), limit < 0x1p60,
        let used = SystemFile.number("\(folder)/\(usage)")
      {
        let cache = SystemFile.fields("\(folder)/memory.stat")[reclaimable] ?? 0
        found = min(found ?? .infinity, max(0, limit - max(0, used - cache)))
      }
      guard path.popLast() != nil else { return found }
    }
  }
}

/// Small files in which Linux reports its state.
private enum SystemFile {
  /// The first kilobytes; empty if the file does not exist.
  static func text(_ path: String) -> String {
    let file = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return "" }
    defer { close(file) }
    return unsafe withUnsafeTemporaryAllocation(byteCount: 8192, alignment: 1) { buffer in
      let count = unsafe read(file, buffer.baseAddress, buffer.count)
      guard count > 0 else { return "" }
      let bytes = unsafe UnsafeRawBufferPointer(rebasing: buffer[..<count])
      return unsafe String(decoding: bytes, as: UTF8.self)
    }
  }

  static func number(_ path: String) -> Double? {
    text(path).split(whereSeparator: \.isWhitespace).first.flatMap { Double($0) }
  }

  /// Numbers keyed by the word before them.
  static func fields(_ path: String) -> [String: Double] {
    var fields: [String: Double] = [:]
    for line in text(path).split(separator: "\n") {
      let words = line.split(separator: " ", omittingEmptySubsequences: true)
      if words.count >= 2, let number = Double(words[1]) { fields[String(words[0])] = number }
    }
    return fields
  }
}
