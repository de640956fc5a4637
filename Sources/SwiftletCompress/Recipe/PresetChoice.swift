// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
public import SwiftletGraph

/// A model made by some of a recipe's steps.
public struct RecipePart: Sendable {
  /// The steps that were applied.
  public let recipe: Recipe
  /// The model.
  public let graph: Graph
  /// What each step did to each layer.
  public let layers: [LayerReport]
  let notes: StageNotes

  init(_ recipe: Recipe, _ made: StageResult) {
    (self.recipe, graph, layers, notes) = (recipe, made.graph, made.notes.layers, made.notes)
  }
}

/// Chooses among the models that parts of a preset make.
///
/// What helps one model can hurt another: factored layers that are fast in fp32 may be slower than
/// the original layer in int8, and two errors that are small on their own may be too much together.
/// So a preset also measures its parts.
public struct PresetChoice: Sendable {
  /// The measurements of one model.
  public struct Option: Sendable {
    /// The original's time divided by its own; `nil` if not measured.
    public let speedup: Double?
    /// Higher is better: signal-to-noise ratio in dB, or the negative drop in percentage points.
    public let accuracy: Double
    /// Whether its answers are acceptable.
    public let isAccurate: Bool

    /// Creates an option from its measurements.
    public init(speedup: Double?, accuracy: Double, isAccurate: Bool) {
      (self.speedup, self.accuracy, self.isAccurate) = (speedup, accuracy, isAccurate)
    }
  }

  /// Relative difference below which times count as equal.
  private static let noise = 0.03

  /// The index of the best option. Among accurate options no slower than the original, this is the
  /// fastest; among those about as fast, the most accurate. If none is accurate, it is the most
  /// accurate one that is no slower than the original.
  ///
  /// - Returns: `nil` if all are slower, so that the original is the best choice.
  public static func index(_ options: [Option]) -> Int? {
    let fast = options.indices.filter { (options[$0].speedup ?? 1) >= 1 }
    let accurate = fast.filter { options[$0].isAccurate }
    guard !accurate.isEmpty else {
      return fast.max { options[$0].accuracy < options[$1].accuracy }
    }
    let most = accurate.reduce(0) { max($0, options[$1].speedup ?? 1) }
    let fastest = accurate.filter { (options[$0].speedup ?? 1) >= (1 - noise) * most }
    // Without times, take the first accurate one: it has the most steps.
    if options.allSatisfy({ $0.speedup == nil }) { return fastest.first }
    return fastest.max { options[$0].accuracy < options[$1].accuracy }
  }
}

extension Compressor {
  /// The models made by the whole recipe, by its last step alone, and by its first steps; the whole
  /// recipe comes first. Steps that do not apply to the model are skipped.
  ///
  /// - Throws: The errors of ``apply(_:)``; `unsupported` if no step applies.
  public func parts(of recipe: Recipe) throws -> [RecipePart] {
    try recipe.validate()
    try check(recipe)
    let steps = recipe.timedSteps
    var made = start
    var taken: [CompressionStep] = []
    var parts: [RecipePart] = []
    var failure: SwiftletError?
    func tries(_ step: CompressionStep, after earlier: [CompressionStep]) throws -> StageResult? {
      do {
        return try advance(step, after: earlier, from: earlier.isEmpty ? start : made)
      } catch let
        error as SwiftletError where error.code == .unsupported
      {
        failure = error
        return nil
      }
    }
    for step in steps {
      guard let next = try tries(step, after: taken) else { continue }
      made = next
      taken.append(step)
      parts.insert(RecipePart(Recipe(taken), made), at: 0)
    }
    if taken.count > 1, let last = taken.last?.alone {
      if let alone = try tries(last, after: []) {
        parts.insert(RecipePart(Recipe([last]), alone), at: 1)
      }
    }
    if let failure, parts.isEmpty { throw failure }
    return parts
  }
}
