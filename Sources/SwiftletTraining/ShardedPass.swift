import SwiftletCore
import SwiftletFormats
import SwiftletGraph

/// One pass of a batch forward and back.
///
/// Images do not influence each other in most networks, so the batch is cut: every thread takes
/// small shards through the whole network, one after the other, and adds their gradients up. Values
/// between layers then stay in the cache, and threads meet once per batch instead of once per layer.
/// Where images do influence each other (batch normalisation) the batch goes through whole, and the
/// threads share the work of each layer.
struct ShardedPass: Sendable {
  let tape: GradientTape<Float>
  let inputName: String
  let preprocessing: Preprocessing
  let objective: any TrainingObjective
  /// How much of the run is done, 0 to below 1.
  let progress: Double
  let pool: ThreadPool

  /// What a pass leaves: the mean loss over the batch, its gradients, and right answers.
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

  func run(
    _ data: ImageDataset, _ indices: [Int], _ moves: [Augmentation.Move]?,
    parameters: [String: Tensor<Float>], seed: UInt64
  ) throws -> Result {
    @Sendable func shard(_ range: Range<Int>, _ pool: ThreadPool) throws -> Result {
      try self.shard(
        data, Array(indices[range]), moves.map { Array($0[range]) }, of: indices.count, parameters,
        seed: RandomGenerator(seed: seed, stream: UInt64(range.lowerBound)).state, pool)
    }
    if tape.mixesBatch { return try shard(0..<indices.count, pool) }
    let parts = pool.partition(indices.count)
    let results = try pool.map(parts.count) { part in
      let range = parts[part]
      let first = min(range.lowerBound + Self.shardSize, range.upperBound)
      var sum = try shard(range.lowerBound..<first, .serial)
      for start in stride(from: first, to: range.upperBound, by: Self.shardSize) {
        sum.add(try shard(start..<min(start + Self.shardSize, range.upperBound), .serial))
      }
      return sum
    }
    return results.dropFirst().reduce(into: results[0]) { $0.add($1) }
  }

  private func shard(
    _ data: ImageDataset, _ indices: [Int], _ moves: [Augmentation.Move]?, of total: Int,
    _ parameters: [String: Tensor<Float>], seed: UInt64, _ pool: ThreadPool
  ) throws -> Result {
    let input = preprocessing.batch(data, indices, moves: moves, pool: pool)
    let labels = indices.map { data.labels[$0] }
    let share = Float(indices.count) / Float(total)
    var own: [String: Tensor<Float>] = [:]
    let pass = try tape.run(
      [inputName: AnyTensor(input)], parameters: parameters, pool: pool, seed: seed
    ) { outputs in
      let watched = objective.watched
      try data.checkClasses(of: outputs[0], images: labels.count)
      var result = try objective.evaluate(
        ObjectiveInput(
          logits: outputs[0],
          values: Dictionary(uniqueKeysWithValues: zip(watched, outputs.dropFirst())),
          labels: labels, indices: indices, input: input, progress: progress,
          parameters: parameters))
      // The objective is a mean over the shard; its part of the batch's mean is smaller.
      result.scale(by: Double(share))
      own = result.parameters
      return (result.value, [result.logits] + watched.map { result.values[$0] })
    }
    var counts = Evaluation.Counts()
    counts.add(pass.output, labels)
    return Result(
      loss: pass.loss, correct: counts.first,
      gradients: pass.gradients.merging(own) { gradient, _ in gradient }, updates: pass.updates)
  }
}
