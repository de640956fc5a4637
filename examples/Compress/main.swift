// SPDX-License-Identifier: Apache-2.0

// The README's example: factors the convolutions of a trained model and prints the cost.
// swift run -c release CompressExample out/seed.onnx small.onnx
import Glibc
import Swiftlet

guard CommandLine.arguments.count == 3 else {
  print("usage: CompressExample MODEL.onnx SMALL.onnx")
  exit(64)
}
let graph = try ONNXFile.read(CommandLine.arguments[1])
let data = try DataSpec(parsing: "fashion-mnist")
let context = CompressionContext(
  original: graph, training: try data.load(defaultPart: .train),
  validation: try data.load(defaultPart: .test))
let result = try Compressor(context).run(Recipe([CompressionStep(.lowrank)]))
print("top-1 \(result.accuracyAfter.top1), MACs \(result.before.macs) → \(result.after.macs)")
try ONNXFile.write(result.graph, to: CommandLine.arguments[2])
