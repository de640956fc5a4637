// SPDX-License-Identifier: Apache-2.0

/// Quantization without labels.
///
/// Any model can be quantized with samples of its inputs, by name. Some samples are held back, on
/// which the answers are compared with those of the original. Weights alone need no samples.

import Swiftlet

func quantizeWithoutLabels(_ graph: Graph, _ images: ImageDataset) throws {
  let preprocessing = try Preprocessing.stored(in: graph, images: images)
  let samples = try preprocessing.batch(images, Array(0..<200), threads: .available)
  let context = CompressionContext(original: graph, samples: ["input": AnyTensor(samples)])
  let result = try Compressor(context).runUnlabelled(
    Recipe([.quantize { $0.calibrationImages = 100 }]), times: false)
  if let agreement = result.agreement {
    print("int8: \(agreement.decibels) dB on \(agreement.samples) samples held back")
  }

  let (stored, layers) = try Compressor(CompressionContext(original: graph)).apply(
    Recipe([
      .quantize {
        $0.mode = .weightOnly
        $0.bits = 4
      }
    ]))
  print("4-bit weights: \(stored.weightByteCount) of \(graph.weightByteCount) bytes")
  for layer in layers where !layer.changed { print("kept \(layer.layer): \(layer.remark)") }
}
