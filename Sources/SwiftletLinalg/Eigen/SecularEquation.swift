// SPDX-License-Identifier: Apache-2.0

import SwiftletBLAS
import SwiftletCore

/// The roots of 1 + Σ zⱼ²/(dⱼ − λ) = 0, or of 1 + Σ zⱼ²/(dⱼ² − σ²) = 0 if `isSquared`: the
/// eigenvalues of D + z·zᵀ, or the singular values of D with z as its first row.
///
/// Poles are in ascending order and well separated, and no zⱼ is 0. There is one root above every
/// pole. A root is stored as its distance to the nearest pole, so all differences to poles are
/// accurate to the last bits, however close a root comes.
///
/// - Source: Li, "Solving secular equations stably and efficiently" (LAPACK working note 89,
///   1994); Gu & Eisenstat, "A divide-and-conquer algorithm for the bidiagonal SVD" (1995).
struct SecularEquation<T: BLASElement> {
  private let poles: [T]
  private let isSquared: Bool
  private let squares: [T]
  private let kernels = T._routines.kernels

  init(poles: [T], z: [T], isSquared: Bool) {
    self.poles = poles
    self.isSquared = isSquared
    squares = z.map { $0 * $0 }
  }

  /// Finds all roots.
  ///
  /// - Parameter gaps: Row i becomes dⱼ − λᵢ, or dⱼ² − σᵢ².
  /// - Throws: `numerical` if a root is not found.
  func solve(gaps: MatrixView<T>) throws -> [T] {
    let count = poles.count
    var gap = [T](repeating: 0, count: count)
    var sum = gap
    var roots = gap
    for i in 0..<count {
      let (origin, shift) = try root(i, &gap, &sum)
      roots[i] = poles[origin] + shift
      for j in 0..<count {
        gaps[i, j] = isSquared ? (gap[j] - shift) * (sum[j] + shift) : gap[j] - shift
      }
    }
    return roots
  }

  /// The z for which the computed roots are exact: eigenvectors made from it are orthogonal to
  /// working precision, regardless of the error of the roots.
  func correctedZ(_ z: [T], gaps: MatrixView<T>) -> [T] {
    let count = poles.count
    var products = [T](repeating: 1, count: count)
    for i in 0..<count {
      // Root i is paired with pole i + 1 for the poles up to i, with pole i for those above.
      for j in 0..<count {
        let partner = j > i ? i : i + 1
        products[j] *= partner == count ? -gaps[i, j] : gaps[i, j] / difference(j, partner)
      }
    }
    return zip(z, products).map { z, product in
      let size = abs(product).squareRoot()
      return z < 0 ? -size : size
    }
  }

  /// dⱼ − dₖ, or dⱼ² − dₖ².
  private func difference(_ j: Int, _ k: Int) -> T {
    let gap = poles[j] - poles[k]
    return isSquared ? gap * (poles[j] + poles[k]) : gap
  }

  private func root(
    _ index: Int, _ gap: inout [T], _ sum: inout [T]
  ) throws -> (origin: Int, shift: T) {
    let count = poles.count
    let isLast = index == count - 1
    var origin = index
    /// Moves the origin of shifts to a pole.
    func place(at pole: Int) {
      origin = pole
      for j in 0..<count {
        gap[j] = poles[j] - poles[pole]
        sum[j] = poles[j] + poles[pole]
      }
    }
    place(at: index)
    let total = squares.reduce(0, +)
    var low: T = 0
    var high: T
    if isLast {
      let pole = poles[index]
      high = isSquared ? total / (pole + (pole * pole + total).squareRoot()) : total
      // The bound is attained if all of z is at the last pole.
      high *= 1 + 4 * T.ulpOfOne
    } else {
      high = gap[index + 1]
    }
    var shift = high / 2
    // The last root has no pole above it; the last two poles below take the parts of both sides.
    let split = isLast ? max(1, index) : index + 1
    var value = evaluate(gap, sum, split, shift)
    if !isLast {
      if value.total < 0 {
        // The root is in the upper half: measure from the pole above.
        place(at: index + 1)
        (low, high) = (-gap[index].magnitude / 2, 0)
      } else {
        high = shift
      }
      shift = firstGuess(index, origin, value.total, gap, sum, shift)
      if !(shift > low && shift < high) { shift = (low + high) / 2 }
      value = evaluate(gap, sum, split, shift)
    }
    for _ in 0..<200 {
      let f = value.total
      if abs(f) <= 4 * T.ulpOfOne * (1 + abs(value.lower) + abs(value.upper)) {
        return (origin, shift)
      }
      if f < 0 { low = shift } else { high = shift }
      var next = shift + step(value, gap, sum, split, shift, isLast: isLast, origin: origin)
      if !(next > low && next < high) { next = (low + high) / 2 }
      // No number is left between the bounds: the root cannot be improved.
      if next == shift || next == low || next == high { return (origin, shift) }
      shift = next
      value = evaluate(gap, sum, split, shift)
    }
    throw SwiftletError(.numerical, "a secular equation did not converge", at: "root \(index)")
  }

  private struct Value {
    var lower, lowerSlope, upper, upperSlope: T
    var total: T { 1 + lower + upper }
  }

  private func evaluate(_ gap: [T], _ sum: [T], _ split: Int, _ shift: T) -> Value {
    unsafe gap.withUnsafeBufferPointer { gap in
      unsafe sum.withUnsafeBufferPointer { sum in
        unsafe squares.withUnsafeBufferPointer { squares in
          let sums = isSquared ? sum.baseAddress! : nil
          let lower = unsafe kernels.secular(
            split, gap.baseAddress!, sums, squares.baseAddress!, shift)
          let upper = unsafe kernels.secular(
            poles.count - split, gap.baseAddress! + split, sums.map { unsafe $0 + split },
            squares.baseAddress! + split, shift)
          return Value(
            lower: lower.value, lowerSlope: lower.slope, upper: upper.value,
            upperSlope: upper.slope)
        }
      }
    }
  }

  private func delta(_ gap: [T], _ sum: [T], _ j: Int, _ shift: T) -> T {
    isSquared ? (gap[j] - shift) * (sum[j] + shift) : gap[j] - shift
  }

  /// The change of the shift that changes λ or σ² by `change`.
  private func shiftChange(_ change: T, from sigma: T) -> T {
    guard isSquared else { return change }
    return change / (sigma + max(0, sigma * sigma + change).squareRoot())
  }

  /// Solves the equation with the two neighbouring poles, and the others fixed at the midpoint.
  private func firstGuess(
    _ index: Int, _ origin: Int, _ f: T, _ gap: [T], _ sum: [T], _ middle: T
  ) -> T {
    let (below, above) = (squares[index], squares[index + 1])
    // `middle` is measured from the lower pole; at the midpoint the two deltas follow from the gap.
    let half = middle
    let (lower, upper) = (poles[index], poles[index + 1])
    let center = lower + half
    let deltaBelow = isSquared ? -half * (lower + center) : -half
    let deltaAbove = isSquared ? (upper - center) * (upper + center) : upper - center
    let c = f - below / deltaBelow - above / deltaAbove
    let distance = difference(index + 1, index)
    let (a, b) =
      origin == index
      ? (c * distance + below + above, below * distance)
      : (-c * distance + below + above, -above * distance)
    let change = Self.smallerRoot(a, b, c)
    return shiftChange(change, from: poles[origin])
  }

  /// One step of the middle way: a rational function through the values and derivatives of both
  /// sides.
  private func step(
    _ value: Value, _ gap: [T], _ sum: [T], _ split: Int, _ shift: T, isLast: Bool, origin: Int
  ) -> T {
    let f = value.total
    let slope = value.lowerSlope + value.upperSlope
    var change = -f / slope
    if poles.count > 1 {
      let (p, q) = (delta(gap, sum, split - 1, shift), delta(gap, sum, split, shift))
      let c = f - p * value.lowerSlope - q * value.upperSlope
      let a = (p + q) * f - p * q * slope
      let b = p * q * f
      let root = isLast ? Self.largerRoot(a, b, c) : Self.smallerRoot(a, b, c)
      // Up if f is negative, down if it is positive.
      if root.isFinite && root * f < 0 { change = root }
    }
    return shiftChange(change, from: poles[origin] + shift)
  }

  /// A root of c·x² − a·x + b = 0, without cancellation.
  private static func smallerRoot(_ a: T, _ b: T, _ c: T) -> T {
    let root = max(0, a * a - 4 * b * c).squareRoot()
    return a <= 0 ? (a - root) / (2 * c) : 2 * b / (a + root)
  }

  private static func largerRoot(_ a: T, _ b: T, _ c: T) -> T {
    let root = max(0, a * a - 4 * b * c).squareRoot()
    return a >= 0 ? (a + root) / (2 * c) : 2 * b / (a - root)
  }
}
