// SPDX-License-Identifier: Apache-2.0

// 1. Read the model, and choose where the result goes.
import Foundation
import Swiftlet

let arguments = Array(CommandLine.arguments.dropFirst())
let path = arguments.first ?? "seed.onnx"
let smallPath = arguments.count > 1 ? arguments[1] : "small.onnx"
let original = try ONNXFile.read(path)

// 2. Load images: some to calibrate with, others to judge on.
let data = try DataSpec(parsing: "fashion-mnist")
let context = CompressionContext(
  original: original, training: try data.load(defaultPart: .train),
  validation: try data.load(defaultPart: .test))

// 3. Turn weights and activations into 8-bit integers. 256 images show which values occur.
let compressor = Compressor(context)
let quantized = try compressor.run(Recipe([.quantize { $0.calibrationImages = 256 }]))
print("quantized: \(quantized.after.fileBytes) of \(quantized.before.fileBytes) bytes")

// 4. Factor convolutions and fully connected layers first, to half their operations.
let recipe = Recipe([
  .eigen { factors in
    factors.ratio = 0.5
    factors.cost = .macs
  },
  .quantize { $0.calibrationImages = 256 },
])
let result = try compressor.run(recipe)
for layer in result.layers { print("\(layer.layer): \(layer.remark)") }

// 5. Compare the result with the original, on the same images.
print("top-1 \(result.accuracyBefore.top1) → \(result.accuracyAfter.top1)")
print("difference in points: \(result.paired.summary)")
print("MACs \(result.before.macs) → \(result.after.macs)")
print("ms per image \(result.speedBefore.latencyMs) → \(result.speedAfter.latencyMs)")

// 6. Write the smaller model, an ordinary ONNX file, and check what was written.
try ONNXFile.write(result.graph, to: smallPath)
let check = try Evaluation.run(ONNXFile.read(smallPath), on: context.validation)
print("\(smallPath): top-1 \(check.top1)")

// 7. Write a report that opens in any browser.
let report = CompressionReport(result, model: path, output: smallPath, threads: 1)
try report.html.write(toFile: smallPath + ".html", atomically: true, encoding: .utf8)
