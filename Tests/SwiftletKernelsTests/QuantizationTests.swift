// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletKernels
import Testing

struct QuantizationTests {
  /// The definition, one number at a time, in double precision where that changes nothing.
  private static func expected(_ x: Float, _ scale: Float, _ zero: Int, _ range: ClosedRange<Int>)
    -> Int
  {
    let quotient = x / scale
    if quotient.isNaN { return zero }
    let rounded = min(max(quotient, -1e6), 1e6).rounded(.toNearestOrEven)
    return min(max(Int(rounded) + zero, range.lowerBound), range.upperBound)
  }

  private static let inputs: [Float] = {
    var generator = RandomGenerator(seed: 6)
    let ties = stride(from: Float(-200), through: 200, by: 0.5).map { $0 * 0.25 }
    let random = (0..<700).map { _ in Float(generator.normal() * 40) }
    let special: [Float] = [
      0, -0.0, .nan, .infinity, -.infinity, .greatestFiniteMagnitude, -.greatestFiniteMagnitude,
      .leastNonzeroMagnitude, -.leastNonzeroMagnitude, .leastNormalMagnitude, 2_147_483_648,
    ]
    return ties + random + special
  }()

  /// Every tier that this CPU can run gives the same codes, for every length around the registers'.
  @Test(arguments: Quantization.kernels.map(\.name), [Float(0.25), 0.1, 1e-30])
  func allTiersFollowTheDefinition(name: String, scale: Float) throws {
    let kernel = try #require(Quantization.kernels.first { $0.name == name })
    let inputs = Tensor([Self.inputs.count], Self.inputs)
    for count in Array(0...67) + [inputs.count] {
      let x = inputs.span.extracting((inputs.count - count)...)
      var unsigned = [UInt8](repeating: 77, count: count)
      var signed = [Int8](repeating: 77, count: count)
      var (u, s) = (unsigned, signed)
      do {
        var q = u.mutableSpan
        kernel.quantize(x, scale: scale, zeroPoint: UInt8(131), into: &q)
        var r = s.mutableSpan
        kernel.quantize(x, scale: scale, zeroPoint: Int8(-3), into: &r)
      }
      for i in 0..<count {
        unsigned[i] = UInt8(Self.expected(x[i], scale, 131, 0...255))
        signed[i] = Int8(Self.expected(x[i], scale, -3, -128...127))
      }
      #expect(u == unsigned, "\(count) elements")
      #expect(s == signed, "\(count) elements")
    }
  }

  @Test(arguments: Quantization.kernels.map(\.name))
  func restoringIsExact(name: String) throws {
    let kernel = try #require(Quantization.kernels.first { $0.name == name })
    let codes = (0..<256).map { UInt8($0) }
    let signed = (-128..<128).map { Int8($0) }
    var (x, y) = ([Float](repeating: 0, count: 256), [Float](repeating: 0, count: 256))
    do {
      var target = x.mutableSpan
      kernel.dequantize(codes.span, scale: 0.1, zeroPoint: UInt8(100), into: &target)
      var other = y.mutableSpan
      kernel.dequantize(signed.span, scale: 0.3, zeroPoint: Int8(-5), into: &other)
    }
    #expect(x == codes.map { Float(Int($0) - 100) * 0.1 })
    #expect(y == signed.map { Float(Int($0) + 5) * 0.3 })
  }

  @Test func aScalarKernelIsAlwaysThere() {
    #expect(Quantization.kernels.last?.isa == .scalar)
    #expect(TrainingKernel.supported.last?.isa == .scalar)
  }
}
