// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Glibc
import OrderedCollections
import SwiftletCore
import SwiftletFiles
import SwiftletFormats
import SwiftletGraph
import SwiftletTraining

/// Keeps the result of each finished step of a recipe in a folder, so that an interrupted run goes
/// on where it was.
///
/// A result is found again by all that it depends on: model, data, the steps up to it, seed,
/// threads. Whatever else lies in the folder is never taken for it.
public struct StageStore: Sendable {
  private let folder: String
  private let origin: String

  /// - Parameters:
  ///   - folder: Made when there is something to keep.
  ///   - origin: Names model, data, seed and threads: ``Manifest/origin(_:data:use:version:)``.
  public init(folder: String, origin: String) {
    self.folder = folder
    self.origin = origin
  }

  /// What the result of some steps is found by: the steps, and what else decides it, such as the
  /// content of files.
  ///
  /// - Throws: As reading the files does, naming them.
  func key(_ steps: ArraySlice<CompressionStep>) throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    let text = String(decoding: try encoder.encode(Array(steps)), as: UTF8.self)
    let dependencies = try steps.flatMap { try $0.settings.dependencies() }
    return Digest.sha256(origin + text + dependencies.joined())
  }

  private func path(_ key: String) -> String { "\(folder)/\(key.prefix(32))" }

  /// What has been made before under the key, if it has.
  func load(_ key: String) -> StageResult? {
    let path = path(key)
    guard let bytes = try? InputFile.read("\(path).json", limit: 1 << 28),
      let notes = try? JSONDecoder().decode(StageNotes.self, from: Data(bytes)),
      let graph = try? ONNXFile.read("\(path).onnx")
    else { return nil }
    return StageResult(graph: graph, notes: notes)
  }

  /// The progress of the step that makes what belongs to the key, if it trains.
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
        .io, "the folder for finished steps cannot be made", at: folder,
        mend: "write the output to a place where folders can be made")
    }
  }

  /// - Throws: `io` if the folder cannot be written to.
  func save(_ result: StageResult, _ key: String) throws {
    try makeFolder()
    let path = path(key)
    try ONNXFile.write(result.graph, to: "\(path).onnx")
    // The notes last: they say that the model is whole.
    try AtomicFile.write(
      String(decoding: JSONEncoder().encode(result.notes), as: UTF8.self), to: "\(path).json")
  }

  /// Deletes the folder, once what it was for is done.
  public func remove() { try? FileManager.default.removeItem(atPath: folder) }
}

/// What the steps of a recipe have made so far.
struct StageResult {
  var graph: Graph
  var notes = StageNotes()
}

/// What was done to make it.
struct StageNotes: Codable {
  var layers: [LayerReport] = []
  var histories: [StageHistory] = []
}

extension Graph {
  /// A digest of all that the graph says, its tensors among it, wherever the file has them.
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
