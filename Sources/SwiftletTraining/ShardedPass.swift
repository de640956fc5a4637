// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletData
import SwiftletGraph

/// One pass of a batch forward and back.
///
/// In most networks images do not influence each other, so the batch is divided: every thread takes
/// small shards through the whole network, one after the other, and sums their gradients. Values
/// between layers stay in the cache, and threads meet once per batch instead of once per layer. If
/// images do influence each other (batch normalization), the batch goes through as a whole, and the
/// threads share the work of each layer.
struct ShardedPass: Sendable {
  let tape: GradientTape<Float>
  let inputName: String
  let loader: SampleLoader
  let objective: any TrainingObjective
  /// The fraction of the run that is done, from 0 to below 1.
  let progress: Double
  /// The fixed number of images that the model takes at once, if any.
  let fixedBatch: Int?
  let threads: Threads

  /// The result of a pass: the mean loss over the batch, its gradients, and the number of right
  /// answers.
  struct Result: Sendable {
    var loss: Double
    var correct: Int
    var gradients: [String: Tensor<Float>]
    let updates: [String: Tensor<Float>]

    mutating func add(_ other: Result) {
      loss += other.loss
      correct += other.correct
      for (name, gradient) in other.gradients { gradients.accumulate(gradient, for: name) }
    }
  }

  /// Images per shard: enough for efficient products, few enough for the cache.
  private static let shardSize = 16

  /// - Parameters:
  ///   - data: The images.
  ///   - positions: Those of the batch in the order of the loader.
  ///   - indices: Their images.
  ///   - moves: How each is augmented; `nil` leaves all as they are.
  ///   - parameters: Values of the constants that are trained.
  ///   - seed: Of random layers.
  func run(
    _ data: ImageDataset, at positions: Range<Int>, _ indices: [Int],
    _ moves: [Augmentation.Move]?, parameters: [String: Tensor<Float>], seed: UInt64
  ) throws -> Result {
    // The first images fill the last shard of a fixed size.
    let filled = fixedBatch.map { (indices.count + $0 - 1) / $0 * $0 } ?? indices.count
    let (given, givenMoves) = (indices, moves)
    let indices = (0..<filled).map { given[$0 % given.count] }
    let moves = givenMoves.map { moves in (0..<filled).map { moves[$0 % moves.count] } }
    @Sendable func shard(_ range: Range<Int>, _ threads: Threads) throws -> Result {
      let places = range.map { positions.lowerBound + $0 % given.count }
      return try self.shard(
        data, places, Array(indices[range]), moves.map { Array($0[range]) }, of: indices.count,
        counting: range.clamped(to: 0..<given.count).count, parameters,
        seed: RandomGenerator(seed: seed, stream: UInt64(range.lowerBound)).state, threads)
    }
    if tape.mixesBatch { return try shard(0..<indices.count, threads) }
    let size = fixedBatch ?? Self.shardSize
    let shards = (indices.count + size - 1) / size
    // Threads get consecutive images: the same number of shards each, or parts of shards if any
    // size works.
    let parts =
      fixedBatch == nil
      ? threads.partition(indices.count)
      : threads.partition(shards).map { $0.lowerBound * size..<$0.upperBound * size }
    let results = try threads.map(parts.count) { part in
      let range = parts[part]
      let first = min(range.lowerBound + size, range.upperBound)
      var sum = try shard(range.lowerBound..<first, .serial)
      for start in stride(from: first, to: range.upperBound, by: size) {
        sum.add(try shard(start..<min(start + size, range.upperBound), .serial))
      }
      return sum
    }
    return results.dropFirst().reduce(into: results[0]) { $0.add($1) }
  }

  private func shard(
    _ data: ImageDataset, _ positions: [Int], _ indices: [Int], _ moves: [Augmentation.Move]?,
    of total: Int, counting counted: Int, _ parameters: [String: Tensor<Float>], seed: UInt64,
    _ threads: Threads
  ) throws -> Result {
    let input = try loader.tensor(positions, moves: moves, threads: threads)
    let labels = indices.map { data.labels[$0] }
    let share = Float(indices.count) / Float(total)
    var own: [String: Tensor<Float>] = [:]
    let pass = try tape.run(
      [inputName: AnyTensor(input)], parameters: parameters, threads: threads, seed: seed
    ) { outputs in
      let watched = objective.watched
      try data.checkClasses(of: outputs[0], images: labels.count)
      var result = try objective.evaluate(
        ObjectiveInput(
          logits: outputs[0],
          values: Dictionary(uniqueKeysWithValues: zip(watched, outputs.dropFirst())),
          labels: labels, indices: indices, input: input, progress: progress,
          parameters: parameters))
      // The objective is a mean over the shard; its share of the batch's mean is smaller.
      result.scale(by: Double(share))
      own = result.parameters
      return (result.value, [result.logits] + watched.map { result.values[$0] })
    }
    var counts = Evaluation.Counts()
    counts.add(pass.output, Array(labels.prefix(counted)))
    return Result(
      loss: pass.loss, correct: counts.hits.count { $0 },
      gradients: pass.gradients.merging(own) { gradient, _ in gradient }, updates: pass.updates)
  }
}
