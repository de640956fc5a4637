// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
import SwiftletFiles
import SwiftletFormats
import SwiftletTraining

extension Metric {
  /// The score that a command of the user's gives to the outputs.
  ///
  /// All outputs are collected in memory and written to an npz file: the outputs by name,
  /// `sample_names`, `sample_indices`, and, if there are some, `sample_labels` and the targets as
  /// `sample_targets` or `sample_targets/OUTPUT`. `/bin/sh` runs the command, with the path of the
  /// file as `$1`; if the command does not mention `$1` or `$@`, the path is appended. Its last
  /// line of output is the score. A bound on a drop needs the scores of
  /// ``CommandScorer/halves`` random halves of the samples too.
  static func command(_ command: String, higherIsBetter: Bool) -> Metric {
    let label = MetricLabel(
      name: (higherIsBetter ? "command:" : "command-:") + command, higherIsBetter: higherIsBetter)
    return Metric(label, .own, .scorer { CommandScorer(command, label, $0) })
  }
}

struct CommandScorer: MetricScorer {
  /// Number of random halves whose scores tell how the score varies with the samples.
  ///
  /// The halves are drawn without replacement: commands often look samples up by name, and would
  /// count one that occurs twice wrongly.
  static let halves = 30
  /// The largest npz file, in bytes.
  private static let fileLimit = Int(UInt32.max)

  private let command: String
  private let label: MetricLabel
  private let setting: MetricSetting
  /// The outputs so far, batch by batch.
  private var outputs: OrderedDictionary<String, [AnyTensor]> = [:]
  private var targets: OrderedDictionary<String, [AnyTensor]> = [:]
  private var names: [String] = []
  private var indices: [Int] = []
  private var labels: [Int] = []
  private var bytes = 0

  init(_ command: String, _ label: MetricLabel, _ setting: MetricSetting) {
    (self.command, self.label, self.setting) = (command, label, setting)
  }

  private var place: String { "metric '\(label.name)'" }

  mutating func add(_ batch: MetricBatch) throws {
    for name in batch.outputNames {
      guard let output = batch.outputs[name] else { continue }
      let first = outputs[name]?.first
      outputs[name, default: []].append(try checked(output, name, batch, like: first))
    }
    for (name, target) in batch.targets.sorted(by: { $0.key < $1.key }) {
      let first = targets[name]?.first
      targets[name, default: []].append(try checked(target, name, batch, like: first))
    }
    names += batch.names
    indices += batch.positions
    labels += batch.labels
  }

  /// The array of a batch, if it can follow the first one of that name.
  private mutating func checked(
    _ tensor: AnyTensor, _ name: String, _ batch: MetricBatch, like first: AnyTensor?
  ) throws -> AnyTensor {
    let count = batch.samples.count
    guard tensor.shape.rank > 0, tensor.shape[0] == count else {
      throw SwiftletError(
        .unsupported,
        "'\(name)' is \(tensor.shape) for \(count) samples: it must have one row for each",
        at: place, fix: "choose another output with --judged-output")
    }
    if let first,
      first.shape.dimensions.dropFirst() != tensor.shape.dimensions.dropFirst()
        || first.dtype != tensor.dtype
    {
      throw SwiftletError(
        .unsupported,
        "output '\(name)' is \(first.shape) for some samples and \(tensor.shape) for others",
        at: place, fix: "choose another output with --judged-output, or judge through the library")
    }
    bytes += tensor.byteCount
    guard bytes < min(Self.fileLimit, MemoryLimit.bytes) else {
      throw SwiftletError(
        .outOfMemory,
        "the outputs of \(setting.samples) samples do not fit into one file of 4 GiB or into "
          + "memory", at: place,
        fix: "judge fewer samples, such as DATA[0..<1000], or choose outputs with --judged-output")
    }
    return tensor.contiguous
  }

  mutating func finish() throws -> MetricResult {
    let count = names.count
    let all = outputs.mapValues { AnyTensor(joining: $0) }
    let wanted = targets.mapValues { AnyTensor(joining: $0) }
    (outputs, targets) = ([:], [:])
    let score = try self.score(all, wanted, of: Array(0..<count))
    guard setting.needsBound, count > 1 else { return MetricResult(score: score, .none) }
    let halves = try (0..<Self.halves).map { half in
      var generator = RandomGenerator(seed: setting.seed, stream: UInt64(half))
      let chosen = generator.permutation(of: count).prefix(count / 2).sorted()
      return try self.score(all, wanted, of: chosen)
    }
    return MetricResult(score: score, .halves(halves))
  }

  /// The score of some samples, by their places among those collected.
  private func score(
    _ outputs: OrderedDictionary<String, AnyTensor>,
    _ targets: OrderedDictionary<String, AnyTensor>, of samples: [Int]
  ) throws -> Double {
    var arrays = outputs
    func add(_ key: String, _ tensor: AnyTensor) throws {
      guard arrays.updateValue(tensor, forKey: key) == nil else {
        throw SwiftletError(
          .unsupported, "the name of output '\(key)' is needed for samples", at: place,
          fix: "choose other outputs with --judged-output")
      }
    }
    try add("sample_indices", Self.vector(indices))
    if !labels.isEmpty { try add("sample_labels", Self.vector(labels)) }
    for (name, target) in targets {
      try add(name == "targets" ? "sample_targets" : "sample_targets/\(name)", target)
    }
    if samples.count < names.count { arrays = arrays.mapValues { $0.rows(samples) } }
    let bytes = try NPZ.encode(arrays, texts: ["sample_names": samples.map { names[$0] }])
    return try TemporaryFolder.with { folder in
      let file = "\(folder)/outputs.npz"
      try AtomicFile.write(bytes, to: file)
      return try run(file)
    }
  }

  private static func vector(_ numbers: [Int]) -> AnyTensor {
    .int64(Tensor([numbers.count], numbers.map(Int64.init)))
  }

  private func run(_ file: String) throws -> Double {
    let isPlaced = ["$1", "${1}", "$@"].contains { command.contains($0) }
    let result = try ShellCommand.run(isPlaced ? command : "\(command) \"$1\"", [file]) {
      try setting.progress?(Progress("run the metric's command", completed: 0))
    }
    func failure(_ what: String) -> SwiftletError {
      SwiftletError(
        .badInput, what, at: place, fix: "its last line must be the score, and its exit code 0")
    }
    let error = result.lastError.isEmpty ? "" : ": \(result.lastError)"
    switch result.ending {
    case .code(0): break
    case .code(let code): throw failure("the command ended with exit code \(code)\(error)")
    case .signal(let number): throw failure("the command was ended by signal \(number)\(error)")
    }
    guard !result.lastLine.isEmpty else { throw failure("the command printed nothing\(error)") }
    guard let score = Double(result.lastLine) else {
      throw failure("the command printed '\(result.lastLine)', not a number")
    }
    guard score.isFinite else {
      throw failure("the command printed \(result.lastLine), which is not a score")
    }
    return score
  }
}
