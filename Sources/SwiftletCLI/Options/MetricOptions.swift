// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Swiftlet

/// The option for the metric to judge models by.
struct MetricOptions: ParsableArguments {
  @Option(
    name: .customLong("metric"),
    help: ArgumentHelp(
      "How models are judged; see 'swiftlet help goals'. Default: top1, or agreement without "
        + "labels.",
      valueName: "name"),
    completion: .list(Metric.all.map(\.name)))
  var name: String?

  func validate() throws {
    do { _ = try metric } catch let error as SwiftletError {
      throw ValidationError("--metric: \(error.what)" + (error.fix.map { "; \($0)" } ?? ""))
    }
  }

  /// The metric; `nil` if none was chosen.
  var metric: Metric? { get throws { try name.map { try Metric.named($0) } } }
}

/// A largest drop: `0.5` in points or in the unit of the metric, or `1%` of the original's score.
struct DropArgument: ExpressibleByArgument {
  let value: Goals.Drop

  init?(argument: String) {
    let isRelative = argument.hasSuffix("%")
    guard let number = Double(isRelative ? argument.dropLast() : argument[...]), number.isFinite,
      number >= 0
    else { return nil }
    value = isRelative ? .relative(number / 100) : .absolute(number)
  }

  /// The drop, unless it is relative.
  var absolute: Double? { if case .absolute(let value) = value { value } else { nil } }
}
