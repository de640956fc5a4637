// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletKernels
import Testing

/// Ways into channels-last and out of it, with and without gaps.
struct LayoutKernelTests {
  private struct Case {
    var channels, width, height, gapX, gapY: Int
    var x: Int { channels + gapX }
    var y: Int { width * x + gapY }
    var count: Int { channels * width * height }

    func geometry(bytes: Int) -> PlanesGeometry {
      PlanesGeometry(
        channels: channels, width: width, height: height, x: x * bytes, y: y * bytes)
    }

    /// Calls `body` with the offsets of each element on both sides.
    func visit(_ body: (_ plane: Int, _ pixel: Int) -> Void) {
      for c in 0..<channels {
        for row in 0..<height {
          for column in 0..<width {
            body((c * height + row) * width + column, row * y + column * x + c)
          }
        }
      }
    }
  }

  private static let cases: [Case] = {
    var cases: [Case] = []
    for channels in Array(1...67) + [131] {
      for (width, height) in [(1, 1), (1 + channels % 9, 3), (16, 2), (37, 1), (7, 7)] {
        cases.append(Case(channels: channels, width: width, height: height, gapX: 0, gapY: 0))
        cases.append(Case(channels: channels, width: width, height: height, gapX: 0, gapY: 5))
        cases.append(Case(channels: channels, width: width, height: height, gapX: 3, gapY: 1))
      }
    }
    return cases
  }()

  @Test func fp32() {
    var numbers = Numbers(seed: 21)
    for layout in Self.cases {
      let x = numbers.floats(layout.count, special: [.nan, .infinity])
      let geometry = layout.geometry(bytes: 4)
      let (top, bottom) = (0..<layout.height / 2, layout.height / 2..<layout.height)
      for kernel in PointwiseKernel.supported {
        var pixels = GuardedBytes(count: 4 * layout.height * layout.y)
        var planes = GuardedBytes(count: 4 * layout.count)
        unsafe x.withUnsafeBytes { x in
          unsafe pixels.withPointer { pixels in
            for rows in [top, bottom] {
              unsafe kernel.planesToPixelsF32(
                geometry, from: x.baseAddress!, to: pixels, rows: rows)
            }
            unsafe planes.withPointer { planes in
              for rows in [bottom, top] {
                unsafe kernel.pixelsToPlanesF32(
                  geometry, from: pixels, to: planes, rows: rows)
              }
            }
          }
        }
        var wrong = 0
        layout.visit { plane, pixel in
          if !same(pixels.takeFloat(at: 4 * pixel), x[plane]) { wrong += 1 }
          if !same(planes.takeFloat(at: 4 * plane), x[plane]) { wrong += 1 }
        }
        #expect(wrong == 0, "\(kernel.name): \(layout)")
        #expect(pixels.isUntouched && planes.isUntouched, "\(kernel.name): \(layout)")
      }
    }
  }

  @Test func u8() {
    var numbers = Numbers(seed: 22)
    let zeroPoint: Int32 = 131
    for layout in Self.cases {
      let x = numbers.floats(
        layout.count, special: [.nan, .infinity, -.infinity, 1e30, -1e30, 0.025, -0.075])
      let scale: Float = layout.width % 2 == 0 ? 0.05 : 1e-30
      let geometry = layout.geometry(bytes: 1)
      let (top, bottom) = (0..<layout.height / 2, layout.height / 2..<layout.height)
      for kernel in PointwiseKernel.supported {
        var pixels = GuardedBytes(count: layout.height * layout.y)
        var planes = GuardedBytes(count: 4 * layout.count)
        unsafe x.withUnsafeBytes { x in
          unsafe pixels.withPointer { pixels in
            for rows in [top, bottom] {
              unsafe kernel.planesToPixelsU8(
                geometry, scale: scale, zeroPoint: zeroPoint, from: x.baseAddress!, to: pixels,
                rows: rows)
            }
            unsafe planes.withPointer { planes in
              for rows in [bottom, top] {
                unsafe kernel.pixelsU8ToPlanes(
                  geometry, scale: scale, zeroPoint: zeroPoint, from: pixels, to: planes,
                  rows: rows)
              }
            }
          }
        }
        var wrong = 0
        layout.visit { plane, pixel in
          let quotient = x[plane] / scale
          let rounded = min(max(quotient.isNaN ? 0 : quotient, -1e6), 1e6)
            .rounded(.toNearestOrEven)
          let q = min(max(Int32(rounded) + zeroPoint, 0), 255)
          if Int32(pixels.takeByte(at: pixel)) != q { wrong += 1 }
          if planes.takeFloat(at: 4 * plane) != Float(q - zeroPoint) * scale { wrong += 1 }
        }
        #expect(wrong == 0, "\(kernel.name): \(layout)")
        #expect(pixels.isUntouched && planes.isUntouched, "\(kernel.name): \(layout)")
      }
    }
  }
}
