import SwiftletCore
import SwiftletGraph
import SwiftletRuntime
import SwiftletTraining

/// Trains a student to give the teacher's answers.
///
/// The teacher is the model before any compression. The student is a narrower copy of it, or, after
/// other techniques, what they have made: then distillation recovers what they have lost.
///
/// - Source: Hinton, Vinyals & Dean 2015, arXiv:1503.02531.
struct DistillPass: CompressionPass {
  private let step: CompressionStep

  init(_ step: CompressionStep) { self.step = step }

  func apply(
    to graph: Graph, _ context: CompressionContext
  ) throws -> (graph: Graph, layers: [LayerReport]) {
    let isRecovery = graph.nodes != context.original.nodes
    let student = isRecovery ? graph : try NarrowStudent.make(from: graph, width: step.width)
    let teacher = try Session(context.original.withLogitsOutput(), threads: context.threads)
    let loss = DistillationLoss(temperature: step.temperature, alpha: step.alpha)
    var settings = TrainingSettings(epochs: step.epochs, seed: context.seed)
    settings.schedule = LearningRateSchedule(.cosine, rate: step.learningRate)
    var trainer = try Trainer(
      student, training: try context.training, validation: try context.validation,
      settings: settings,
      objective: { logits, labels, input in
        loss(logits, teacher: try teacher.run(input), labels)
      }, threads: context.threads)
    let trained = try trainer.run(progress: context.progress).graph
    let remark = isRecovery ? "recovered by distillation" : "width \(step.width) of the teacher"
    let layers = trained.nodes.filter { WeightedLayer.operators.contains($0.opType) }.map {
      LayerReport($0, .distill, changed: true, remark)
    }
    return (trained, layers)
  }
}
