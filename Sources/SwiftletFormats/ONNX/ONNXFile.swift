// SPDX-License-Identifier: Apache-2.0

import SwiftProtobuf
import SwiftletCore
import SwiftletFiles
public import SwiftletGraph
import SwiftletONNXSchema

/// Models in the ONNX format.
///
/// Content of a file that Swiftlet does not interpret is kept with the graph and written back:
/// annotations, fields of newer versions, operators of other domains. 16-bit floats become fp32.
public enum ONNXFile {
  /// The maximum file size: protobuf's limit.
  private static let limit = 2 << 30

  /// Reads a model, and its external data files.
  ///
  /// The file is mapped, and each tensor's elements are copied once: reading needs little more
  /// memory than the tensors.
  ///
  /// - Throws: `io` or `badInput` naming the file; `unsupported` for content that this version
  ///   cannot represent, such as some element types.
  public static func read(_ path: String) throws -> Graph {
    let folder = path.lastIndex(of: "/").map { String(path[...$0]) } ?? "."
    return try locating(path) { try decode(MappedFile(path, limit: limit), folder: folder) }
  }

  /// The size of a model's file and its external data files, in bytes.
  ///
  /// - Throws: As ``read(_:)``.
  public static func byteCount(_ path: String) throws -> Int {
    let folder = path.lastIndex(of: "/").map { String(path[...$0]) } ?? "."
    return try locating(path) {
      let file = try MappedFile(path, limit: limit)
      let elements = ElementSource(file, folder: folder)
      try message(file).graph.initializer.forEach(elements.open)
      return file.count + elements.externalBytes
    }
  }

  /// Reads a model from the bytes of a file.
  public static func decode(_ bytes: [UInt8]) throws -> Graph {
    try decode(MappedFile(bytes), folder: nil)
  }

  private static func decode(_ file: MappedFile, folder: String?) throws -> Graph {
    let model = try message(file)
    guard model.hasGraph else { throw SwiftletError(.badInput, "this ONNX model has no graph") }
    return try ONNXReader(elements: ElementSource(file, folder: folder), model).model(model)
  }

  /// The model message without the elements of its tensors.
  private static func message(_ file: MappedFile) throws -> ONNX_ModelProto {
    let skeleton = try file.withBytes(in: 0..<file.count) { try ONNXSkeleton($0).bytes }
    var options = BinaryDecodingOptions()
    // Additional depth for the contents of tensors and values.
    options.messageDepthLimit = ONNXSkeleton.depthLimit + 16
    guard let model = try? ONNX_ModelProto(serializedBytes: skeleton, options: options) else {
      throw damaged
    }
    return model
  }

  static var damaged: SwiftletError {
    SwiftletError(
      .badInput, "this is not an ONNX model", mend: "the file is damaged or has another format")
  }

  /// Writes a model, completely or not at all. With `externalData`, larger tensors go into a file
  /// next to the model, `PATH.data`, which is required above 2 GiB.
  ///
  /// - Throws: `io` naming the path.
  public static func write(
    _ graph: Graph, to path: String, externalData: Bool = false
  ) throws {
    guard externalData else { return try AtomicFile.write(encode(graph), to: path) }
    let data = path + ".data"
    let writer = ONNXWriter(dataFile: data.split(separator: "/").last.map(String.init))
    let model = try bytes(of: graph, writer)
    // The data file first: a model must never refer to missing data.
    try AtomicFile.checkWritable(path)
    try AtomicFile.write(writer.data, to: data)
    try AtomicFile.write(model, to: path)
  }

  /// The bytes of a model's file; equal graphs give equal bytes.
  public static func encode(_ graph: Graph) throws -> [UInt8] {
    try bytes(of: graph, ONNXWriter(dataFile: nil))
  }

  private static func bytes(of graph: Graph, _ writer: ONNXWriter) throws -> [UInt8] {
    let model = try writer.model(graph)
    guard let bytes: [UInt8] = try? model.serializedBytes() else {
      throw SwiftletError(
        .unsupported, "the model is too large for one ONNX file (2 GiB)",
        mend: "write it with external data")
    }
    return bytes
  }
}
