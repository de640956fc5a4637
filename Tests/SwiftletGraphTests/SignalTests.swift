// SPDX-License-Identifier: Apache-2.0

import RealModule
import SwiftletCore
import SwiftletGraph
import Testing

struct SignalTests {
  /// Σ x[k]·exp(−2πi·jk/n), by the definition.
  private func slow(_ x: [Double], _ imaginary: [Double]) -> [Double] {
    let n = x.count
    return (0..<n).flatMap { j -> [Double] in
      var (real, other) = (0.0, 0.0)
      for k in 0..<n {
        let angle = -2 * Double.pi * Double(j * k % n) / Double(n)
        real += x[k] * .cos(angle) - imaginary[k] * .sin(angle)
        other += x[k] * .sin(angle) + imaginary[k] * .cos(angle)
      }
      return [real, other]
    }
  }

  private func numbers(_ count: Int, seed: UInt64) -> [Double] {
    var generator = RandomGenerator(seed: seed)
    return (0..<count).map { _ in generator.normal() }
  }

  private func isClose(_ a: [Double], _ b: [Double]) -> Bool {
    a.count == b.count && zip(a, b).allSatisfy { abs($0 - $1) < 1e-9 * Double(a.count + 10) }
  }

  @Test(arguments: [1, 2, 3, 5, 8, 12, 31, 64, 100])
  func transformsOfAnyLength(count: Int) throws {
    let (real, imaginary) = (numbers(count, seed: 1), numbers(count, seed: 2))
    let both = zip(real, imaginary).flatMap { [$0, $1] }
    let x = AnyTensor.float64(Tensor([1, count, 2], both))
    let y = try compute("DFT", [x])[0].require(Double.self).elements
    #expect(isClose(y, slow(real, imaginary)))
    let back = try compute(
      "DFT", [.float64(Tensor([1, count, 2], y))], ["inverse": .int(1)])[0]
    #expect(try isClose(back.require(Double.self).elements, both))
    // One side of a real signal is the beginning of all.
    let signal = AnyTensor.float64(Tensor([1, count, 1], real))
    let side = try compute("DFT", [signal], ["onesided": .int(1)])[0]
    let all = slow(real, real.map { _ in 0 })
    #expect(
      try isClose(side.require(Double.self).elements, Array(all[..<(2 * (count / 2 + 1))])))
  }

  @Test func axesAndLengths() throws {
    let values = numbers(12, seed: 3)
    let x = AnyTensor.float64(Tensor([4, 3, 1], values))
    let y = try compute("DFT", [x, nil, ints([], [0])], opset: 20)[0].require(Double.self)
    for column in 0..<3 {
      let own = (0..<4).map { values[$0 * 3 + column] }
      let found = (0..<4).flatMap { row in (0..<2).map { y.elements[(row * 3 + column) * 2 + $0] } }
      #expect(isClose(found, slow(own, own.map { _ in 0 })))
    }
    // Cut to two, and padded to five.
    for length in [2, 5] {
      let own = (0..<length).map { $0 < 3 ? values[$0] : 0 }
      let first = AnyTensor.float64(Tensor([1, 3, 1], Array(values[..<3])))
      let z = try compute("DFT", [first, ints([], [Int64(length)])])[0].require(Double.self)
      #expect(isClose(z.elements, slow(own, own.map { _ in 0 })))
    }
  }

  @Test func framesOfASignal() throws {
    let values = numbers(10, seed: 4)
    let window: [Double] = [0.5, 1, 1, 0.5]
    let y = try compute(
      "STFT",
      [
        .float64(Tensor([1, 10, 1], values)), ints([], [3]), .float64(Tensor([4], window)), nil,
      ])[0]
    #expect(y.shape == [1, 3, 3, 2])
    for frame in 0..<3 {
      let own = (0..<4).map { values[frame * 3 + $0] * window[$0] }
      let found = try y.require(Double.self).elements[frame * 6..<frame * 6 + 6]
      #expect(isClose(Array(found), Array(slow(own, [0, 0, 0, 0])[..<6])))
    }
  }

  @Test func windows() throws {
    let hann = try compute("HannWindow", [ints([], [4])])[0].require(Float.self).elements
    #expect(zip(hann, [0, 0.5, 1, 0.5]).allSatisfy { abs($0 - $1) < 1e-6 })
    let even = try compute("BlackmanWindow", [ints([], [3])], ["periodic": .int(0)])[0]
    #expect(
      try zip(even.require(Float.self).elements, [0, 1, 0]).allSatisfy { abs($0 - $1) < 1e-6 })
  }

  static let refusals: [Refusal] = [
    Refusal("DFT", [floats([1, 4, 3], [Float](repeating: 0, count: 12))]),
    Refusal("DFT", [floats([4, 1], [1, 2, 3, 4])], ["axis": .int(1)]),
    Refusal("DFT", [floats([1, 4, 1], [1, 2, 3, 4]), ints([], [0])]),
    Refusal("DFT", [floats([1, 4, 1], [1, 2, 3, 4]), ints([], [.max])]),
    Refusal("DFT", [floats([1, 2, 2], [1, 2, 3, 4])], ["onesided": .int(1)]),
    Refusal("STFT", [floats([1, 4, 1], [1, 2, 3, 4]), ints([], [0]), nil, ints([], [2])]),
    Refusal("STFT", [floats([1, 4, 1], [1, 2, 3, 4]), ints([], [1]), nil, ints([], [5])]),
    Refusal("STFT", [floats([1, 4, 1], [1, 2, 3, 4]), ints([], [1])]),
    Refusal("HannWindow", [ints([], [-1])]),
    Refusal("RandomNormal", [], [:]), Refusal("RandomNormal", [], ["shape": .ints([-1])]),
    Refusal("Multinomial", [floats([1, 2], [0, 0])], ["sample_size": .int(0)]),
    Refusal("RandomUniformLike", [floats([1], [0])], ["dtype": .int(8)]),
  ]

  @Test(arguments: refusals)
  func refuses(test: Refusal) { test.check() }

  /// The same numbers in each run, others for another seed, and as they were asked for.
  @Test func randomNumbersRepeat() throws {
    func draw(_ seed: Float?) throws -> [Float] {
      var attributes: [String: Attribute] = [
        "shape": .ints([2000]), "mean": .float(3), "scale": .float(2),
      ]
      if let seed { attributes["seed"] = .float(seed) }
      return try compute("RandomNormal", [], attributes)[0].require(Float.self).elements
    }
    #expect(try draw(1) == draw(1))
    #expect(try draw(nil) == draw(nil))
    #expect(try draw(1) != draw(2))
    let values = try draw(1)
    let mean = values.reduce(0, +) / 2000
    let variance = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / 2000
    #expect(abs(mean - 3) < 0.2 && abs(variance - 4) < 0.5)
    let coins = try compute("Bernoulli", [floats([1000], [Float](repeating: 0.25, count: 1000))])
    let heads = try coins[0].require(Float.self).elements.reduce(0, +)
    #expect(200...300 ~= heads)
    let classes = try compute(
      "Multinomial", [floats([1, 2], [0, -.infinity])], ["sample_size": .int(20)])
    #expect(classes == [.int32(Tensor([1, 20], [Int32](repeating: 0, count: 20)))])
  }
}
