import SwiftProtobuf
import SwiftletCore
public import SwiftletGraph
import SwiftletONNXSchema

/// Models in the ONNX format.
public enum ONNXFile {
  /// The producer name that written models carry.
  static let producer = "swiftlet"

  /// - Throws: `io` or `badInput` naming the file; `unsupported` for what this version cannot
  ///   represent (sub-graphs, element types, external data).
  public static func read(_ path: String) throws -> Graph {
    try locating(path) { try parse(InputFile.read(path, limit: 2 << 30)) }
  }

  /// Reads a model from the bytes of a file.
  public static func parse(_ bytes: [UInt8]) throws -> Graph {
    let model: ONNX_ModelProto
    do {
      model = try ONNX_ModelProto(serializedBytes: bytes)
    } catch {
      throw SwiftletError(
        .badInput, "this is no ONNX model", mend: "the file is damaged or of another kind")
    }
    guard model.hasGraph else { throw SwiftletError(.badInput, "this ONNX model has no graph") }
    return try Graph(model)
  }

  /// Writes a model, whole or not at all.
  ///
  /// - Throws: `io` naming the path.
  public static func write(_ graph: Graph, to path: String) throws {
    try AtomicFile.write(serialized(graph), to: path)
  }

  /// The bytes of a model's file: the same for the same graph.
  public static func serialized(_ graph: Graph) throws -> [UInt8] {
    do {
      return try ONNX_ModelProto(graph).serializedBytes()
    } catch {
      throw SwiftletError(.unsupported, "the model is too large for one ONNX file (2 GiB)")
    }
  }
}
