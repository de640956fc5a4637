/// SHA-256: names data by their content, so that what was computed of them is found again.
///
/// - Source: FIPS 180-4.
package struct SHA256: Sendable {
  private var state: [UInt32] = Self.roots(8, cube: false)
  private var block: [UInt8] = []
  private var length = 0
  private static let constants = roots(64, cube: true)

  package init() { block.reserveCapacity(64) }

  /// The first 32 bits of the fractions of the first primes' roots.
  private static func roots(_ count: Int, cube: Bool) -> [UInt32] {
    (2...311).lazy.filter { n in (2..<n).allSatisfy { n % $0 != 0 } }.prefix(count).map { prime in
      // The integer root of prime · 2^(32·power), by bisection: exact, as floating point is not.
      let power = cube ? 3 : 2
      let target = UInt128(prime) << UInt128(32 * power)
      var (low, high): (UInt128, UInt128) = (0, 1 << 37)
      while low + 1 < high {
        let middle = (low + high) / 2
        let value = cube ? middle * middle * middle : middle * middle
        if value <= target { low = middle } else { high = middle }
      }
      return UInt32(truncatingIfNeeded: low)
    }
  }

  package mutating func update(_ bytes: Span<UInt8>) {
    length += bytes.count
    var schedule = [UInt32](repeating: 0, count: 64)
    for i in bytes.indices {
      block.append(bytes[i])
      if block.count == 64 { digestBlock(&schedule) }
    }
  }

  package mutating func update(_ text: String) { update(Array(text.utf8).span) }

  /// The hash of all that was given, as 64 hexadecimal digits.
  package consuming func hexDigest() -> String {
    let bits = UInt64(length) * 8
    var tail: [UInt8] = [0x80]
    while (block.count + tail.count) % 64 != 56 { tail.append(0) }
    for shift in stride(from: 56, through: 0, by: -8) {
      tail.append(UInt8(truncatingIfNeeded: bits >> UInt64(shift)))
    }
    update(tail.span)
    return state.map { word in
      let digits = String(word, radix: 16)
      return String(repeating: "0", count: 8 - digits.count) + digits
    }.joined()
  }

  private mutating func digestBlock(_ w: inout [UInt32]) {
    func turned(_ x: UInt32, _ n: UInt32) -> UInt32 { x &>> n | x &<< (32 &- n) }
    for i in 0..<16 {
      w[i] =
        UInt32(block[4 * i]) << 24 | UInt32(block[4 * i + 1]) << 16
        | UInt32(block[4 * i + 2]) << 8 | UInt32(block[4 * i + 3])
    }
    for i in 16..<64 {
      let (x, y) = (w[i - 15], w[i - 2])
      let s0 = turned(x, 7) ^ turned(x, 18) ^ (x >> 3)
      let s1 = turned(y, 17) ^ turned(y, 19) ^ (y >> 10)
      w[i] = w[i - 16] &+ s0 &+ w[i - 7] &+ s1
    }
    var (a, b, c, d) = (state[0], state[1], state[2], state[3])
    var (e, f, g, h) = (state[4], state[5], state[6], state[7])
    for i in 0..<64 {
      let s1 = turned(e, 6) ^ turned(e, 11) ^ turned(e, 25)
      let choice = (e & f) ^ (~e & g)
      let first = h &+ s1 &+ choice &+ Self.constants[i] &+ w[i]
      let s0 = turned(a, 2) ^ turned(a, 13) ^ turned(a, 22)
      let majority = (a & b) ^ (a & c) ^ (b & c)
      (h, g, f, e) = (g, f, e, d &+ first)
      (d, c, b, a) = (c, b, a, first &+ s0 &+ majority)
    }
    for (i, word) in [a, b, c, d, e, f, g, h].enumerated() { state[i] &+= word }
    block.removeAll(keepingCapacity: true)
  }
}
