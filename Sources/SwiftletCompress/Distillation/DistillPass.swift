// SPDX-License-Identifier: Apache-2.0

import Logging
import SwiftletCore
import SwiftletData
package import SwiftletGraph
import SwiftletTraining

/// Trains a student to reproduce the teacher's outputs.
///
/// The teacher is the model before any compression. The student is a narrower or shallower copy of
/// it, a network supplied by the user or, after other techniques, their result: then distillation
/// recovers the accuracy that they lost. With `alpha` 0 and no other term there is no teacher: the
/// student learns from the labels alone in the same number of steps, which is the baseline for
/// distillation.
///
/// - Source: Hinton, Vinyals & Dean 2015, arXiv:1503.02531; the other terms name their own sources.
package struct DistillPass: TrainingPass {
  private let settings: DistillationSettings
  private let log = Logger.swiftlet("distill")

  /// Creates the pass from the settings of a step.
  package init(_ settings: DistillationSettings) { self.settings = settings }

  package func train(_ graph: Graph, _ context: CompressionContext) throws -> TrainedResult {
    let student = try StudentModel(settings, from: graph, context)
    log.notice("student: \(student.remark)")
    let annealing = try settings.annealRanks.map {
      try RankAnnealing(student.graph, end: $0)
    }
    let (trained, history) = try taught(student.graph, annealing, context)
    let ranks = try annealing?.ranks(of: trained) ?? []
    let layers = trained.nodes.filter { WeightedLayer.operators.contains($0.opType) }.map { node in
      guard let change = ranks.first(where: { $0.output == node.outputs[0] })
      else { return LayerReport(node, .distill, changed: true, student.remark) }
      var report = LayerReport(
        node, .distill, changed: true, "\(student.remark), annealed")
      (report.rank, report.fullRank) = (change.after, change.before)
      return report
    }
    return TrainedResult(graph: trained, layers: layers, history: history)
  }

  /// Runs the whole training, with ranks reduced between epochs if they are annealed.
  private func run(
    _ trainer: inout Trainer, _ annealing: RankAnnealing?, _ context: CompressionContext
  ) throws -> (graph: Graph, history: TrainingHistory) {
    guard let annealing else { return try trainer.run(progress: context.progress) }
    return try trainer.run(progress: context.progress) { epoch, graph in
      let share = annealing.share(epoch: epoch, of: settings.epochs)
      let source = try context.calibration(for: graph, limit: settings.calibrationImages)
      return try annealing.shrunk(graph, to: share, source, threads: context.threads)
    }
  }

  private func taught(
    _ student: Graph, _ annealing: RankAnnealing?, _ context: CompressionContext
  ) throws -> (graph: Graph, history: TrainingHistory) {
    let training = settings.training(seed: context.seed)
    let images = try context.training
    let labelled = settings.labels.map { min($0, images.count) }
    // A student supplied by the user may name its outputs differently.
    let scores = try context.scores.flatMap { name in
      student.isOutput(name) ? name : nil
    }
    guard
      settings.teaching.alpha > 0 || settings.hints > 0 || settings.attention > 0
        || settings.adversarial > 0
    else {
      // There is no teacher to label the other images. Repeat the labelled ones, so that this
      // student takes as many steps as one with a teacher: the comparison is then at equal cost.
      var trainer = try context.trainer(
        student, on: labelled.map { images.repeating($0) } ?? images, training, output: scores,
        changesShapes: annealing != nil)
      return try run(&trainer, annealing, context)
    }
    let original = try context.original.scored(by: context.scores, on: images)
    let lesson = try Lesson(
      settings, student: student, scores: scores, labelled: labelled, context)
    var teacher = try TeacherOutputs(
      original, values: Distiller.teacherValues(lesson.terms), threads: context.threads)
    if let folder = settings.teacherCache {
      let decision =
        training.augmentation == .none
        ? try TeacherCache(folder: folder).serve(
          &teacher, original, images, epochs: settings.epochs, threads: context.threads,
          progress: context.progress)
        : "the teacher runs in every epoch because images are augmented"
      log.notice("\(decision)")
    }
    var trainer = try context.trainer(
      lesson.adapters.graph, on: images, training, output: scores,
      objective: Distiller(teacher, lesson.terms), changesShapes: annealing != nil)
    let (trained, history) = try run(&trainer, annealing, context)
    return (lesson.adapters.dropped(from: trained), history)
  }
}

extension ImageDataset {
  /// The first `count` images, repeated until there are as many as now.
  fileprivate func repeating(_ count: Int) -> ImageDataset {
    count < self.count ? subset((0..<self.count).map { $0 % count }) : self
  }
}

/// The terms of the loss that the settings ask for, and the adapters that they need.
private struct Lesson {
  let adapters: FeatureAdapters
  private(set) var terms: [any DistillationTerm]

  init(
    _ settings: DistillationSettings, student: Graph, scores: String?, labelled: Int?,
    _ context: CompressionContext
  ) throws {
    let images = try context.training
    let teacher = try context.original.judged(by: context.scores, on: images)
    terms = [
      LogitTerm(
        DistillationLoss(
          temperature: settings.teaching.temperature, alpha: settings.teaching.alpha),
        labelled: labelled)
    ]
    let comparesFeatures = settings.hints > 0 || settings.attention > 0
    let matches =
      comparesFeatures
      ? try FeatureMatching(
        student: student.judged(by: scores, on: images), teacher: teacher
      ).matches(settings.layers)
      : []
    let adapted = settings.hints > 0 ? matches : []
    adapters = FeatureAdapters(
      student, adapted.map(\.pair), channels: adapted.map(\.channels), seed: context.seed)
    if settings.hints > 0 {
      terms.append(FeatureTerm(.hints, weight: settings.hints, adapters.pairs))
    }
    if settings.attention > 0 {
      guard matches.allSatisfy({ $0.student.rank >= 3 }) else {
        throw SwiftletError(
          .unsupported, "attention needs features with positions, and these have none",
          mend: "use hints instead")
      }
      terms.append(FeatureTerm(.attention, weight: settings.attention, matches.map(\.pair)))
    }
    guard settings.adversarial > 0 else { return }
    let classes = try FeatureMatching.classes(of: teacher)
    terms.append(
      try AdversarialTerm(
        weight: settings.adversarial, nil, channels: classes, rank: 2, seed: context.seed))
    // A discriminator also judges the features closest to the output, if hints make them
    // comparable.
    if let last = adapters.pairs.last, let match = adapted.last, match.channels.rank != 3 {
      terms.append(
        try AdversarialTerm(
          weight: settings.adversarial, last, channels: match.channels.teacher,
          rank: match.channels.rank, seed: context.seed))
    }
  }
}
