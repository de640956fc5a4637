// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import OrderedCollections
import Swiftlet

/// `swiftlet convert`.
struct Convert: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Convert a model or arrays to another format.",
    discussion: """
      The extension of the output decides the format. Models are converted from .onnx to .onnx, \
      keeping everything in the file that Swiftlet does not understand. --fold simplifies the \
      model without changing its results: it computes constants, folds BatchNormalization into the \
      layer before it, and removes Identity and Dropout. --external-data stores weights in \
      OUTPUT.data.

      Arrays are converted between .npy, .npz and .safetensors; from .onnx to one of these, the \
      model's weights are written.

        swiftlet convert model.onnx deploy.onnx --fold
        swiftlet convert model.onnx weights.safetensors
      """)

  @Argument(help: "The file to read: .onnx, .npy, .npz or .safetensors.")
  var input: String

  @Argument(help: "The file to write: .onnx, .npy, .npz or .safetensors.")
  var output: String

  @Flag(help: "Compute constants and fold BatchNormalization into layers (.onnx only).")
  var fold = false

  @Flag(help: "Store large weights in a separate file (.onnx only).")
  var externalData = false

  @Flag(help: "Overwrite the input file.")
  var force = false

  @OptionGroup var limits: LimitOptions<RunsNoModels>

  @OptionGroup var options: OutputOptions

  /// The JSON result.
  private struct Summary: Encodable {
    let output: String
    /// Numbers of nodes before and after; `nil` for arrays.
    let nodes: [Int]?
    let tensors, bytes: Int
  }

  func run() throws {
    try OutputFiles(written: [(output, "the output")], read: [(input, "the input")])
      .check(force: force)
    let summary = try output.hasSuffix(".onnx") ? convertModel() : convertArrays()
    if options.json { return try Console.json(summary) }
    let nodes = summary.nodes.map { "\($0[0]) → \($0[1]) nodes, " } ?? ""
    Console.print("\(output): \(nodes)\(summary.tensors) tensors, \(summary.bytes) bytes")
  }

  private func convertModel() throws -> Summary {
    guard input.hasSuffix(".onnx") else {
      throw SwiftletError(.badInput, "cannot convert arrays to a model", at: input)
    }
    let graph = try ONNXFile.read(input)
    let result = fold ? graph.simplified() : graph
    try ONNXFile.write(result, to: output, externalData: externalData)
    return Summary(
      output: output, nodes: [graph.nodes.count, result.nodes.count],
      tensors: result.initializers.count, bytes: result.weightByteCount)
  }

  private func convertArrays() throws -> Summary {
    guard !fold, !externalData else {
      throw SwiftletError(
        .badInput, "--fold and --external-data need a model as output", at: output)
    }
    let tensors =
      try input.hasSuffix(".onnx")
      ? ONNXFile.read(input).initializers : ArrayFile.read(input)
    try ArrayFile.write(tensors, to: output)
    return Summary(
      output: output, nodes: nil, tensors: tensors.count,
      bytes: tensors.values.reduce(0) { $0 + $1.byteCount })
  }
}
