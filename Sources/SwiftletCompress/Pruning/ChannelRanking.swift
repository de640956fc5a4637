// SPDX-License-Identifier: Apache-2.0

import SwiftletBLAS
import SwiftletCore
import SwiftletGraph
import SwiftletLinalg

/// The channels of a group in the order in which to keep them.
package struct ChannelRanking: Sendable, Equatable {
  /// Indices of the channels, the most important one first.
  package let order: [Int]
  /// Predicted loss of the consumers' responses, as a fraction of their variance, if the first k
  /// channels of the order are kept, for k = 0 … channels.
  package let damage: [Double]

  /// The indices of the `count` most important channels, ascending.
  package func kept(_ count: Int) -> [Int] { order.prefix(count).sorted() }
}

/// The covariance of one group's channels in the input of one layer, and the layer's weights for
/// them.
///
/// - Source: He, Zhang & Sun 2017, arXiv:1707.06168, and Luo, Wu & Lin 2017, arXiv:1707.06342
///   (ThiNet), for choosing channels by the loss in the next layer.
struct ChannelMoments {
  /// The value that contains the channels.
  let value: String
  private let axis: Int
  /// For each tap the index of each channel along the axis, −1 if it is absent: a flattened image
  /// has each channel at many indices.
  private let taps: [[Int]]
  private let channels: Int
  private var count = 0
  private var sums: [Double]
  /// Σ x·xᵀ, upper triangle.
  private var products: Tensor<Double>

  /// Maximum number of samples per image: neighbours hardly differ.
  private static let samplesPerImage = 32

  /// Empty moments.
  ///
  /// - Parameters:
  ///   - value: The input of the layer.
  ///   - axis: The channels of the input.
  ///   - group: The group.
  ///   - members: The group of each channel, and its index there.
  /// - Returns: `nil` if the channels occur at different numbers of indices.
  init?(
    _ value: String, _ axis: ChannelAxis, group: ChannelGroup, members: [(group: Int, index: Int)]
  ) {
    var places = [[Int]](repeating: [], count: group.channels)
    for (place, channel) in axis.channels.enumerated() where members[channel].group == group.id {
      places[members[channel].index].append(place)
    }
    // A channel that this layer does not read has no index.
    let most = places.map(\.count).max() ?? 0
    guard most > 0, places.allSatisfy({ $0.count == most || $0.isEmpty }) else { return nil }
    self.value = value
    self.axis = axis.axis
    taps = (0..<most).map { tap in places.map { $0.isEmpty ? -1 : $0[tap] } }
    channels = group.channels
    sums = [Double](repeating: 0, count: channels)
    products = Tensor(zeros: [channels, channels])
  }

  mutating func add(_ tensor: Tensor<Float>, firstImage: Int) {
    let shape = tensor.shape
    let (outer, extent) = (shape.count(of: 0..<axis), shape[axis])
    let inner = shape.count(of: axis + 1..<shape.rank)
    let packed = tensor.contiguous()
    let all = taps.count * inner * outer / max(1, shape[0])
    let taken = min(all, Self.samplesPerImage)
    guard taken > 0 else { return }
    var rows = Tensor<Double>(zeros: [shape[0] * taken, channels])
    var target = rows.mutableSpan
    let source = packed.span
    var start = 0
    for image in 0..<shape[0] {
      for sample in 0..<taken {
        // Positions spread over the image, shifted from image to image.
        let position = (sample * all / taken + (firstImage + image) * 7) % all
        let places = taps[position % taps.count]
        let rest = position / taps.count
        let base = (image * (outer / shape[0]) + rest / inner) * extent * inner + rest % inner
        for channel in 0..<channels where places[channel] >= 0 {
          let element = Double(source[base + places[channel] * inner])
          target[start + channel] = element
          sums[channel] += element
        }
        start += channels
      }
    }
    let channels = channels
    var sum = products.mutableSpan
    BLAS.syrk(
      n: channels, k: shape[0] * taken, a: rows.span, lda: channels, transposeA: true, beta: 1,
      c: &sum, ldc: channels)
    count += shape[0] * taken
  }

  /// The covariance of the channels; a bias can replace their means.
  private var covariance: Tensor<Double> {
    var result = products
    var values = result.mutableSpan
    let scale = 1 / Double(max(1, count))
    for i in 0..<channels {
      for j in i..<channels {
        let value = values[i * channels + j] * scale - sums[i] * scale * sums[j] * scale
        values[i * channels + j] = value
        values[j * channels + i] = value
      }
    }
    return result
  }

  /// Σ w·wᵀ over the outputs and the positions of the kernel, where w contains the weights of all
  /// channels; channels × channels.
  ///
  /// - Parameter weights: The layer's weights, outputs × indices of the axis × positions of the
  ///   kernel.
  private func weightProducts(_ weights: Tensor<Float>) -> Tensor<Double> {
    let (outputs, extent, area) = (weights.shape[0], weights.shape[1], weights.shape[2])
    let width = outputs * area
    var sum = Tensor<Double>(zeros: [channels, channels])
    let source = weights.span
    for places in taps {
      var matrix = Tensor<Double>(zeros: [channels, width])
      var target = matrix.mutableSpan
      for channel in 0..<channels where places[channel] >= 0 {
        for output in 0..<outputs {
          let from = (output * extent + places[channel]) * area
          let to = channel * width + output * area
          for i in 0..<area { target[to + i] = Double(source[from + i]) }
        }
      }
      var result = sum.mutableSpan
      BLAS.syrk(
        n: channels, k: width, a: matrix.span, lda: width, beta: 1, c: &result, ldc: channels)
    }
    var values = sum.mutableSpan
    for i in 0..<channels {
      for j in i..<channels { values[j * channels + i] = values[i * channels + j] }
    }
    return sum
  }

  /// The problem of choosing channels for this layer, scaled to responses of variance 1.
  ///
  /// - Returns: `nil` if the responses do not vary.
  func choice(_ weights: Tensor<Float>) -> ChannelChoice? {
    ChannelChoice(covariance: covariance, weights: weightProducts(weights))
  }
}

/// Chooses channels greedily so that linear combinations of them predict a layer's responses best.
///
/// With R the covariance that the chosen channels do not explain yet, and H = Σ w·wᵀ, the remaining
/// error is tr(H·R), and choosing channel c reduces it by (R·H·R)cc / Rcc: a pivoted Cholesky
/// factorization whose pivots are chosen by this reduction.
struct ChannelChoice {
  private var rest: Tensor<Double>
  private let weights: Tensor<Double>
  private let variances: [Double]
  /// diag(R·H·R).
  private var gains: [Double]
  private let scale: Double
  private(set) var damage: Double
  private let count: Int

  /// Fraction of a channel's variance below which the rest is rounding error.
  private static let tolerance = 1e-10

  /// Starts without any chosen channels.
  ///
  /// - Parameters:
  ///   - covariance: Covariance of the channels.
  ///   - weights: H = Σ w·wᵀ.
  /// - Returns: `nil` if the responses do not vary.
  init?(covariance: Tensor<Double>, weights: Tensor<Double>) {
    count = covariance.shape[0]
    let product = matrixProduct(covariance, weights)
    var energy = 0.0
    gains = [Double](repeating: 0, count: count)
    for i in 0..<count {
      energy += product[i, i]
      let row = product.span.extracting(i * count..<(i + 1) * count)
      let other = covariance.span.extracting(i * count..<(i + 1) * count)
      for j in row.indices { gains[i] += row[j] * other[j] }
    }
    guard energy > 0, energy.isFinite else { return nil }
    variances = (0..<count).map { covariance[$0, $0] }
    rest = covariance
    self.weights = weights
    scale = 1 / energy
    damage = 1
  }

  /// Reduction of the damage if the channel is chosen; 0 once others explain it.
  func gain(_ channel: Int) -> Double {
    let variance = rest.span[channel * count + channel]
    guard variance > Self.tolerance * variances[channel], gains[channel] > 0 else { return 0 }
    return gains[channel] / variance * scale
  }

  mutating func choose(_ channel: Int) {
    let variance = rest.span[channel * count + channel]
    guard variance > Self.tolerance * variances[channel] else { return }
    let root = variance.squareRoot()
    let column = (0..<count).map { rest.span[channel * count + $0] / root }
    let weighted = Self.product(weights, column)
    let share = Self.product(rest, weighted)
    let energy = zip(column, weighted).reduce(0) { $0 + $1.0 * $1.1 }
    for i in 0..<count { gains[i] += column[i] * (column[i] * energy - 2 * share[i]) }
    let size = count
    var values = rest.mutableSpan
    for i in 0..<size where column[i] != 0 {
      let factor = column[i]
      var row = values.part(i * size..<(i + 1) * size)
      for j in row.indices { row[j] -= factor * column[j] }
    }
    damage = max(0, damage - energy * scale)
  }

  private static func product(_ matrix: Tensor<Double>, _ vector: [Double]) -> [Double] {
    let count = vector.count
    return matrixProduct(matrix, Tensor([count, 1], vector)).elements
  }
}

extension ChannelRanking {
  /// The order that minimizes the total loss of all layers that read the channels.
  ///
  /// - Parameters:
  ///   - choices: One problem per layer.
  ///   - plain: The order of channels that make no difference.
  init(_ choices: consuming [ChannelChoice], plain: ChannelRanking) {
    guard !choices.isEmpty else {
      self = plain
      return
    }
    let share = 1 / Double(choices.count)
    var left = plain.order
    var order: [Int] = []
    var damage = [1.0]
    while !left.isEmpty {
      var (best, most) = (0, 0.0)
      for (position, channel) in left.enumerated() {
        let gain = choices.reduce(0) { $0 + $1.gain(channel) }
        if gain > most { (best, most) = (position, gain) }
      }
      let channel = left.remove(at: best)
      order.append(channel)
      if most > 0 { for index in choices.indices { choices[index].choose(channel) } }
      damage.append(choices.reduce(0) { $0 + $1.damage } * share)
    }
    damage[damage.count - 1] = 0
    self.init(order: order, damage: damage)
  }

  /// Ranks channels by the norms of the weights that compute them.
  ///
  /// - Parameter norms: Squared norms.
  /// - Source: Li et al. 2017, arXiv:1608.08710.
  init(norms: [Double]) {
    let order = norms.indices.sorted { (norms[$1], $0) < (norms[$0], $1) }
    let sum = norms.reduce(0, +)
    var left = sum
    var damage = [1.0]
    for channel in order {
      left -= norms[channel]
      damage.append(sum > 0 ? max(0, left / sum) : 0)
    }
    damage[damage.count - 1] = 0
    self.init(order: order, damage: damage)
  }
}
