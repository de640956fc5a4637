// SPDX-License-Identifier: Apache-2.0

import SwiftletCore

/// Memory that kernels write to, with a pattern around and between what they may write.
struct GuardedBytes {
  private static let pattern: UInt8 = 0xA5
  private static let margin = 80
  private var bytes: [UInt8]

  init(count: Int) { bytes = Array(repeating: Self.pattern, count: count + 2 * Self.margin) }

  mutating func withPointer(_ body: (UnsafeMutableRawPointer) -> Void) {
    unsafe bytes.withUnsafeMutableBytes { unsafe body($0.baseAddress! + Self.margin) }
  }

  /// What was written there; the pattern takes its place.
  mutating func takeFloat(at offset: Int) -> Float {
    var bits: UInt32 = 0
    for i in 0..<4 { bits |= UInt32(takeByte(at: offset + i)) << (8 * i) }
    return Float(bitPattern: bits)
  }

  mutating func takeHalf(at offset: Int) -> UInt16 {
    UInt16(takeByte(at: offset)) | UInt16(takeByte(at: offset + 1)) << 8
  }

  mutating func takeByte(at offset: Int) -> UInt8 {
    let byte = bytes[Self.margin + offset]
    bytes[Self.margin + offset] = Self.pattern
    return byte
  }

  /// Whether there is nothing but the pattern: everything written was taken.
  var isUntouched: Bool { bytes.allSatisfy { $0 == Self.pattern } }
}

/// Numbers of one kind for a test, from a seed.
struct Numbers {
  var generator: RandomGenerator

  init(seed: UInt64) { generator = RandomGenerator(seed: seed) }

  mutating func floats(_ count: Int, special: [Float] = []) -> [Float] {
    var x = (0..<count).map { _ in Float(generator.below(2001) - 1000) / 256 }
    if count > 0 { for value in special { x[generator.below(count)] = value } }
    return x
  }

  /// All values, the extremes more often than others.
  mutating func bytes(_ count: Int) -> [UInt8] {
    (0..<count).map { _ in
      switch generator.below(8) {
      case 0: 0
      case 1: 255
      default: UInt8(generator.below(256))
      }
    }
  }
}

/// Equal, or both NaN.
func same(_ a: Float, _ b: Float) -> Bool { a == b || a.isNaN && b.isNaN }
