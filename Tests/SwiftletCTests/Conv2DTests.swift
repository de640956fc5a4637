// SPDX-License-Identifier: Apache-2.0

import CSwiftletABI
import SwiftletCore
import Testing

struct Conv2DTests {
  private func sizes(groups: Int64 = 1) -> swiftlet_conv2d {
    swiftlet_conv2d(
      struct_size: MemoryLayout<swiftlet_conv2d>.size, batch: 2, channels: 4, height: 6, width: 5,
      filters: 2, kernel_height: 3, kernel_width: 2, stride_height: 2, stride_width: 0,
      dilation_height: 0, dilation_width: 2, pad_top: 1, pad_left: 0, pad_bottom: 2, pad_right: 1,
      groups: groups)
  }

  @Test(arguments: [1, 2] as [Int64], [false, true])
  func asDefined(groups: Int64, hasBias: Bool) {
    var sizes = self.sizes(groups: groups)
    var (height, width): (Int64, Int64) = (0, 0)
    expectOK(swiftlet_conv2d_output(&sizes, &height, &width))
    #expect((height, width) == (4, 4))
    let depth = 4 / Int(groups)
    let x = Memory((0..<240).map { Float(($0 * 7) % 11) - 5 })
    let w = Memory((0..<2 * depth * 6).map { Float(($0 * 5) % 7) - 3 })
    let bias = Memory<Float>([10, -20])
    let y = Memory([Float](repeating: .nan, count: 64))
    expectOK(
      swiftlet_conv2d_f32(
        &sizes, x.start, w.start, hasBias ? UnsafePointer(bias.start) : nil, y.start, 64, 2))
    for n in 0..<2 {
      for f in 0..<2 {
        for i in 0..<4 {
          for j in 0..<4 {
            var sum = hasBias ? bias[f] : 0
            for c in 0..<depth {
              for p in 0..<3 {
                for q in 0..<2 {
                  let (row, column) = (2 * i + p - 1, j + 2 * q)
                  guard 0..<6 ~= row, 0..<5 ~= column else { continue }
                  let channel = groups == 2 ? f * 2 + c : c
                  sum +=
                    x[((n * 4 + channel) * 6 + row) * 5 + column]
                    * w[((f * depth + c) * 3 + p) * 2 + q]
                }
              }
            }
            #expect(y[((n * 2 + f) * 4 + i) * 4 + j] == sum)
          }
        }
      }
    }
  }

  @Test func channelsMayBeNone() {
    var sizes = self.sizes()
    sizes.channels = 0
    let (bias, y) = (Memory<Float>([10, -20]), Memory([Float](repeating: .nan, count: 64)))
    expectOK(swiftlet_conv2d_f32(&sizes, nil, nil, bias.start, y.start, 64, 2))
    for index in 0..<64 { #expect(y[index] == bias[index / 16 % 2]) }
  }

  @Test func mistakesInConvolutionsAreNamed() {
    let (x, w) = (
      Memory([Float](repeating: 0, count: 240)), Memory([Float](repeating: 0, count: 48))
    )
    let y = Memory([Float](repeating: 0, count: 64))
    func run(_ yCount: Int = 64, _ change: (inout swiftlet_conv2d) -> Void = { _ in })
      -> swiftlet_status
    {
      var sizes = self.sizes()
      change(&sizes)
      return swiftlet_conv2d_f32(&sizes, x.start, w.start, nil, y.start, yCount, 1)
    }
    expectOK(run())
    expect(run(63), SWIFTLET_USAGE, "y_count is 63")
    expect(run { $0.struct_size = 8 }, SWIFTLET_USAGE, "sizeof")
    expect(run { $0.groups = 3 }, SWIFTLET_USAGE, "3 groups")
    expect(run { $0.stride_width = -1 }, SWIFTLET_USAGE, "stride_width")
    expect(run { $0.kernel_width = 0 }, SWIFTLET_USAGE, "kernel_width")
    expect(run { $0.batch = .max }, SWIFTLET_UNSUPPORTED, "batch")
    expect(run { $0.kernel_height = 100 }, SWIFTLET_BAD_INPUT, "")
    // Extents that fit one by one, with products that do not.
    let most = Int64(Int32.max)
    let changes: [(inout swiftlet_conv2d) -> Void] = [
      {
        $0.height = most
        $0.width = most
        $0.channels = most
      },
      {
        $0.channels = 0
        $0.batch = most
        $0.filters = most
        $0.pad_top = most
        $0.pad_left = most
      },
      {
        $0.kernel_height = most
        $0.kernel_width = most
        $0.filters = most
      },
      {
        $0.kernel_height = most
        $0.dilation_height = most
        $0.pad_top = most
      },
      {
        $0.filters = most
        $0.batch = most
        $0.height = 3
        $0.width = 3
      },
    ]
    for change in changes {
      let status = run(64, change)
      #expect(status != SWIFTLET_OK && status != SWIFTLET_INTERNAL, "\(lastError)")
    }
    expect(swiftlet_conv2d_output(nil, nil, nil), SWIFTLET_USAGE, "sizes is NULL")
    var sizes = self.sizes()
    expect(
      swiftlet_conv2d_f32(&sizes, x.start, w.start, nil, x.start + 8, 64, 1), SWIFTLET_USAGE,
      "overlap")
    expect(
      swiftlet_conv2d_f32(&sizes, nil, w.start, nil, y.start, 64, 1), SWIFTLET_USAGE,
      "x is NULL")
  }
}
