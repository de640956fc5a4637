// SPDX-License-Identifier: Apache-2.0

import Foundation
import Swiftlet

/// Gives each input to one parser, which the variable `SWIFTLET_FUZZ` names. Refusals are fine;
/// what is found ends the process.
private enum Target: String, CaseIterable {
  case onnx, safetensors, npy, npz, rows, idx, image, preprocessing

  static let chosen: Target = {
    let name = ProcessInfo.processInfo.environment["SWIFTLET_FUZZ"] ?? ""
    guard let target = Target(rawValue: name) else {
      fatalError(
        "SWIFTLET_FUZZ must be one of \(allCases.map(\.rawValue).joined(separator: ", "))")
    }
    // What a run may take is bounded well below libFuzzer's own limits.
    MemoryLimit.bytes = 64 << 20
    StepLimit.steps = 20_000
    return target
  }()

  private static let files = try! DataFiles()

  func parse(_ bytes: [UInt8]) throws {
    switch self {
    case .onnx: try runModel(bytes)
    case .safetensors:
      let file = try Safetensors(decoding: bytes, file: "fuzz")
      let again = try Safetensors(decoding: file.encoded(), file: "fuzz")
      precondition(again.tensors.keys.sorted() == file.tensors.keys.sorted())
    case .npy:
      let array = try NPY.decode(bytes)
      let again = try NPY.decode(NPY.encode(array))
      precondition(again.shape == array.shape)
    case .npz: _ = try NPZ.decode(bytes)
    case .rows: try Self.files.readRows(bytes)
    case .preprocessing: try Self.files.describe(bytes)
    case .idx: _ = try IDX.decode(bytes, file: "fuzz")
    case .image: try decodePicture(bytes)
    }
  }

  /// Decodes a picture in each way, and makes it smaller.
  private func decodePicture(_ bytes: [UInt8]) throws {
    let small = Image.Size(width: 7, height: 5)
    for channels in [nil] + Image.Channels.allCases {
      let options = Image.DecodingOptions(
        channels: channels, sufficientSize: channels == .grey ? small : nil,
        maximumPixels: 1 << 20)
      let image = try Image(decoding: bytes, file: "fuzz", options)
      precondition(image.resized(to: small).size == small)
    }
  }

  /// Parses a model, writes it, plans it, and runs it if that is little work.
  private func runModel(_ bytes: [UInt8]) throws {
    let graph = try ONNXFile.decode(bytes)
    _ = try ONNXFile.decode(ONNXFile.encode(graph))
    _ = graph.simplified()
    let interpreter = try Interpreter(graph)
    let shapes = try interpreter.inputShapes(batch: 2)
    let infos = try? interpreter.infer(shapes)
    let cost = try? interpreter.macs(batch: 2).reduce(0) {
      $0.addingReportingOverflow($1).partialValue
    }
    let elements = infos?.values.reduce(0) { $0 + $1.shape.count } ?? 0
    guard 0..<1_000_000 ~= cost ?? 0, elements < 1_000_000,
      shapes.values.allSatisfy({ $0.count < 100_000 })
    else { return }
    var inputs: [String: AnyTensor] = [:]
    for input in graph.dataInputs {
      let ones = AnyTensor(Tensor<Float>(shapes[input.name]!, repeating: 1))
      // Types that are only stored have no numbers to start from here.
      guard let given = ones.cast(to: input.dtype) else { return }
      inputs[input.name] = given
    }
    _ = try interpreter.run(inputs, ExecutionContext())
    for precision in Precision.allCases {
      _ = try Session(graph, threads: .serial, precision: precision).run(inputs)
    }
  }
}

extension AnyTensor {
  /// The same numbers in another type, by the operator that does it in models.
  fileprivate func cast(to dtype: DType) -> AnyTensor? {
    let graph = Graph(
      name: "cast",
      nodes: [
        Node("CastLike", name: "c", inputs: ["x", "like"], outputs: ["y"])
      ],
      initializers: ["like": Self.zeros(dtype)],
      inputs: [ValueInfo("x", .float32, shape.dimensions.map(Dimension.fixed))],
      outputs: [ValueInfo("y", dtype, shape.dimensions.map(Dimension.fixed))])
    return try? Interpreter(graph).run(["x": self], ExecutionContext())["y"]
  }

  private static func zeros(_ dtype: DType) -> AnyTensor {
    switch dtype {
    case .float64: .float64(Tensor(zeros: []))
    case .int8: .int8(Tensor(zeros: []))
    case .uint8: .uint8(Tensor(zeros: []))
    case .int16: .int16(Tensor(zeros: []))
    case .uint16: .uint16(Tensor(zeros: []))
    case .int32: .int32(Tensor(zeros: []))
    case .uint32: .uint32(Tensor(zeros: []))
    case .int64: .int64(Tensor(zeros: []))
    case .uint64: .uint64(Tensor(zeros: []))
    case .bool: .bool(Tensor(zeros: []))
    default: .float32(Tensor(zeros: []))
    }
  }
}

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  _ = try? Target.chosen.parse(Array(UnsafeBufferPointer(start: data, count: count)))
  return 0
}
