import SwiftletCore
import SwiftletKernels

/// An input of the segment, N×C×H×W, laid out channels-last, and quantized on the way if asked for.
struct LoadLayer: Layer {
  let input, output: Int
  let quantized: Lowering.Quantized?

  var label: String { "input" }
  var reads: [Int] { [] }
  var writes: Int? { output }

  func step(_ values: [Value], threads: Int) -> Step {
    let (input, output, value, by) = (input, output, values[output], quantized)
    let steps = value.steps
    return Step(
      label: label, kernel: "layout", reads: [], writes: output, items: { $0 * value.height }
    ) { memory, _, items in
      for item in items {
        let (image, row) = (item / value.height, item % value.height)
        let source = unsafe memory.inputs[input].assumingMemoryBound(to: Float.self)
          + image * value.count + row * value.width
        let target = unsafe memory.start(output) + image * steps.image + row * steps.row
        for c in 0..<value.channels {
          for x in 0..<value.width {
            let v = unsafe source[c * value.pixels + x]
            if let by {
              let q = (v / by.scale).rounded(.toNearestOrEven) + Float(by.zeroPoint)
              unsafe (target + x * steps.pixel + c).storeBytes(
                of: UInt8(min(max(q, 0), 255)), as: UInt8.self)
            } else {
              unsafe (target + x * steps.pixel + 4 * c).storeBytes(of: v, as: Float.self)
            }
          }
        }
      }
    }
  }
}

struct StoreLayer: Layer {
  let input, output: Int
  let isSigned: Bool

  var label: String { "output" }
  var reads: [Int] { [input] }
  var writes: Int? { nil }

  func step(_ values: [Value], threads: Int) -> Step {
    let (input, output, value) = (input, output, values[input])
    let steps = value.steps
    let isRows = false
    _ = isRows
    return Step(
      label: label, kernel: "layout", reads: reads, writes: nil, items: { $0 }
    ) { memory, _, items in
      for image in items {
        let target = unsafe memory.outputs[output].assumingMemoryBound(to: Float.self)
          + image * value.count
        for y in 0..<value.height {
          for x in 0..<value.width {
            let source = unsafe memory.start(input) + image * steps.image + y * steps.row + x * steps.pixel
            for c in 0..<value.channels {
              unsafe target[c * value.pixels + y * value.width + x] =
                (source + 4 * c).load(as: Float.self)
            }
          }
        }
      }
    }
  }
}

struct QuantizeLayer: Layer {
  let label: String
  let input, output: Int
  let by: Lowering.Quantized
  var reads: [Int] { [input] }
  var writes: Int? { output }
  func step(_ values: [Value], threads: Int) -> Step {
    let (input, output, by) = (input, output, by)
    let (a, b) = (values[input], values[output])
    return Step(label: label, kernel: "quantize", reads: reads, writes: output, items: { $0 * a.height }) {
      memory, _, items in
      for item in items {
        let (i, y) = (item / a.height, item % a.height)
        for x in 0..<a.width {
          let s = unsafe memory.start(input) + i * a.steps.image + y * a.steps.row + x * a.steps.pixel
          let t = unsafe memory.start(output) + i * b.steps.image + y * b.steps.row + x * b.steps.pixel
          for c in 0..<a.channels {
            let q = unsafe ((s + 4 * c).load(as: Float.self) / by.scale).rounded(.toNearestOrEven) + Float(by.zeroPoint)
            unsafe (t + c).storeBytes(of: UInt8(min(max(q, 0), 255)), as: UInt8.self)
          }
        }
      }
    }
  }
}

struct DequantizeLayer: Layer {
  let label: String
  let input, output: Int
  let by: Lowering.Quantized
  var reads: [Int] { [input] }
  var writes: Int? { output }
  func step(_ values: [Value], threads: Int) -> Step {
    let (input, output, by) = (input, output, by)
    let (a, b) = (values[input], values[output])
    return Step(label: label, kernel: "dequantize", reads: reads, writes: output, items: { $0 * a.height }) {
      memory, _, items in
      for item in items {
        let (i, y) = (item / a.height, item % a.height)
        for x in 0..<a.width {
          let s = unsafe memory.start(input) + i * a.steps.image + y * a.steps.row + x * a.steps.pixel
          let t = unsafe memory.start(output) + i * b.steps.image + y * b.steps.row + x * b.steps.pixel
          for c in 0..<a.channels {
            let q = unsafe Int((s + c).load(as: UInt8.self)) - Int(by.zeroPoint)
            unsafe (t + 4 * c).storeBytes(of: Float(q) * by.scale, as: Float.self)
          }
        }
      }
    }
  }
}
