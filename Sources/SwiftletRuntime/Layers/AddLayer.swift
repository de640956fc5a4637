import SwiftletCore
import SwiftletKernels

struct ClampLayer: Layer {
  let label: String
  let input, output: Int
  let low, high: Float
  var reads: [Int] { [input] }
  var writes: Int? { output }
  func step(_ values: [Value], threads: Int) -> Step {
    let (input, output, low, high) = (input, output, low, high)
    let (a, b) = (values[input], values[output])
    return Step(label: label, kernel: "clamp", reads: reads, writes: output, items: { $0 * a.height }) {
      memory, _, items in
      for item in items {
        let (i, y) = (item / a.height, item % a.height)
        for x in 0..<a.width {
          let s = unsafe memory.start(input) + i * a.steps.image + y * a.steps.row + x * a.steps.pixel
          let t = unsafe memory.start(output) + i * b.steps.image + y * b.steps.row + x * b.steps.pixel
          for c in 0..<a.channels {
            let v = unsafe (s + 4 * c).load(as: Float.self)
            unsafe (t + 4 * c).storeBytes(of: v < low ? low : v > high ? high : v, as: Float.self)
          }
        }
      }
    }
  }
}

struct AddLayer: Layer {
  let label: String
  let first, second, output: Int
  let low, high: Float
  var reads: [Int] { [first, second] }
  var writes: Int? { output }
  func step(_ values: [Value], threads: Int) -> Step {
    let (first, second, output, low, high) = (first, second, output, low, high)
    let (a, a2, b) = (values[first], values[second], values[output])
    return Step(label: label, kernel: "add", reads: reads, writes: output, items: { $0 * a.height }) {
      memory, _, items in
      for item in items {
        let (i, y) = (item / a.height, item % a.height)
        for x in 0..<a.width {
          let s = unsafe memory.start(first) + i * a.steps.image + y * a.steps.row + x * a.steps.pixel
          let s2 = unsafe memory.start(second) + i * a2.steps.image + y * a2.steps.row + x * a2.steps.pixel
          let t = unsafe memory.start(output) + i * b.steps.image + y * b.steps.row + x * b.steps.pixel
          for c in 0..<a.channels {
            let v = unsafe (s + 4 * c).load(as: Float.self) + (s2 + 4 * c).load(as: Float.self)
            unsafe (t + 4 * c).storeBytes(of: v < low ? low : v > high ? high : v, as: Float.self)
          }
        }
      }
    }
  }
}

struct AddBytesLayer: Layer {
  let label: String
  let first, second: (value: Int, by: Lowering.Quantized)
  let output: Int
  let by: Lowering.Quantized
  let low, high: Float
  var reads: [Int] { [first.value, second.value] }
  var writes: Int? { output }
  func step(_ values: [Value], threads: Int) -> Step {
    let (first, second, output, by, low, high) = (first, second, output, by, low, high)
    let (a, a2, b) = (values[first.value], values[second.value], values[output])
    let (ma, mb) = (first.by.scale / by.scale, second.by.scale / by.scale)
    return Step(label: label, kernel: "add", reads: reads, writes: output, items: { $0 * a.height }) {
      memory, _, items in
      for item in items {
        let (i, y) = (item / a.height, item % a.height)
        for x in 0..<a.width {
          let s = unsafe memory.start(first.value) + i * a.steps.image + y * a.steps.row + x * a.steps.pixel
          let s2 = unsafe memory.start(second.value) + i * a2.steps.image + y * a2.steps.row + x * a2.steps.pixel
          let t = unsafe memory.start(output) + i * b.steps.image + y * b.steps.row + x * b.steps.pixel
          for c in 0..<a.channels {
            let p = unsafe Float(Int((s + c).load(as: UInt8.self)) - Int(first.by.zeroPoint))
            let q = unsafe Float(Int((s2 + c).load(as: UInt8.self)) - Int(second.by.zeroPoint))
            let v = p * ma + q * mb
            unsafe (t + c).storeBytes(
              of: UInt8(min(max(v, low), high).rounded(.toNearestOrEven) + Float(by.zeroPoint)), as: UInt8.self)
          }
        }
      }
    }
  }
}
