// SPDX-License-Identifier: Apache-2.0

import Glibc
import SwiftletCore
import SwiftletKernels
import Testing

/// Every tier against fp64, within what the header promises.
struct ActivationKernelTests {
  private struct Function: Sendable, CustomTestStringConvertible {
    var activation: ElementFunction
    var testDescription: String
    /// In units in the last place.
    var bound = 4.0
    /// Factor of 2⁻²¹ that bounds the relative error where x < −1.
    var tail: (@Sendable (Double) -> Double)?
    var value: @Sendable (Double) -> Double
    /// At −∞ and +∞.
    var limits: (Float, Float)
  }

  private static let functions: [Function] = [
    Function(
      activation: .sigmoid, testDescription: "sigmoid", value: { 1 / (1 + exp(-$0)) },
      limits: (0, 1)),
    Function(activation: .tanh, testDescription: "tanh", value: { tanh($0) }, limits: (-1, 1)),
    Function(
      activation: .silu, testDescription: "silu", value: { $0 / (1 + exp(-$0)) },
      limits: (0, .infinity)),
    Function(
      activation: .gelu, testDescription: "gelu", bound: 8, tail: { 1 + $0 * $0 },
      value: { $0 / 2 * erfc(-$0 / 2.0.squareRoot()) }, limits: (0, .infinity)),
    Function(
      activation: .geluTanh, testDescription: "geluTanh", bound: 8,
      tail: { 1 + abs($0 * $0 * $0) },
      value: { x in
        let u = (2 / Double.pi).squareRoot() * (x + 0.044715 * x * x * x)
        return x / (1 + exp(-2 * u))
      }, limits: (0, .infinity)),
    Function(activation: .erf, testDescription: "erf", value: { erf($0) }, limits: (-1, 1)),
    Function(activation: .exp, testDescription: "exp", value: { exp($0) }, limits: (0, .infinity)),
    Function(
      activation: .elu(alpha: 1), testDescription: "elu", value: { $0 > 0 ? $0 : expm1($0) },
      limits: (-1, .infinity)),
    Function(
      activation: .softplus, testDescription: "softplus",
      value: { max($0, 0) + log1p(exp(-abs($0))) }, limits: (0, .infinity)),
    Function(
      activation: .mish, testDescription: "mish", bound: 8,
      value: { x in
        let e = exp(min(x, 40))
        return x * (e * (e + 2) / (e * (e + 2) + 2))
      }, limits: (0, .infinity)),
  ]

  /// Dense where functions bend, wide elsewhere, and down to the smallest numbers.
  private static let inputs: [Float] = {
    var generator = RandomGenerator(seed: 31)
    var x: [Float] = [0, -0.0, 1, -1, 88.7, 88.8, -87.4, -103.9, -104.1, 1e30, -1e30]
    for _ in 0..<60_000 {
      x.append(Float(16 * generator.uniform() - 8))
      x.append(Float(240 * generator.uniform() - 120))
      let exponent = generator.below(60) - 50
      x.append(Float(scalbn(2 * generator.uniform() - 1, Int32(exponent))))
    }
    return x
  }()

  private func apply(_ kernel: PointwiseKernel, _ activation: ElementFunction, _ x: [Float])
    -> [Float]
  {
    var y = [Float](repeating: 7, count: x.count)
    unsafe x.withUnsafeBytes { from in
      unsafe y.withUnsafeMutableBytes { to in
        unsafe kernel.activate(
          activation, count: x.count, from.baseAddress!, to: to.baseAddress!)
      }
    }
    return y
  }

  @Test(arguments: functions)
  private func precision(function: Function) {
    for kernel in PointwiseKernel.supported {
      let y = apply(kernel, function.activation, Self.inputs)
      var worst = 0.0
      var worstAt: Float = 0
      for (x, y) in zip(Self.inputs, y) {
        let expected = function.value(Double(x))
        if abs(expected) > Double(Float.greatestFiniteMagnitude) {
          if y != Float(expected) { (worst, worstAt) = (.infinity, x) }
          continue
        }
        let size = max(abs(expected), 0x1p-116)
        var allowed = function.bound * Double(Float(size).ulp)
        if let tail = function.tail, x < -1 {
          allowed = 0x1p-21 * tail(Double(x)) * size
        }
        let ratio = abs(Double(y) - expected) / allowed
        if !(ratio <= worst) { (worst, worstAt) = (ratio, x) }
      }
      #expect(worst <= 1, "\(kernel.name): \(worst) of the bound at \(worstAt)")
    }
  }

  @Test(arguments: functions)
  private func limits(function: Function) {
    for kernel in PointwiseKernel.supported {
      let y = apply(kernel, function.activation, [-.infinity, .infinity, .nan])
      #expect(y[0] == function.limits.0 && y[1] == function.limits.1, "\(kernel.name): \(y)")
      #expect(y[2].isNaN, "\(kernel.name): \(y)")
    }
  }

  /// All lengths around the registers', in place, and nothing beyond.
  @Test(arguments: functions)
  private func lengths(function: Function) {
    for kernel in PointwiseKernel.supported {
      for count in 0...67 {
        let x = Array(Self.inputs.suffix(count))
        // Where a number stands does not matter.
        let expected = x.map { apply(kernel, function.activation, [$0])[0] }
        var inPlace = x
        var out = GuardedBytes(count: 4 * count)
        unsafe inPlace.withUnsafeMutableBytes { y in
          // An empty array may have no address; any will do.
          guard let y = y.baseAddress else { return }
          unsafe out.withPointer {
            unsafe kernel.activate(function.activation, count: count, y, to: $0)
          }
          unsafe kernel.activate(function.activation, count: count, y, to: y)
        }
        #expect(inPlace == expected, "\(kernel.name): \(count) elements")
        #expect((0..<count).map { out.takeFloat(at: 4 * $0) } == expected)
        #expect(out.isUntouched)
      }
    }
  }

  /// The simple ones are exact.
  @Test func exact() {
    let x = Self.inputs + [.infinity, -.infinity, .nan]
    for kernel in PointwiseKernel.supported {
      func check(_ activation: ElementFunction, _ definition: (Float) -> Float) {
        let y = apply(kernel, activation, x)
        let wrong = zip(x, y).filter { x, y in !same(y, x.isNaN ? x : definition(x)) }
        #expect(wrong.isEmpty, "\(kernel.name), \(activation): \(wrong.first!)")
      }
      check(.clip(low: -1, high: 6)) { min(max($0, -1), 6) }
      check(.hardSigmoid(alpha: 0.2, beta: 0.5)) { max(0, min(1, 0.2 * $0 + 0.5)) }
      check(.hardSwish) { x in
        x == -.infinity ? 0 : x * max(0, min(1, x * (1 / 6) + 0.5))
      }
      check(.leakyRelu(alpha: 0.01)) { $0 < 0 ? 0.01 * $0 : $0 }
    }
  }

  @Test func lookup() {
    var numbers = Numbers(seed: 32)
    let table = numbers.bytes(256)
    for count in Array(0...131) + [1003] {
      let x = numbers.bytes(count)
      for kernel in PointwiseKernel.supported {
        var out = GuardedBytes(count: count)
        unsafe x.withUnsafeBytes { x in
          unsafe table.withUnsafeBufferPointer { table in
            guard let x = x.baseAddress else { return }
            unsafe out.withPointer {
              unsafe kernel.lookupU8(count: count, x, table: table.baseAddress!, to: $0)
            }
          }
        }
        #expect((0..<count).map { out.takeByte(at: $0) } == x.map { table[Int($0)] })
        #expect(out.isUntouched, "\(kernel.name): \(count) elements")
      }
    }
  }
}
