// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletLinalg
import Testing
import _SwiftletTestSupport

struct TuckerTests {
  /// A tensor of known multilinear rank.
  private func planted(_ shape: [Int], _ ranks: [Int], seed: UInt64 = 1) -> Tensor<Double> {
    var generator = RandomGenerator(seed: seed)
    let core = Tensor<Double>(Shape(ranks), normalUsing: &generator)
    let factors = zip(shape, ranks).map {
      Tensor<Double>([$0, $1], normalUsing: &generator)
    }
    return .tucker(core, factors)
  }

  static let cases: [([Int], [Int])] = [
    ([6, 5, 4], [2, 3, 2]), ([7, 3, 5, 4], [2, 2, 3, 2]), ([8, 6], [3, 3]), ([5], [1]),
    ([4, 3, 2], [4, 3, 2]), ([12, 3, 2], [5, 3, 2]), ([1, 6, 6], [1, 2, 2]),
  ]

  @Test(arguments: cases)
  func tensorsOfTheAskedRanksAreRecovered(shape: [Int], ranks: [Int]) throws {
    let tensor = planted(shape, ranks)
    let tucker = try Tucker(tensor, ranks: ranks)
    #expect(tucker.core.shape.dimensions == ranks)
    #expect(tucker.relativeError < 1e-13)
    #expect(tensor.distance(to: tucker.reconstructed()) < 1e-13)
    #expect(tensor.distance(to: .tucker(tucker.core, tucker.factors.map { $0! })) < 1e-13)
    for factor in tucker.factors.compactMap({ $0 }) {
      #expect(TestRatio.orthogonality(factor) < 30)
    }
  }

  /// A Gram matrix in single precision would leave 3·10⁻⁴.
  @Test func singlePrecisionIsExactToItsRounding() throws {
    let tensor = planted([20, 15, 10], [4, 4, 4])
    let tucker = try Tucker<Float>(tensor.converted(), ranks: [4, 4, 4])
    #expect(tensor.distance(to: tucker.reconstructed().converted()) < 2e-6)
    for factor in tucker.factors.compactMap({ $0 }) {
      #expect(TestRatio.orthogonality(factor.converted(), epsilon: 0x1p-23) < 30)
    }
  }

  @Test(arguments: 1...6 as ClosedRange<UInt64>)
  func sweepsNeverLoseAndTheBoundHolds(seed: UInt64) throws {
    var generator = RandomGenerator(seed: seed)
    let tensor = Tensor<Double>([7, 6, 5], normalUsing: &generator)
    let start = try Tucker(tensor, ranks: [3, 2, 2], maximumSweeps: 0)
    let refined = try Tucker(tensor, ranks: [3, 2, 2], tolerance: 1e-10, maximumSweeps: 100)
    #expect(start.sweeps == 0 && refined.sweeps > 1)
    #expect(refined.relativeError < start.relativeError)
    #expect(start.relativeError <= start.errorBound && start.errorBound < 1.8)
    #expect(refined.errorBound == start.errorBound)
    for (tucker, error) in [(start, start.relativeError), (refined, refined.relativeError)] {
      #expect(
        abs(tensor.distance(to: .tucker(tucker.core, tucker.factors.map { $0! })) - error) < 1e-12)
      for factor in tucker.factors.compactMap({ $0 }) {
        #expect(TestRatio.orthogonality(factor) < 30)
      }
    }
  }

  /// For one mode, the error is that of the truncated SVD, and equals the bound.
  @Test func oneModeIsATruncatedSVD() throws {
    var generator = RandomGenerator(seed: 3)
    let tensor = Tensor<Double>([4, 6, 3], normalUsing: &generator)
    let tucker = try Tucker(tensor, ranks: [nil, 2, nil])
    let values = try SVD(try tensor.unfolded(mode: 1)).singularValues.map { $0 * $0 }
    let error = (1 - Spectrum.energy(values, rank: 2)).squareRoot()
    #expect(abs(tucker.relativeError - error) < 1e-13)
    #expect(abs(tucker.errorBound - error) < 1e-13)
    #expect(tucker.core.shape == [4, 2, 3] && tucker.sweeps == 0)
    #expect(tucker.factors.map { $0 == nil } == [true, false, true])
    #expect(tensor.distance(to: tucker.reconstructed()) < error + 1e-13)
  }

  @Test func aRankAboveTheOthersTogetherIsCut() throws {
    let tensor = planted([9, 2, 3], [4, 2, 2])
    let tucker = try Tucker(tensor, ranks: [7, 2, 2])
    #expect(tucker.core.shape == [4, 2, 2])
    #expect(tucker.relativeError < 1e-13)
  }

  /// The identity of a mode left whole would take 3.2 GB.
  @Test func longModesNeedNoIdentity() throws {
    let tensor = planted([20_000, 4, 4], [4, 2, 2])
    let tucker = try Tucker(tensor, ranks: [nil, 2, 2])
    #expect(tucker.core.shape == [20_000, 2, 2] && tucker.factors[0] == nil)
    #expect(tucker.relativeError < 1e-13)
  }

  // MARK: Data

  @Test func ranksThatAreNoneAreRefused() {
    let tensor = planted([4, 3, 2], [1, 1, 1])
    for ranks in [[0, 1, 1], [-1, 1, 1], [5, 3, 2], [1, 1, 3], [1, 1], [1, 1, 1, 1], []] as [[Int?]]
    {
      expect(.badInput) { _ = try Tucker(tensor, ranks: ranks) }
    }
    expect(.badInput) { _ = try Tucker2(tensor, outputRank: 5, inputRank: 1) }
    expect(.badInput) { _ = try Tucker2(tensor, outputRank: 1, inputRank: 0) }
    expect(.badInput) { _ = try Tucker2(Tensor<Double>(zeros: [3]), outputRank: 1, inputRank: 1) }
  }

  @Test func zeroTensors() throws {
    let tucker = try Tucker(Tensor<Float>(zeros: [4, 3, 2]), ranks: [2, 2, nil])
    #expect(tucker.relativeError == 0 && tucker.errorBound == 0)
    #expect(tucker.reconstructed() == Tensor(zeros: [4, 3, 2]))
    for factor in tucker.factors.compactMap({ $0 }) {
      #expect(TestRatio.orthogonality(factor.converted()) < 30)
    }
  }

  @Test(arguments: [1e-300, 1e-160, 1e160, 1e300])
  func anyScale(scale: Double) throws {
    let tensor = planted([6, 5, 4], [2, 2, 2]).map { $0 * scale }
    let tucker = try Tucker(tensor, ranks: [2, 2, 2])
    #expect(tucker.relativeError < 1e-13)
    let back = tucker.reconstructed().map { $0 / scale }
    #expect(tensor.map { $0 / scale }.distance(to: back) < 1e-13)
  }

  @Test(arguments: [Double.nan, .infinity, -.infinity])
  func dataThatIsNotFiniteIsRefused(value: Double) {
    var tensor = planted([4, 3, 2], [1, 1, 1])
    tensor[1, 2, 0] = value
    expect(.badInput) { _ = try Tucker(tensor, ranks: [1, 1, 1]) }
    expect(.badInput) { _ = try Tucker(tensor, ranks: [nil, nil, nil]) }
  }

  @Test func emptyTensorsAndNormsBeyondTheTypeAreRefused() {
    expect(.badInput) { _ = try Tucker(Tensor<Float>(zeros: [3, 0]), ranks: [1, nil]) }
    let huge = Tensor<Float>([4, 4, 4], repeating: .greatestFiniteMagnitude)
    expect(.numerical) { _ = try Tucker(huge, ranks: [1, 1, 1]) }
  }

  // MARK: Kernels

  /// The matrix of a 'valid' convolution of a C×6×5 image with a kernel O×C×kH×kW.
  private func convolution(_ kernel: Tensor<Double>, height: Int, width: Int) -> Tensor<Double> {
    let (o, c) = (kernel.shape[0], kernel.shape[1])
    let (kh, kw) = (kernel.shape[2], kernel.shape[3])
    let (oh, ow) = (height - kh + 1, width - kw + 1)
    var matrix = Tensor<Double>(zeros: [o * oh * ow, c * height * width])
    for (out, channel) in (0..<o).flatMap({ out in (0..<c).map { (out, $0) } }) {
      for (y, x) in (0..<oh).flatMap({ y in (0..<ow).map { (y, $0) } }) {
        for i in 0..<kh {
          for j in 0..<kw {
            matrix[(out * oh + y) * ow + x, (channel * height + y + i) * width + x + j] =
              kernel[out, channel, i, j]
          }
        }
      }
    }
    return matrix
  }

  /// Full ranks give the convolution's matrix; lower ones its error, and fewer channels between.
  @Test(arguments: [(6, 4), (3, 2)])
  func threeConvolutionsAreOne(outputRank: Int, inputRank: Int) throws {
    var generator = RandomGenerator(seed: 5)
    let kernel = Tensor<Double>([6, 4, 3, 2], normalUsing: &generator)
    let tucker = try Tucker2(kernel, outputRank: outputRank, inputRank: inputRank)
    #expect(tucker.core.shape == [outputRank, inputRank, 3, 2])
    #expect(tucker.outputFactor.shape == [6, outputRank])
    #expect(tucker.inputFactor.shape == [4, inputRank])
    let squeeze = tucker.inputFactor.transposed().reshaped(to: [inputRank, 4, 1, 1])
    let expand = tucker.outputFactor.reshaped(to: [6, outputRank, 1, 1])
    let chain = Tensor.product(
      convolution(expand, height: 4, width: 4),
      .product(
        convolution(tucker.core, height: 6, width: 5), convolution(squeeze, height: 6, width: 5)))
    let whole = convolution(kernel, height: 6, width: 5)
    // Every element of the kernel occurs equally often in the matrix.
    #expect(abs(whole.distance(to: chain) - tucker.relativeError) < 1e-13)
    #expect((tucker.relativeError < 1e-13) == (outputRank == 6))
    #expect(TestRatio.orthogonality(tucker.outputFactor) < 30)
    #expect(TestRatio.orthogonality(tucker.inputFactor) < 30)
  }
}
