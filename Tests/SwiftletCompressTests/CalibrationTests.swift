// SPDX-License-Identifier: Apache-2.0

import SwiftletCompress
import SwiftletCore
import Testing

struct CalibrationTests {
  /// Tensors whose sizes differ by powers of ten; one of them is positive, one has zeros.
  private func samples(_ seed: UInt64) -> [Tensor<Float>] {
    var generator = RandomGenerator(seed: seed)
    return [1e-3, 1, 50, 3e4].enumerated().map { index, size in
      let values = Tensor<Float>([3, 37], uniformIn: -size...size, using: &generator)
      return values.map { index == 1 ? abs($0) : index == 2 && $0 < 0 ? 0 : $0 }
    }
  }

  private func histogram(_ tensors: some Sequence<Tensor<Float>>) -> ValueHistogram {
    var histogram = ValueHistogram()
    for tensor in tensors { histogram.add(tensor) }
    return histogram
  }

  @Test(arguments: [1, 2, 3] as [UInt64])
  func neitherOrderNorPartsMatter(seed: UInt64) {
    let tensors = samples(seed)
    let whole = histogram(tensors)
    #expect(histogram(tensors.reversed()) == whole)
    var merged = histogram(tensors[2...])
    merged.merge(histogram(tensors[..<2]))
    #expect(merged == whole)
    #expect(whole.isSound)
    #expect(whole.bins.reduce(0, +) + whole.zeros == whole.count && whole.count == 4 * 111)
  }

  @Test func memoryIsBounded() {
    var histogram = ValueHistogram()
    for exponent in stride(from: -120, through: 120, by: 7) {
      let value = Float(sign: .plus, exponent: exponent, significand: 1.3)
      histogram.add(Tensor([2], [value, -value / 3]))
      #expect(histogram.bins.count <= ValueHistogram.binLimit)
      // Most of the bins are in use, or the range would be resolved badly.
      #expect(exponent < -100 || histogram.bins.count > ValueHistogram.binLimit / 2 - 2)
    }
    #expect(histogram.count == 70 && histogram.isSound)
  }

  /// What is in a bin lies within half a width of its middle.
  @Test func binsHoldTheirValues() {
    for value in [0.7, -0.7, 1.5, -3, 1023.9] as [Float] {
      let histogram = histogram([Tensor([3], [value, 2000, -2000])])
      var nearest = Double.infinity
      histogram.forEachBin { middle, _ in nearest = min(nearest, abs(middle - Double(value))) }
      #expect(nearest <= 0.5)
    }
  }

  private func squaredError(_ range: ValueRange, _ values: [Float]) -> Double {
    let scale = (range.upper - range.lower) / 255
    let zero = (-range.lower / scale).rounded()
    return values.reduce(0) { sum, value in
      let code = min(max((value / scale).rounded() + zero, 0), 255)
      let error = Double(value - (code - zero) * scale)
      return sum + error * error
    }
  }

  /// Many small values and a few that are far out.
  private var heavyTailed: [Float] {
    var generator = RandomGenerator(seed: 9)
    return Tensor<Float>([4000], normalUsing: &generator).elements.enumerated().map {
      $0 % 1000 == 0 ? 40 : $1
    }
  }

  @Test func observersClipAsTheySay() {
    let values = heavyTailed
    let histogram = histogram([Tensor([values.count], values)])
    func range(_ observer: RangeObserver, _ percentile: Double = 99) -> ValueRange {
      observer.range(histogram, percentile: percentile, type: .u8)
    }
    let whole = range(.minmax)
    #expect(whole == ValueRange(lower: values.min()!, upper: 40))
    let kept = range(.percentile)
    let clipped = values.count { $0 < kept.lower || $0 > kept.upper }
    #expect(10...40 ~= clipped)
    #expect(range(.percentile, 100) == whole)
    #expect(squaredError(range(.mse), values) < squaredError(whole, values))
    for observer in RangeObserver.allCases {
      let chosen = range(observer)
      #expect(chosen.lower >= whole.lower && chosen.upper <= whole.upper, "\(observer)")
      #expect(chosen.lower < 0 && chosen.upper > 0, "\(observer)")
    }
    // The far ones are a thousandth: whoever looks at the distribution gives them up.
    #expect(range(.entropy).upper < 30)
  }

  /// Of evenly spread values every one counts: nobody clips much.
  @Test func evenDistributionsAreKept() {
    let values = (0..<5000).map { Float($0) / 1000 }
    let histogram = histogram([Tensor([values.count], values)])
    for observer in RangeObserver.allCases {
      let range = observer.range(histogram, percentile: 99.9, type: .u8)
      #expect(range.lower == 0 && range.upper > 4.9, "\(observer)")
    }
  }

  @Test func valuesThatAreAllZeroHaveARange() {
    let histogram = histogram([Tensor(zeros: [5])])
    for observer in RangeObserver.allCases {
      for type in ActivationType.allCases {
        let range = observer.range(histogram, percentile: 99, type: type)
        #expect(range == ValueRange(lower: 0, upper: 0), "\(observer)")
      }
    }
  }

  /// A few large values that carry the signal are no outliers, whatever an observer takes them for.
  @Test func destructiveRangesFallBack() {
    let values = heavyTailed
    let histogram = histogram([Tensor([values.count], values)])
    for observer in RangeObserver.allCases {
      let guarded = observer.guardedRange(histogram, percentile: 99.9, type: .u8)
      #expect(guarded.range.upper > 39, "\(observer)")
      #expect(guarded.whole > 28)
    }
    let entropy = RangeObserver.entropy.guardedRange(histogram, percentile: 99, type: .u8)
    #expect(entropy.isWidened && entropy.own < 5)
    #expect(RangeObserver.entropy.range(histogram, percentile: 99, type: .u8).upper < 30)
    // Whoever asks for clipping gets it.
    let wanted = RangeObserver.percentile.guardedRange(histogram, percentile: 99, type: .u8)
    #expect(!wanted.isWidened && wanted.range.upper < 30)
  }
}
