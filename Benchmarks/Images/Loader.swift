// SPDX-License-Identifier: Apache-2.0

import Swiftlet
import Synchronization

/// Reads pictures on several threads, each into a batch of its own.
struct Loader {
  let paths: [String]
  let size: Image.Size
  let isScaled: Bool
  let isFloat: Bool

  private static let batch = 32
  private static let scaling = Image.Scaling(
    scale: 1 / 255, mean: [0.485, 0.456, 0.406], deviation: [0.229, 0.224, 0.225])

  /// Pictures per second.
  func run(threads: Int, seconds: Double) -> Double {
    let next = Atomic(0)
    let clock = ContinuousClock()
    let start = clock.now
    let end = start.advanced(by: .seconds(seconds))
    let isAlone = Threads(count: threads).together { _ in
      let length = 3 * size.width * size.height
      var bytes = [UInt8](repeating: 0, count: isFloat ? 0 : Self.batch * length)
      var numbers = [Float](repeating: 0, count: isFloat ? Self.batch * length : 0)
      while clock.now < end {
        let index = next.add(1, ordering: .relaxed).oldValue
        let image = picture(paths[index % paths.count])
        let place = index % Self.batch * length
        if isFloat {
          var all = numbers.mutableSpan
          var part = all.part(place..<place + length)
          image.write(image.bounds, to: &part, .planar, scaling: Self.scaling)
        } else {
          var all = bytes.mutableSpan
          var part = all.part(place..<place + length)
          image.write(image.bounds, to: &part, .interleaved)
        }
      }
    }
    precondition(isAlone)
    return Double(next.load(ordering: .relaxed)) / ((clock.now - start) / .seconds(1))
  }

  private func picture(_ path: String) -> Image {
    let options = Image.DecodingOptions(channels: .rgb, sufficientSize: isScaled ? size : nil)
    do {
      return try Image(reading: path, options).resized(to: size)
    } catch {
      fatalError("\(error)")
    }
  }
}
