// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Glibc
import OrderedCollections
import SwiftletCore
import SwiftletFiles
import SwiftletFormats
import SwiftletGraph
import SwiftletTraining

/// Stores the result of each finished step of a recipe in a folder, so that an interrupted run can
/// resume.
///
/// A result is looked up by everything it depends on: model, data, the steps up to it, seed and
/// threads. Other files in the folder are ignored.
public struct StageStore: Sendable {
  private let folder: String
  private let origin: String

  /// Creates a store.
  ///
  /// - Parameters:
  ///   - folder: The path of the folder; created when there is something to store.
  ///   - origin: Identifies model, data, seed and threads:
  ///     ``Manifest/origin(_:data:use:version:)``.
  public init(folder: String, origin: String) {
    self.folder = folder
    self.origin = origin
  }

  /// The lookup key for the result of some steps: a digest of the steps and of what else determines
  /// it, such as the content of files.
  ///
  /// - Throws: The errors of reading these files.
  func key(_ steps: ArraySlice<CompressionStep>) throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    let text = String(decoding: try encoder.encode(Array(steps)), as: UTF8.self)
    let dependencies = try steps.flatMap { try $0.settings.dependencies() }
    return Digest.sha256(origin + text + dependencies.joined())
  }

  private func path(_ key: String) -> String { "\(folder)/\(key.prefix(32))" }

  /// The stored result for a key; `nil` if there is none.
  func load(_ key: String) -> StageResult? {
    let path = path(key)
    guard let bytes = try? InputFile.read("\(path).json", limit: 1 << 28),
      let notes = try? JSONDecoder().decode(StageNotes.self, from: Data(bytes)),
      let graph = try? ONNXFile.read("\(path).onnx")
    else { return nil }
    return StageResult(graph: graph, notes: notes)
  }

  /// The checkpoint file of the step that a key belongs to; `nil` if the step does not train.
  ///
  /// - Throws: `io` if the folder cannot be written to.
  func checkpoint(_ key: String, for step: CompressionStep) throws -> CheckpointFile? {
    guard step.settings.trains else { return nil }
    try makeFolder()
    return CheckpointFile(path: "\(path(key)).checkpoint")
  }

  private func makeFolder() throws {
    do {
      try FileManager.default.createDirectory(
        atPath: folder, withIntermediateDirectories: true)
    } catch {
      throw SwiftletError(
        .io, "cannot create the folder for finished steps", at: folder,
        mend: "write the output to a writable folder")
    }
  }

  /// - Throws: `io` if the folder cannot be written to.
  func save(_ result: StageResult, _ key: String) throws {
    try makeFolder()
    let path = path(key)
    try ONNXFile.write(result.graph, to: "\(path).onnx")
    // The notes come last: their presence means that the model is complete.
    try AtomicFile.write(
      String(decoding: JSONEncoder().encode(result.notes), as: UTF8.self), to: "\(path).json")
  }

  /// Deletes the folder with all results; errors are ignored.
  public func remove() { try? FileManager.default.removeItem(atPath: folder) }
}

/// The model after some steps of a recipe, with notes.
struct StageResult {
  var graph: Graph
  var notes = StageNotes()
}

/// What the steps did.
struct StageNotes: Codable {
  var layers: [LayerReport] = []
  var histories: [StageHistory] = []
}

extension Graph {
  /// A digest of the whole graph including its tensors, wherever the file stores them.
  ///
  /// - Throws: As `ONNXFile.encode`.
  func digest() throws -> String {
    var skeleton = self
    skeleton.initializers = [:]
    let tensors = initializers.map { name, tensor in
      var bytes: [UInt8] = []
      tensor.contiguous.appendBytes(to: &bytes)
      return "\(name) \(tensor.dtype) \(tensor.shape) \(Digest.sha256(bytes))"
    }
    return Digest.sha256(
      Digest.sha256(try ONNXFile.encode(skeleton)) + tensors.joined(separator: "\n"))
  }
}
