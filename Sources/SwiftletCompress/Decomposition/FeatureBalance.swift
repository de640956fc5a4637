// SPDX-License-Identifier: Apache-2.0

import RealModule
package import SwiftletCore
import SwiftletLinalg

/// Balances the channels between two layers that are connected by a linear map only.
///
/// The channels z in a product B·z may be replaced by T·z if B becomes B·T⁻¹, for any invertible T,
/// without changing the model. Factoring leaves directions of decreasing energy there; a single
/// 8-bit scale for all of them would round the weak ones away. With the second moment C of z, the
/// directions V are the eigenvectors of C^½·Bᵀ·B·C^½, with eigenvalues σ². Then
///
///     T = H · diag(σ)^½ · Vᵀ · C^-½
///
/// splits the energy of each direction evenly between z and B and spreads it over all channels: H
/// is orthogonal, with elements of about equal size. Then all channels have the same range, and so
/// do all columns of B. For quantization steps that are a fixed fraction of the ranges, the noise
/// after B is Σσ·Σσ/n, which never exceeds the Σσ² of channels of equal energy.
///
/// - Source: Moore 1981, doi:10.1109/TAC.1981.1102568 (balanced realizations); Ashkboos et al.
///   2024, arXiv:2404.00456 (rotations against outliers).
package struct FeatureBalance {
  /// Energies σ² of the directions in the responses of the second layer, descending.
  let energies: [Double]
  private let into, back: Tensor<Double>

  /// Added to the variance of each channel, as a fraction of the total: directions that the samples
  /// do not show must be kept.
  private static let damping = 2e-9
  /// Directions weaker than this fraction of the strongest one are scaled as if they had that
  /// strength.
  private static let weakest = 1e-6

  /// Computes the directions and their energies.
  ///
  /// - Parameters:
  ///   - secondMoment: Second moment of the channels, channels × channels.
  ///   - rows: Weights of the second layer, any number of rows × channels.
  ///   - threads: For the eigenvalues.
  /// - Throws: `numerical` if the eigenvalue iteration does not converge.
  package init(secondMoment: Tensor<Double>, rows: Tensor<Double>, threads: Threads) throws {
    let count = secondMoment.shape[0]
    var damped = secondMoment.contiguous()
    let trace = (0..<count).reduce(0) { $0 + damped[$1, $1] }
    // Channels that are always 0 may have any scale.
    let shift = trace > 0 ? trace * Self.damping : 1
    for i in 0..<count { damped[i, i] += shift }
    let powers = try SymmetricPowers(damped, threads: threads)
    let answers = matrixProduct(rows, powers.root)
    let eigen = try SymmetricEigen(
      matrixProduct(answers, answers, transposeA: true), threads: threads)
    energies = eigen.values.map { max(0, $0) }
    into = matrixProduct(eigen.vectors, powers.inverseRoot, transposeA: true)
    back = matrixProduct(powers.root, eigen.vectors)
  }

  /// The map to the strongest directions, rank × channels, and the map back, channels × rank.
  ///
  /// - Complexity: O(rank² · channels).
  package func maps(rank: Int) -> (into: Tensor<Double>, back: Tensor<Double>) {
    let strongest = energies.first ?? 0
    let scales = energies[..<rank].map { energy in
      // The fourth root of σ² is the square root of σ.
      strongest > 0 ? Double.pow(max(energy, strongest * Self.weakest * Self.weakest), 0.25) : 1
    }
    var into = into.slice(axis: 0, range: 0..<rank).contiguous()
    var back = back.slice(axis: 1, range: 0..<rank).contiguous()
    let count = back.shape[0]
    var left = into.mutableSpan
    var right = back.mutableSpan
    for i in 0..<rank {
      for k in 0..<count {
        left[i * count + k] *= scales[i]
        right[k * rank + i] /= scales[i]
      }
    }
    let spread = Self.spread(rank)
    return (matrixProduct(spread, into), matrixProduct(back, spread, transposeB: true))
  }

  /// An orthogonal matrix, count × count, with elements of about equal size: the Kronecker product
  /// of a Hadamard matrix, for the largest power of two that divides `count`, and a Hartley matrix
  /// for the odd part.
  package static func spread(_ count: Int) -> Tensor<Double> {
    let power = count & -count
    let odd = count / max(1, power)
    var result = Tensor<Double>(zeros: [count, count])
    let size = 1 / Double(max(1, count)).squareRoot()
    for i in 0..<count {
      for j in 0..<count {
        let isNegative = ((i / odd) & (j / odd)).nonzeroBitCount % 2 == 1
        let angle = 2 * Double.pi * Double((i % odd) * (j % odd) % odd) / Double(odd)
        result[i, j] = (isNegative ? -size : size) * (Double.cos(angle) + Double.sin(angle))
      }
    }
    return result
  }
}

extension FactorChain {
  /// Balances the output channels of a stage. If one of the stages around them is depthwise, each
  /// channel is only scaled.
  ///
  /// - Parameters:
  ///   - index: The stage, not the last one.
  ///   - secondMoment: Second moment of its outputs, channels × channels.
  ///   - threads: For the eigenvalues.
  /// - Throws: `numerical` if the eigenvalue iteration does not converge.
  mutating func balance(
    behind index: Int, secondMoment: Tensor<Double>, threads: Threads
  ) throws {
    let (first, second) = (stages[index], stages[index + 1])
    let (into, back): (Tensor<Double>, Tensor<Double>)
    if first.groups == 1, second.groups == 1 {
      let balance = try FeatureBalance(
        secondMoment: secondMoment, rows: second.weights.channelRows, threads: threads)
      (into, back) = balance.maps(rank: first.weights.shape[0])
    } else {
      let factors = Self.factors(first, second, secondMoment)
      (into, back) = (.diagonal(factors), .diagonal(factors.map { 1 / $0 }))
    }
    stages[index] = Stage(
      weights: first.weights.mixingOutputs(into), steps: first.steps, groups: first.groups)
    // The inputs of a depthwise stage correspond to its outputs.
    let reader =
      second.groups == 1
      ? second.weights.mixingInputs(back) : second.weights.mixingOutputs(back)
    stages[index + 1] = Stage(weights: reader, steps: second.steps, groups: second.groups)
  }

  /// The scale of each channel. The weights of a depthwise stage have one scale per channel, so it
  /// costs nothing to give all its inputs the same range.
  private static func factors(
    _ first: Stage, _ second: Stage, _ secondMoment: Tensor<Double>
  ) -> [Double] {
    let count = first.weights.shape[0]
    let own = (0..<count).map { max(0, secondMoment[$0, $0]).squareRoot() }
    var wanted = [Double](repeating: 1, count: count)
    if second.groups == 1 {
      let rows = second.weights.channelRows
      let gram = matrixProduct(rows, rows, transposeA: true)
      wanted = (0..<count).map { (own[$0] * gram[$0, $0].squareRoot()).squareRoot() }
    }
    let largest = zip(wanted, own).reduce(0) { max($0, $1.1 > 0 ? $1.0 : 0) }
    return zip(wanted, own).map { wanted, own in
      let factor = wanted / own
      return factor.isFinite && wanted > largest * 1e-6 ? factor : 1
    }
  }
}

extension FittedChain {
  /// The chain, with channels between its stages that have about the same range.
  ///
  /// - Parameters:
  ///   - bias: Bias of the last stage, one element per output.
  ///   - secondMoment: Second moment of the layer's windows, depth × depth; `nil`: the identity.
  ///   - threads: For products and eigenvalues.
  /// - Throws: `numerical` if the eigenvalue iteration does not converge.
  package func balanced(
    bias: Tensor<Float>?, secondMoment: Tensor<Double>?, threads: Threads
  ) throws -> FactorChain {
    var chain = chain(bias: bias)
    for (index, map) in maps.enumerated() {
      let weighted = secondMoment.map { matrixProduct(map, $0, threads: threads) } ?? map
      try chain.balance(
        behind: index,
        secondMoment: matrixProduct(weighted, map, transposeB: true, threads: threads),
        threads: threads)
    }
    return chain
  }
}

extension Tensor<Float> {
  /// Weights of outputs × channels × window as a matrix (outputs · window) × channels.
  var channelRows: Tensor<Double> {
    permuted(to: [0] + Array(0..<shape.rank)[2...] + [1]).contiguous()
      .reshaped(to: [count / max(1, shape[1]), shape[1]]).converted(to: Double.self)
  }

  /// The weights that compute `map` times the outputs.
  func mixingOutputs(_ map: Tensor<Double>) -> Tensor<Float> {
    let rows = contiguous().reshaped(to: [shape[0], count / max(1, shape[0])])
    return matrixProduct(map, rows.converted(to: Double.self)).converted(to: Float.self)
      .reshaped(to: shape.replacing(axis: 0, with: map.shape[0]))
  }

  /// The weights for new input channels of which `map` computes the current ones.
  func mixingInputs(_ map: Tensor<Double>) -> Tensor<Float> {
    let window = Array(shape.dimensions[2...])
    let last = window.count + 1
    return matrixProduct(channelRows, map).converted(to: Float.self)
      .reshaped(to: Shape([shape[0]] + window + [map.shape[1]]))
      .permuted(to: [0, last] + (1..<last)).contiguous()
  }
}

extension Tensor<Double> {
  fileprivate static func diagonal(_ values: [Double]) -> Tensor {
    var result = Tensor(zeros: [values.count, values.count])
    for (i, value) in values.enumerated() { result[i, i] = value }
    return result
  }
}
