// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletGraph
import SwiftletTraining

/// How a classifier answers on labelled images, whatever the metric.
struct ClassAnswers {
  let evaluation: Evaluation
  /// Whether the top-1 class is right, for each image.
  let hits: [Bool]
  /// The top-1 class of each image.
  let choices: [Int]

  /// Takes the answers from a judgement by accuracy; else runs the model again.
  ///
  /// - Throws: `badInput` if the model's output does not hold scores of the classes.
  init(
    _ judgement: Judgement, of graph: Graph, _ context: CompressionContext,
    progress: Progress.Handler?
  ) throws {
    if let evaluation = judgement.evaluation {
      (self.evaluation, hits, choices) = (evaluation, judgement.hits, judgement.choices)
      return
    }
    let found = try Evaluation.judge(
      graph, on: try context.validation, threads: context.threads, output: try context.scores,
      progress: progress)
    (evaluation, hits, choices) = (found.evaluation, found.hits, found.choices)
  }
}
