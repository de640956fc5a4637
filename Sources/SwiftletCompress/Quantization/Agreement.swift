import RealModule
public import SwiftletCore
public import SwiftletGraph
import SwiftletRuntime

/// How much a model's answers resemble another's, where no labels say which ones are right.
public struct Agreement: Sendable, Codable, Equatable {
  /// Signal to noise of the first output, in dB: the first model's answers are the signal.
  public let decibels: Double
  /// Fraction of the rows of the first output whose largest element is at the same place.
  public let top1: Double
  /// Samples compared.
  public let samples: Int

  /// ``decibels`` as a ratio: power of the differences over that of the first model's answers.
  var noiseToSignal: Double { Double.pow(10, -decibels / 10) }

  /// Runs both models over the samples from `first` on.
  ///
  /// - Throws: `unsupported` if the first output is not fp32.
  public static func measure(
    _ original: Graph, _ other: Graph, _ source: CalibrationSource, from first: Int = 0,
    threads: ThreadPool = .available
  ) throws -> Agreement {
    let sessions = try [original, other].map { try Session($0, threads: threads) }
    var sums = Sums()
    try source.forEachBatch(from: first) { inputs, range in
      let results = try sessions.map { session -> Tensor<Float> in
        guard let tensor: Tensor<Float> = try session.run(inputs)[session.outputNames[0]]?.typed()
        else {
          throw SwiftletError(
            .unsupported, "output '\(session.outputNames[0])' is not fp32",
            mend: "only fp32 answers can be compared")
        }
        return tensor
      }
      guard results[0].shape == results[1].shape else {
        throw SwiftletError(
          .badInput, "the models answer \(results[0].shape) and \(results[1].shape)")
      }
      sums.add(results[0], results[1])
      sums.samples += range.count
    }
    return Agreement(
      decibels: sums.decibels, top1: Double(sums.equal) / Double(max(1, sums.rows)),
      samples: sums.samples)
  }

  /// What adds up over batches.
  struct Sums {
    var (signal, noise) = (0.0, 0.0)
    var (equal, rows, samples) = (0, 0, 0)

    var decibels: Double {
      // Equal answers have no noise; a number has to be given all the same.
      noise > 0 ? min(200, 10 * Double.log10(max(signal, 1e-300) / noise)) : 200
    }

    mutating func add(_ answers: Tensor<Float>, _ others: Tensor<Float>) {
      let (x, y) = (answers.contiguous(), others.contiguous())
      let width = max(1, answers.shape.dimensions.last ?? 1)
      for row in 0..<answers.count / width {
        var (best, other) = (row * width, row * width)
        for i in row * width..<(row + 1) * width {
          signal += Double(x.span[i]) * Double(x.span[i])
          let error = Double(x.span[i]) - Double(y.span[i])
          noise += error * error
          if x.span[i] > x.span[best] { best = i }
          if y.span[i] > y.span[other] { other = i }
        }
        rows += 1
        if best == other { equal += 1 }
      }
    }
  }
}
