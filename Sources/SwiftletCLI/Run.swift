import ArgumentParser
import Swiftlet

struct Run: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Run a model on arrays.",
    discussion: """
      Reads the inputs from npy files and writes every output to DIR/NAME.npy, with '/' in names \
      replaced by '_'.

        swiftlet run seed.onnx --input input=images.npy --output-dir results
      """)

  @Argument(help: "The ONNX file.")
  var model: String

  @Option(
    name: .customLong("input"),
    help: ArgumentHelp("An input's name and its npy file; once per input.", valueName: "name=file"))
  var inputs: [NamedFile] = []

  @Option(help: ArgumentHelp("The folder to write the outputs to.", valueName: "dir"))
  var outputDir: String

  @OptionGroup var common: CommonOptions

  private struct Output: Encodable {
    let name, file, dtype, shape: String
  }

  func run() throws {
    var tensors: [String: AnyTensor] = [:]
    for input in inputs {
      guard tensors.updateValue(try NPY.read(input.path), forKey: input.name) == nil else {
        throw SwiftletError(.badInput, "input '\(input.name)' is given twice")
      }
    }
    let session = try locating(model) { try Session(ONNXFile.read(model), threads: common.pool) }
    try OutputFolder.create(outputDir)
    let results = try locating(model) { try session.run(tensors) }
    let outputs = try session.outputNames.map { name -> Output in
      let tensor = results[name]!
      let path = "\(outputDir)/\(name.replacing("/", with: "_")).npy"
      try AtomicFile.write(NPY.serialized(tensor), to: path)
      return Output(
        name: name, file: path, dtype: tensor.dtype.rawValue, shape: "\(tensor.shape)")
    }
    if common.json { return try Console.json(["outputs": outputs]) }
    for output in outputs { print("\(output.file): \(output.dtype) \(output.shape)") }
  }
}

/// A name and a file, as in `--input images=batch.npy`.
struct NamedFile: ExpressibleByArgument {
  let name: String
  let path: String

  init?(argument: String) {
    guard let equals = argument.firstIndex(of: "="), equals != argument.startIndex else {
      return nil
    }
    name = String(argument[..<equals])
    path = String(argument[argument.index(after: equals)...])
    if path.isEmpty { return nil }
  }
}
