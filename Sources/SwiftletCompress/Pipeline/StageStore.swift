import FoundationEssentials
import Glibc
import SwiftletCore
import SwiftletFormats
import SwiftletGraph

/// Keeps the result of each finished step of a recipe in a folder, so that an interrupted run goes on
/// where it was.
///
/// A result is found again by all that it depends on: model, data, the steps up to it, seed, threads.
/// Whatever else lies in the folder is never taken for it.
public struct StageStore: Sendable {
  private let folder: String
  private let origin: String

  /// - Parameters:
  ///   - folder: Made when there is something to keep.
  ///   - origin: Names model, data, seed and threads.
  public init(folder: String, origin: String) {
    self.folder = folder
    self.origin = origin
  }

  private func path(_ steps: ArraySlice<CompressionStep>) throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    let text = String(decoding: try encoder.encode(Array(steps)), as: UTF8.self)
    return "\(folder)/\(Digest.sha256(origin + text).prefix(32))"
  }

  /// What the steps have made before, if they have.
  func load(_ steps: ArraySlice<CompressionStep>) throws -> StageResult? {
    let path = try path(steps)
    guard let bytes = try? InputFile.read("\(path).json", limit: 1 << 28),
      let notes = try? JSONDecoder().decode(StageNotes.self, from: Data(bytes)),
      let graph = try? ONNXFile.read("\(path).onnx")
    else { return nil }
    return StageResult(graph: graph, notes: notes)
  }

  /// - Throws: `badInput` if the folder cannot be written to.
  func save(_ result: StageResult, _ steps: ArraySlice<CompressionStep>) throws {
    do {
      try FileManager.default.createDirectory(
        atPath: folder, withIntermediateDirectories: true)
    } catch {
      throw SwiftletError(
        .io, "the folder for finished steps cannot be made", at: folder,
        mend: "write the output to a place where folders can be made")
    }
    let path = try path(steps)
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
  let graph: Graph
  var notes = StageNotes()
}

/// What was done to make it.
struct StageNotes: Codable {
  var layers: [LayerReport] = []
  var histories: [StageHistory] = []
}
