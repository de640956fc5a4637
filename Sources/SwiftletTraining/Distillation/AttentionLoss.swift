// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore
public import SwiftletGraph

/// The distance between the attention maps of a student and its teacher.
///
/// A map is the sum of squares over the channels at each position, as a unit vector. The numbers of
/// channels may differ, so no adapter is needed.
///
/// loss = mean over images of ½ ‖map(student)/‖map(student)‖ − map(teacher)/‖map(teacher)‖‖².
///
/// - Source: Zagoruyko & Komodakis 2017, arXiv:1612.03928 (activation-based, p = 2).
public struct AttentionLoss: Sendable {
  /// A loss without settings.
  public init() {}

  /// The loss and its gradient with respect to the student's features.
  ///
  /// - Parameters:
  ///   - student: N×C×positions… of convolutions, or N×positions×C (rank 3) of sequences.
  ///   - teacher: As `student`, with the same number of positions.
  public func callAsFunction<T: LayerElement>(
    _ student: Tensor<T>, teacher: Tensor<T>
  ) -> (value: Double, gradient: Tensor<T>) {
    let (own, other) = (Layout(student.shape), Layout(teacher.shape))
    precondition(
      own.images == other.images && own.positions == other.positions,
      "attention of \(teacher.shape) for \(student.shape)")
    var values = student.elements
    let targets = teacher.elements
    var total = 0.0
    for image in 0..<own.images {
      let (map, norm) = own.unitMap(values, image)
      let (target, _) = other.unitMap(targets, image)
      var along: T = 0
      for p in map.indices {
        let difference = map[p] - target[p]
        total += 0.5 * Double(difference * difference) / Double(own.images)
        along += difference * map[p]
      }
      // The gradient of x/‖x‖ removes the component along the map itself; that of a square is 2x.
      let scale = norm > 0 ? 2 / (norm * T(own.images)) : 0
      let slope = map.indices.map { scale * (map[$0] - target[$0] - along * map[$0]) }
      for channel in 0..<own.channels {
        var element = own.start(image, channel)
        for position in slope.indices {
          values[element] *= slope[position]
          element += own.positionStride
        }
      }
    }
    return (total, Tensor(student.shape, values))
  }

  /// The layout of channels and positions in a packed tensor.
  private struct Layout {
    let images, channels, positions: Int
    let channelStride, positionStride: Int

    init(_ shape: Shape) {
      precondition(shape.rank >= 3, "\(shape) has no positions to attend to")
      let channelsAreLast = shape.rank == 3
      images = shape[0]
      channels = shape[channelsAreLast ? 2 : 1]
      positions = channelsAreLast ? shape[1] : shape.count(of: 2..<shape.rank)
      (channelStride, positionStride) = channelsAreLast ? (1, channels) : (positions, 1)
    }

    func start(_ image: Int, _ channel: Int) -> Int {
      image * channels * positions + channel * channelStride
    }

    func unitMap<T: LayerElement>(_ values: [T], _ image: Int) -> (map: [T], norm: T) {
      var map = [T](repeating: 0, count: positions)
      for channel in 0..<channels {
        var element = start(image, channel)
        for position in map.indices {
          map[position] += values[element] * values[element]
          element += positionStride
        }
      }
      var square: T = 0
      for value in map { square += value * value }
      let norm = square.squareRoot()
      return (norm > 0 ? map.map { $0 / norm } : map, norm)
    }
  }
}
