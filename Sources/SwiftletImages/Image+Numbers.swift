// SPDX-License-Identifier: Apache-2.0

extension Image {
  /// The order in memory of a picture's numbers.
  public enum Order: Sendable {
    /// Channels × height × width, as most networks take them.
    case planar
    /// Height × width × channels, as pictures store them.
    case interleaved
  }

  /// How pixels become numbers: `(x·scale − mean) / deviation`, in fp32.
  public struct Scaling: Sendable, Hashable {
    /// What pixels, 0 … 255, are multiplied by.
    public let scale: Float
    /// One value for each channel.
    public let mean: [Float]
    /// One value for each channel.
    public let deviation: [Float]

    /// - Precondition: There are as many means as deviations.
    public init(scale: Float, mean: [Float], deviation: [Float]) {
      precondition(
        mean.count == deviation.count, "\(mean.count) means, \(deviation.count) deviations")
      self.scale = scale
      self.mean = mean
      self.deviation = deviation
    }
  }

  /// Writes the numbers of a region into `target`: one picture of an N×C×H×W or N×H×W×C batch.
  ///
  /// Each of the 256 values of a channel is scaled once; the pixels are looked up.
  ///
  /// - Parameters:
  ///   - region: The part to write.
  ///   - target: Room for as many numbers as the region has; all are written.
  ///   - order: The order of the numbers.
  ///   - scaling: A mean and a deviation for each channel of the picture, in its order.
  ///   - reversesChannels: Whether blue comes first: the last channel of the picture is written as
  ///     the first, scaled by its own mean and deviation.
  /// - Precondition: The region lies in the picture, and counts match.
  /// - Complexity: O(pixels of the region).
  public func write(
    _ region: Region, to target: inout MutableSpan<Float>, _ order: Order, scaling: Scaling,
    reversesChannels: Bool = false
  ) {
    let count = channels.rawValue
    precondition(
      scaling.mean.count == count, "\(scaling.mean.count) means for \(count) channels")
    var table = [Float](repeating: 0, count: 256 * count)
    for c in 0..<count {
      for value in 0..<256 {
        table[256 * c + value] =
          (Float(value) * scaling.scale - scaling.mean[c]) / scaling.deviation[c]
      }
    }
    unsafe table.withUnsafeBufferPointer { table in
      write(region, to: &target, order, reversesChannels) { value, channel in
        unsafe table[256 * channel + Int(value)]
      }
    }
  }

  /// Writes the pixels of a region into `target`, unchanged; see
  /// ``write(_:to:_:scaling:reversesChannels:)``.
  public func write(
    _ region: Region, to target: inout MutableSpan<UInt8>, _ order: Order,
    reversesChannels: Bool = false
  ) {
    write(region, to: &target, order, reversesChannels) { value, _ in value }
  }

  @inline(__always)
  private func write<Element: BitwiseCopyable>(
    _ region: Region, to target: inout MutableSpan<Element>, _ order: Order, _ reverses: Bool,
    _ body: (_ value: UInt8, _ channel: Int) -> Element
  ) {
    check(region)
    let count = channels.rawValue
    let (width, height) = (region.size.width, region.size.height)
    precondition(
      target.count == width * height * count,
      "room for \(target.count) numbers, not \(width * height * count)")
    let (across, between) = order == .planar ? (1, width * height) : (count, 1)
    unsafe withPixels { source in
      unsafe target.withUnsafeMutableBufferPointer { target in
        for y in 0..<height {
          let row = unsafe source.baseAddress! + (region.y + y) * rowBytes + region.x * count
          for place in 0..<count {
            let channel = reverses ? count - 1 - place : place
            let out = unsafe target.baseAddress! + place * between + y * width * across
            for x in 0..<width {
              unsafe out[x * across] = body(row[x * count + channel], channel)
            }
          }
        }
      }
    }
  }
}
