// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import OrderedCollections
import Swiftlet

/// `swiftlet run`.
struct Run: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Run a model on arrays.",
    discussion: """
      Reads inputs from npy files, or from npz or safetensors files with arrays named after them. \
      Writes each output to DIR/NAME.npy, with '/' in names replaced by '_', or all outputs to one \
      npz or safetensors file.

        swiftlet run seed.onnx --input input=images.npy --output-dir results
        swiftlet run seed.onnx --input inputs.npz --output results.npz
      """)

  @Argument(help: "The ONNX file.")
  var model: String

  @Option(
    name: .customLong("input"),
    help: ArgumentHelp(
      "Name of an input and its npy file, or an npz or safetensors file of named inputs; may be "
        + "repeated.",
      valueName: "name=file"))
  var inputs: [NamedFile] = []

  @Option(help: ArgumentHelp("Folder to write the outputs to.", valueName: "dir"))
  var outputDir: String?

  @Option(
    name: .shortAndLong,
    help: ArgumentHelp("The npz or safetensors file to write the outputs to.", valueName: "file"))
  var output: String?

  @OptionGroup var precision: PrecisionOptions

  @OptionGroup var limits: LimitOptions<RunsModels>

  @OptionGroup var common: CommonOptions

  /// One output in the JSON result.
  private struct Output: Encodable {
    let name, file, dtype, shape: String
  }

  func validate() throws {
    guard (output == nil) != (outputDir == nil) else {
      throw ValidationError("give either --output-dir DIR or --output FILE")
    }
    if let output, !ArrayFile.holdsSeveral(output) {
      throw ValidationError("--output '\(output)' must end in .npz or .safetensors")
    }
  }

  func run() throws {
    let tensors = try readInputs()
    let graph = try ONNXFile.read(model)
    let session = try locating(model) {
      try Session(graph, threads: common.threads, precision: precision.precision)
    }
    // Outputs that are float16 in the model are computed in fp32 and written as float16.
    let halves = Set(session.outputNames.filter { graph.halves[$0] == 10 })
    if output == nil { try checkNames(session) }
    if let outputDir { try OutputFolder.create(outputDir) }
    let written = output.map { [$0] } ?? session.outputNames.map(file)
    try OutputFiles(
      written: written.map { ($0, "an output") },
      read: [(model, "the model")] + inputs.map { ($0.path, "--input") }
    ).check()
    let results = try locating(model) { try session.run(compacted(tensors, session.inputs)) }
    let outputs = try session.outputNames.map { name -> Output in
      let tensor = results[name]!
      let path = output ?? file(name)
      if output == nil {
        try AtomicFile.write(
          NPY.encode(tensor, asHalf: halves.contains(name)), to: path)
      }
      return Output(
        name: name, file: path, dtype: halves.contains(name) ? "float16" : tensor.dtype.rawValue,
        shape: "\(tensor.shape)")
    }
    if let output {
      try ArrayFile.write(
        OrderedDictionary(uniqueKeysWithValues: session.outputNames.map { ($0, results[$0]!) }),
        to: output, halves: halves)
    }
    if common.json { return try Console.json(["outputs": outputs]) }
    for output in outputs { Console.print("\(output.file): \(output.dtype) \(output.shape)") }
  }

  /// The path of an output's file.
  private func file(_ name: String) -> String {
    "\(outputDir!)/\(name.replacing("/", with: "_")).npy"
  }

  /// Checks before the run that each output has its own file.
  private func checkNames(_ session: Session) throws {
    var files: Set<String> = []
    for name in session.outputNames {
      let file = file(name)
      guard files.insert(file).inserted else {
        throw SwiftletError(
          .badInput, "two outputs would be written to '\(file)'", fix: "use --output FILE.npz")
      }
      guard name.utf8.count <= 250, !name.utf8.contains(0) else {
        throw SwiftletError(
          .badInput, "the name of output '\(name.prefix(80))' cannot be a file name",
          fix: "use --output FILE.npz")
      }
    }
  }

  /// Converts arrays for inputs of compact types, which npy files cannot hold.
  private func compacted(
    _ tensors: [String: AnyTensor], _ inputs: [ValueInfo]
  ) throws -> [String: AnyTensor] {
    var tensors = tensors
    for input in inputs where input.dtype.computable != input.dtype {
      guard let wide = tensors[input.name], wide.dtype == input.dtype.computable else { continue }
      let compact = wide.converted(to: input.dtype)
      guard compact.converted(to: wide.dtype).holdsSameNumbers(as: wide) else {
        throw SwiftletError(
          .badInput,
          "the array for input '\(input.name)' has elements that \(input.dtype) cannot "
            + "represent")
      }
      tensors[input.name] = compact
    }
    return tensors
  }

  private func readInputs() throws -> [String: AnyTensor] {
    var tensors: [String: AnyTensor] = [:]
    for input in inputs {
      let arrays =
        try input.name.map { [$0: try NPY.read(input.path)] } ?? ArrayFile.read(input.path)
      for (name, tensor) in arrays where tensors.updateValue(tensor, forKey: name) != nil {
        throw SwiftletError(.badInput, "input '\(name)' is given twice")
      }
    }
    return tensors
  }
}

/// An argument of `--input`: `images=batch.npy`, or a file of named arrays.
struct NamedFile: ExpressibleByArgument {
  let name: String?
  let path: String

  init?(argument: String) {
    guard let equals = argument.firstIndex(of: "=") else {
      guard ArrayFile.holdsSeveral(argument) else { return nil }
      (name, path) = (nil, argument)
      return
    }
    name = String(argument[..<equals])
    path = String(argument[argument.index(after: equals)...])
    if equals == argument.startIndex || path.isEmpty { return nil }
  }
}

extension AnyTensor {
  /// Whether all elements are equal, or NaN in both.
  fileprivate func holdsSameNumbers(as other: AnyTensor) -> Bool {
    guard case .float32(let a) = self, case .float32(let b) = other else { return self == other }
    return zip(a.elements, b.elements).allSatisfy { $0 == $1 || $0.isNaN && $1.isNaN }
  }
}
