// SPDX-License-Identifier: Apache-2.0

import RealModule
package import SwiftletCore
import SwiftletLinalg

/// Balances the channels between two layers with nothing but a product in between.
///
/// Channels z that B·z reads may be replaced by T·z if B becomes B·T⁻¹, for any invertible T: the
/// model computes the same. What factoring leaves there are directions of falling energy, and one
/// scale of 8 bits for all of them leaves nothing of the weak ones. With the second moment C of z
/// the directions V are the eigenvectors of C^½·Bᵀ·B·C^½, and σ² their eigenvalues. Then
///
///     T = H · diag(σ)^½ · Vᵀ · C^-½
///
/// splits the energy of each direction evenly between z and B, and spreads it over all channels: H
/// is orthogonal, with elements of about the same size. All channels have the same range then, and
/// so do all columns of B. For steps that are a fixed fraction of the ranges the noise behind B is
/// Σσ·Σσ/n, and that is never more than the Σσ² of channels of equal energy.
///
/// - Source: Moore 1981, doi:10.1109/TAC.1981.1102568 (balanced realizations); Ashkboos et al.
///   2024, arXiv:2404.00456 (rotations against outliers).
package struct FeatureBalance {
  /// Of the directions in what the second layer answers, σ², descending.
  let energies: [Double]
  private let into, back: Tensor<Double>

  /// Added to the variance of each channel, as a fraction of all of it: what samples do not show
  /// must stay.
  private static let damping = 2e-9
  /// Weaker directions, as a fraction of the strongest one, count as that strong.
  private static let weakest = 1e-6

  /// - Parameters:
  ///   - secondMoment: Of the channels.
  ///   - rows: The second layer's weights, anything × channels.
  ///   - threads: For the eigenvalues.
  /// - Throws: `numerical` if the eigenvalue iteration stalls.
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

  /// The map to the strongest directions, rank × channels, and the one back, channels × rank.
  ///
  /// - Complexity: rank² · channels.
  package func maps(rank: Int) -> (into: Tensor<Double>, back: Tensor<Double>) {
    let strongest = energies.first ?? 0
    let scales = energies[..<rank].map { energy in
      // The fourth root of σ², the root of σ.
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

  /// An orthogonal matrix with elements of about the same size: Hadamard's of the largest power of
  /// two, times Hartley's of the odd part, over neighbours.
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
  /// Balances the channels behind a stage. Depthwise stages keep their channels apart: these are
  /// scaled alone.
  ///
  /// - Parameters:
  ///   - index: Of the stage, not the last one.
  ///   - secondMoment: Of what it makes.
  ///   - threads: For the eigenvalues.
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
    // What a depthwise stage reads is what its outputs are.
    let reader =
      second.groups == 1
      ? second.weights.mixingInputs(back) : second.weights.mixingOutputs(back)
    stages[index + 1] = Stage(weights: reader, steps: second.steps, groups: second.groups)
  }

  /// What each channel is multiplied by. Weights of a depthwise stage have a scale for each
  /// channel, so that it costs nothing to give all that it reads the same range.
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
  /// The chain, of which the channels between its stages have about the same range.
  ///
  /// - Parameters:
  ///   - bias: Of the last stage.
  ///   - secondMoment: Of the layer's windows, depth × depth; `nil`: the identity.
  ///   - threads: For products and eigenvalues.
  /// - Throws: `numerical` if the eigenvalue iteration stalls.
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
  /// Of weights outputs × channels × window: (outputs · positions of the window) × channels.
  var channelRows: Tensor<Double> {
    permuted(to: [0] + Array(0..<shape.rank)[2...] + [1]).contiguous()
      .reshaped(to: [count / max(1, shape[1]), shape[1]]).converted(to: Double.self)
  }

  /// Weights that make `map` times the outputs.
  func mixingOutputs(_ map: Tensor<Double>) -> Tensor<Float> {
    let rows = contiguous().reshaped(to: [shape[0], count / max(1, shape[0])])
    return matrixProduct(map, rows.converted(to: Double.self)).converted(to: Float.self)
      .reshaped(to: shape.replacing(axis: 0, with: map.shape[0]))
  }

  /// Weights that read channels of which `map` makes those that they read now.
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
