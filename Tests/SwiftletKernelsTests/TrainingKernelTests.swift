// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletKernels
import Testing

/// Every tier against the plain loops that `Double` uses, bit for bit: the inputs are exact in
/// both.
struct TrainingKernelTests {
  private static let names = TrainingKernel.supported.map(\.name)

  private func kernel(_ name: String) throws -> TrainingKernel {
    try #require(TrainingKernel.supported.first { $0.name == name })
  }

  /// Small integers, so that sums are exact, with ties and zeros of both signs.
  private func numbers(_ count: Int, seed: UInt64) -> [Float] {
    var generator = RandomGenerator(seed: seed)
    return (0..<count).map { _ in Float(generator.below(9)) - 4 }
  }

  @Test(arguments: names)
  func addAndSum(name: String) throws {
    let kernel = try kernel(name)
    for count in 0...67 {
      let (x, y) = (numbers(count, seed: 1), numbers(count, seed: 2))
      var sum = y
      do {
        var target = sum.mutableSpan
        kernel.add(x.span, to: &target)
      }
      #expect(sum == zip(x, y).map(+))
      #expect(kernel.sum(x.span) == x.reduce(0, +))
    }
  }

  /// The order of summation is part of the contract: all tiers agree on numbers that round.
  @Test(arguments: names)
  func sumsRoundAlike(name: String) throws {
    var generator = RandomGenerator(seed: 12)
    let x = (0..<1003).map { _ in Float(generator.normal()) }
    let scalar = try #require(TrainingKernel.supported.last)
    #expect(try kernel(name).sum(x.span) == scalar.sum(x.span))
  }

  @Test(arguments: names)
  func relu(name: String) throws {
    let kernel = try kernel(name)
    for count in 0...67 {
      var x = numbers(count, seed: 3)
      if count > 5 { x[5] = .nan }
      var (y, slope) = (x, numbers(count, seed: 4))
      let incoming = slope
      do {
        var target = y.mutableSpan
        kernel.relu(&target)
        var gradient = slope.mutableSpan
        kernel.reluGradient(y.span, &gradient)
      }
      for i in 0..<count {
        #expect(x[i].isNaN ? y[i].isNaN : y[i] == max(x[i], 0))
        #expect(slope[i] == (x[i] > 0 ? incoming[i] : 0))
      }
    }
  }

  @Test(arguments: names, [(0, 3), (1, 1), (2, 5), (3, 8), (4, 16), (2, 37)])
  func pooling(name: String, size: (height: Int, width: Int)) throws {
    let kernel = try kernel(name)
    let count = size.height * size.width
    var x = numbers(4 * count, seed: 5)
    if count > 7 { x[9] = .nan }
    let slope = numbers(count, seed: 6)
    var (y, dx) = ([Float](repeating: 9, count: count), [Float](repeating: 9, count: 4 * count))
    var (plainY, plainDx) = (y.map(Double.init), dx.map(Double.init))
    let (plainX, plainSlope) = (x.map(Double.init), slope.map(Double.init))
    do {
      var target = y.mutableSpan
      kernel.maxPool2(x.span, height: size.height, width: size.width, into: &target)
      var gradient = dx.mutableSpan
      kernel.maxPool2Gradient(
        x.span, slope.span, height: size.height, width: size.width, into: &gradient)
      var plain = plainY.mutableSpan
      Double.maxPool2(plainX.span, height: size.height, width: size.width, into: &plain)
      var plainGradient = plainDx.mutableSpan
      Double.maxPool2Gradient(
        plainX.span, plainSlope.span, height: size.height, width: size.width, into: &plainGradient)
    }
    for (a, b) in zip(y, plainY) { #expect(a.isNaN ? b.isNaN : Double(a) == b) }
    for window in 0..<count where !y[window].isNaN {
      let corner = window / size.width * 4 * size.width + window % size.width * 2
      for i in [corner, corner + 1, corner + 2 * size.width, corner + 2 * size.width + 1] {
        #expect(Double(dx[i]) == plainDx[i])
      }
    }
    // What goes in comes out, wherever it goes to.
    #expect(dx.reduce(0, +) == slope.reduce(0, +))
  }
}
