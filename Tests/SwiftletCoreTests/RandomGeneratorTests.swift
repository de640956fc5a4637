// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import Testing

struct RandomGeneratorTests {
  /// First outputs of SplitMix64 for seed 1234567, as its authors' reference code prints them.
  @Test func followsTheReference() {
    var generator = RandomGenerator(seed: 1_234_567)
    #expect(
      (0..<3).map { _ in generator.next() } == [
        6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423,
      ])
  }

  @Test func streamsDiffer() {
    let states = (0..<100).map { RandomGenerator(seed: 5, stream: 1, UInt64($0)).state }
    #expect(Set(states).count == 100)
    #expect(RandomGenerator(seed: 5, stream: 2, 0).state != states[0])
  }

  @Test func permutationsAreComplete() {
    var generator = RandomGenerator(seed: 3)
    #expect(generator.permutation(of: 100).sorted() == Array(0..<100))
    #expect(generator.permutation(of: 0).isEmpty)
  }

  @Test func normalNumbersHaveMeanZeroAndDeviationOne() {
    var generator = RandomGenerator(seed: 11)
    let numbers = (0..<20_000).map { _ in generator.normal() }
    let mean = numbers.reduce(0, +) / 20_000
    let variance = numbers.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / 20_000
    #expect(abs(mean) < 0.03)
    #expect(abs(variance - 1) < 0.05)
  }
}
