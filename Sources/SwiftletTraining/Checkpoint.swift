// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Glibc
import OrderedCollections
import SwiftletCore
import SwiftletData
import SwiftletFiles
import SwiftletFormats

/// All state that changes while a model is trained.
struct TrainingState: Sendable {
  var values: [String: Tensor<Float>]
  var optimizer: Optimizer
  /// Finished epochs, and finished batches of the current one.
  var epoch = 0
  var batch = 0
  /// Sums over the current epoch so far.
  var lossSum = 0.0
  var correct = 0
  var seen = 0
  var history = TrainingHistory()

  init(
    values: OrderedDictionary<String, Tensor<Float>>, optimizer: OptimizerSettings
  ) {
    self.values = Dictionary(uniqueKeysWithValues: values.map { ($0.key, $0.value) })
    self.optimizer = Optimizer(optimizer)
  }

  mutating func beginNextEpoch() {
    epoch += 1
    batch = 0
    (lossSum, correct, seen) = (0, 0, 0)
  }

  /// - Throws: `badInput` if the tensors do not match the model.
  func check(against fresh: TrainingState) throws {
    guard values.mapValues(\.shape) == fresh.values.mapValues(\.shape) else {
      throw SwiftletError(
        .badInput, "the checkpoint belongs to another model",
        fix: "start again without --resume")
    }
  }
}

/// A safetensors file from which a training run can continue.
public struct CheckpointFile: Sendable {
  /// The file, which is replaced at every saving.
  public let path: String
  /// The number of batches between checkpoints. One is also written after every epoch.
  public let interval: Int

  /// A checkpoint at `path`, saved every `interval` batches.
  public init(path: String, interval: Int = 200) {
    self.path = path
    self.interval = interval
  }

  /// Deletes the file when its run is finished.
  public func remove() { unsafe unlink(path) }

  /// The content of the file other than tensors.
  private struct Header: Codable {
    let settings: TrainingSettings
    let objective: String
    let data: String
    let images: Int
    /// Of pictures in files: `Digest.ofFiles`.
    let files: String?
    let epoch: Int
    let batch: Int
    let lossSum: Double
    let correct: Int
    let seen: Int
    let optimizerStep: Int
    let momentumProduct: Double
    let history: TrainingHistory
  }

  private static let headerKey = "swiftlet.training"

  func save(
    _ state: TrainingState, _ settings: TrainingSettings, _ objective: any TrainingObjective,
    _ data: ImageDataset, files: String?
  ) throws {
    let header = Header(
      settings: settings, objective: objective.name, data: data.name, images: data.count,
      files: files, epoch: state.epoch, batch: state.batch, lossSum: state.lossSum,
      correct: state.correct,
      seen: state.seen,
      optimizerStep: state.optimizer.step, momentumProduct: state.optimizer.momentumProduct,
      history: state.history)
    var tensors: OrderedDictionary<String, AnyTensor> = [:]
    for name in state.values.keys.sorted() {
      tensors["value/\(name)"] = state.values[name].map(AnyTensor.init)
      for (index, moment) in (state.optimizer.moments[name] ?? []).enumerated() {
        tensors["moment\(index)/\(name)"] = AnyTensor(moment)
      }
    }
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys]
    let text = String(decoding: try encoder.encode(header), as: UTF8.self)
    try Safetensors(tensors: tensors, metadata: [Self.headerKey: text]).write(to: path)
  }

  /// The stored state, or `nil` if there is no file.
  ///
  /// - Throws: `badInput` if the file is damaged or from a run with other settings or data.
  func load(
    for settings: TrainingSettings, _ objective: any TrainingObjective, _ data: ImageDataset,
    files: String?
  ) throws -> TrainingState? {
    guard InputFile.exists(path) else { return nil }
    return try locating(path) {
      let file = try Safetensors(reading: path)
      guard let text = file.metadata[Self.headerKey],
        let header = try? JSONDecoder().decode(Header.self, from: Data(text.utf8))
      else { throw SwiftletError(.badInput, "this is not a training checkpoint") }
      guard header.settings == settings, header.objective == objective.name,
        header.data == data.name, header.images == data.count, header.files == files
      else {
        throw SwiftletError(
          .badInput, "the checkpoint is from a run with other settings or data",
          fix: "use the same settings and data, or start again without --resume")
      }
      return try Self.state(header, file.tensors)
    }
  }

  private static func state(
    _ header: Header, _ tensors: OrderedDictionary<String, AnyTensor>
  ) throws -> TrainingState {
    var state = TrainingState(values: [:], optimizer: header.settings.optimizer)
    for (key, tensor) in tensors {
      guard let slash = key.firstIndex(of: "/") else { continue }
      let name = String(key[key.index(after: slash)...])
      switch key[..<slash] {
      case "value": state.values[name] = try tensor.require()
      case "moment0", "moment1":
        state.optimizer.moments[name, default: []].append(try tensor.require())
      default: throw SwiftletError(.badInput, "unknown tensor '\(key)'")
      }
    }
    for (name, moments) in state.optimizer.moments
    where moments.contains(where: { $0.shape != state.values[name]?.shape }) {
      throw SwiftletError(.badInput, "the moments of '\(name)' do not match its values")
    }
    state.optimizer.step = header.optimizerStep
    state.optimizer.momentumProduct = header.momentumProduct
    (state.epoch, state.batch) = (header.epoch, header.batch)
    (state.lossSum, state.correct, state.seen) = (header.lossSum, header.correct, header.seen)
    state.history = header.history
    return state
  }
}
