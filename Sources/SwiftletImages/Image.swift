// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore

/// A picture: rows from top to bottom, pixels from left to right, 8 bits per channel.
public struct Image: Sendable, Equatable {
  /// What a pixel consists of; the raw value is the number of bytes.
  public enum Channels: Int, Sendable, CaseIterable {
    /// Brightness.
    case grey = 1
    /// Red, green, blue.
    case rgb = 3
    /// Red, green, blue, and opacity, with which the colours are not multiplied.
    case rgba = 4
  }

  /// A width and a height, in pixels.
  public struct Size: Sendable, Hashable, CustomStringConvertible {
    /// Pixels from left to right.
    public let width: Int
    /// Pixels from top to bottom.
    public let height: Int

    /// A size, which pictures can have if both are positive.
    public init(width: Int, height: Int) {
      self.width = width
      self.height = height
    }

    /// `640×480`: the width comes first.
    public var description: String { "\(width)×\(height)" }

    /// The number of pixels; `Int.max` if it overflows.
    package var area: Int {
      let (product, overflow) = width.multipliedReportingOverflow(by: height)
      return overflow ? .max : product
    }

    /// Width and height exchanged.
    package var transposed: Size { Size(width: height, height: width) }
  }

  /// A part of a picture, in pixels from its upper left corner.
  public struct Region: Sendable, Hashable {
    /// The first column.
    public let x: Int
    /// The first row.
    public let y: Int
    /// The width and the height of the part.
    public let size: Size

    /// A part, which a picture can have if it lies in the picture.
    public init(x: Int, y: Int, size: Size) {
      self.x = x
      self.y = y
      self.size = size
    }
  }

  /// What the pixels consist of.
  public let channels: Channels
  /// The pixels, height × width × channels.
  public private(set) var pixels: Tensor<UInt8>

  /// A picture of given pixels.
  ///
  /// - Precondition: `pixels` has the shape height × width × channels with 1, 3 or 4 channels, and
  ///   is not empty.
  public init(_ pixels: Tensor<UInt8>) {
    let shape = pixels.shape
    guard shape.rank == 3, shape.count > 0, let channels = Channels(rawValue: shape[2]) else {
      preconditionFailure("\(shape) is not the shape of a picture")
    }
    self.channels = channels
    self.pixels = pixels.contiguous()
  }

  /// A picture whose pixels are about to be written.
  ///
  /// - Precondition: The size is not empty.
  init(uninitialized size: Size, _ channels: Channels) {
    precondition(size.width > 0 && size.height > 0, "a picture of \(size) pixels")
    self.channels = channels
    pixels = Tensor(uninitialized: [size.height, size.width, channels.rawValue])
  }

  /// Pixels from left to right.
  public var width: Int { pixels.shape[1] }
  /// Pixels from top to bottom.
  public var height: Int { pixels.shape[0] }
  /// Width and height.
  public var size: Size { Size(width: width, height: height) }
  /// All of the picture.
  public var bounds: Region { Region(x: 0, y: 0, size: size) }

  /// The number of bytes in a row.
  var rowBytes: Int { width * channels.rawValue }

  /// Passes the pixels to `body` for writing.
  ///
  /// The pointer is valid during the call, and what it points to is the picture's own.
  mutating func withMutablePixels<R>(
    _ body: (UnsafeMutableBufferPointer<UInt8>) throws -> R
  ) rethrows -> R {
    var span = pixels.mutableSpan
    return unsafe try span.withUnsafeMutableBufferPointer { unsafe try body($0) }
  }

  /// Passes the pixels to `body`.
  func withPixels<R>(_ body: (UnsafeBufferPointer<UInt8>) throws -> R) rethrows -> R {
    unsafe try pixels.span.withUnsafeBufferPointer { unsafe try body($0) }
  }
}
