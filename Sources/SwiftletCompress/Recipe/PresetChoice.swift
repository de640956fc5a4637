// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
public import SwiftletGraph

/// A model that some of a recipe's steps make.
public struct RecipePart: Sendable {
  /// The steps that were taken.
  public let recipe: Recipe
  public let graph: Graph
  public let layers: [LayerReport]
  let notes: StageNotes

  init(_ recipe: Recipe, _ made: StageResult) {
    (self.recipe, graph, layers, notes) = (recipe, made.graph, made.notes.layers, made.notes)
  }
}

/// Which of the models that a preset's parts make is taken.
///
/// What helps one model hurts another: factors that are fast in fp32 may be slower than the layer
/// in int8, and two errors that are small alone may be too much together. So a preset measures its
/// parts as well.
public struct PresetChoice: Sendable {
  /// What was measured of one of them.
  public struct Option: Sendable {
    /// The original's time over its own; `nil`: not measured.
    public let speedup: Double?
    /// More is better: decibels, or minus points of accuracy lost.
    public let accuracy: Double
    /// Whether its answers are good enough.
    public let isAccurate: Bool

    public init(speedup: Double?, accuracy: Double, isAccurate: Bool) {
      (self.speedup, self.accuracy, self.isAccurate) = (speedup, accuracy, isAccurate)
    }
  }

  /// Times that differ by less, as a fraction, are the same.
  private static let noise = 0.03

  /// Of the options that are accurate and not slower than the original the fastest one, and of
  /// those that are about as fast the most accurate one. If none is accurate, the most accurate one
  /// that is not slower.
  ///
  /// - Returns: `nil` if all are slower: the original is the fastest model then.
  public static func index(_ options: [Option]) -> Int? {
    let fast = options.indices.filter { (options[$0].speedup ?? 1) >= 1 }
    let accurate = fast.filter { options[$0].isAccurate }
    guard !accurate.isEmpty else {
      return fast.max { options[$0].accuracy < options[$1].accuracy }
    }
    let most = accurate.reduce(0) { max($0, options[$1].speedup ?? 1) }
    let fastest = accurate.filter { (options[$0].speedup ?? 1) >= (1 - noise) * most }
    // Without times the last one that is accurate: it has the most steps.
    if options.allSatisfy({ $0.speedup == nil }) { return fastest.first }
    return fastest.max { options[$0].accuracy < options[$1].accuracy }
  }
}

extension Compressor {
  /// What a recipe makes, what its last step makes alone, and what its first steps make: the whole
  /// first. Steps that the model has nothing for are left out.
  ///
  /// - Throws: As ``apply(_:)``; `unsupported` if no step can be taken.
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
