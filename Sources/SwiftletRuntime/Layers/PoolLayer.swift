import SwiftletCore
import SwiftletGraph
import SwiftletKernels

struct PoolLayer: Layer {
  let label: String
  let input, output: Int
  let place: SlidingWindow.Placement
  let operation: Operation

  enum Operation: Sendable {
    case max
    case average(includesPadding: Bool)
    case averageBytes(includesPadding: Bool, from: Lowering.Quantized, to: Lowering.Quantized)
  }

  var reads: [Int] { [input] }
  var writes: Int? { output }

  func step(_ values: [Value], threads: Int) -> Step {
    let (input, output, place, operation) = (input, output, place, operation)
    let (a, b) = (values[input], values[output])
    return Step(label: label, kernel: "pool", reads: reads, writes: output, items: { $0 * b.height }) {
      memory, _, items in
      for item in items {
        let (i, y) = (item / b.height, item % b.height)
        for x in 0..<b.width {
          for c in 0..<b.channels {
            var best = -Float.infinity
            var sum: Float = 0
            var n = 0
            for ky in 0..<place.height.kernel {
              let yy = y * place.height.stride - place.height.before + ky * place.height.dilation
              guard 0..<a.height ~= yy else { continue }
              for kx in 0..<place.width.kernel {
                let xx = x * place.width.stride - place.width.before + kx * place.width.dilation
                guard 0..<a.width ~= xx else { continue }
                let p = unsafe memory.start(input) + i * a.steps.image + yy * a.steps.row + xx * a.steps.pixel + c * a.elementSize
                let v = unsafe a.kind == .float ? p.load(as: Float.self) : Float(p.load(as: UInt8.self))
                best = max(best, v)
                sum += v
                n += 1
              }
            }
            let t = unsafe memory.start(output) + i * b.steps.image + y * b.steps.row + x * b.steps.pixel + c * b.elementSize
            switch operation {
            case .max:
              if a.kind == .float { unsafe t.storeBytes(of: best, as: Float.self) }
              else { unsafe t.storeBytes(of: UInt8(best), as: UInt8.self) }
            case .average: unsafe t.storeBytes(of: sum / Float(n), as: Float.self)
            case .averageBytes(_, let from, let to):
              let v = (sum - Float(n * Int(from.zeroPoint))) * (from.scale / (to.scale * Float(n)))
              unsafe t.storeBytes(of: UInt8(min(max(v.rounded(.toNearestOrEven) + Float(to.zeroPoint), 0), 255)), as: UInt8.self)
            }
          }
        }
      }
    }
  }
}
