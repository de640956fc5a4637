// SPDX-License-Identifier: Apache-2.0

/// Pruning, distillation and goals.
///
/// A recipe lists techniques with their settings. Here pruning removes channels, and distillation
/// recovers accuracy with the original as the teacher. With goals, the compressor searches for
/// the mildest compression that reaches the targets.

import Swiftlet

func pruneAndDistill(
  _ graph: Graph, _ training: ImageDataset, _ validation: ImageDataset
) throws -> Graph {
  let context = CompressionContext(original: graph, training: training, validation: validation)
  let thin = try Compressor(context).run(
    Recipe([.prune { $0.width = 0.5 }, .distill { $0.epochs = 1 }]))
  print("half the channels: \(thin.after.parameters) of \(thin.before.parameters) parameters")
  print("top-1 \(thin.accuracyBefore.top1) → \(thin.accuracyAfter.top1)")

  let goals = Goals(macs: .fraction(0.6))
  let found = try Compressor(context, goals: goals).run(Recipe([.prune { $0.cost = .macs }]))
  print("at most 60 % of the MACs: \(found.after.macs) of \(found.before.macs)")
  return thin.graph
}
