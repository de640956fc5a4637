// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletFiles

extension Image {
  /// How to decode a picture.
  public struct DecodingOptions: Sendable, Hashable {
    /// The channels of the result; `nil` for grey or RGB, as the file has it, without opacity.
    public var channels: Channels?
    /// Whether the picture is turned as its EXIF data ask for.
    public var appliesOrientation: Bool
    /// If given, a JPEG is decoded at the least of an eighth, a quarter, a half and all of its size
    /// that is not below this in width or height: much faster, with other pixels than resizing
    /// gives, those of Pillow's `draft`.
    public var sufficientSize: Size?
    /// The largest area. It is compared with the file's header before anything is allocated.
    public var maximumPixels: Int

    /// Options that read the whole picture with the channels of the file.
    public init(
      channels: Channels? = nil, appliesOrientation: Bool = true, sufficientSize: Size? = nil,
      maximumPixels: Int = Image.maximumPixels
    ) {
      self.channels = channels
      self.appliesOrientation = appliesOrientation
      self.sufficientSize = sufficientSize
      self.maximumPixels = maximumPixels
    }
  }

  /// The area that is refused unless options say otherwise: more than 178 956 970 pixels, as Pillow
  /// does, or more than `MemoryLimit.bytes` has room for.
  public static var maximumPixels: Int {
    min(178_956_970, MemoryLimit.bytes / PictureSource.bytesPerPixel)
  }

  /// Reads a picture from a file: JPEG, PNG, WebP or BMP, whatever its name. Of an animated WebP it
  /// is the first picture.
  ///
  /// Pixels equal Pillow's: 16-bit channels become 8-bit ones, palettes colours, and CMYK RGB as
  /// Pillow does it, without colour profiles. docs/images.md has the details.
  ///
  /// - Throws: `io` if the file cannot be read; `badInput` naming the file if it is none of these,
  ///   is damaged, or has more pixels than allowed; `unsupported` for features that are not
  ///   supported, and for all but BMP in a build without the trait `Images`; `outOfMemory` if the
  ///   machine has no memory for it.
  public init(reading path: String, _ options: DecodingOptions = DecodingOptions()) throws {
    try self.init(decoding: try InputFile.read(path), file: path, options)
  }

  /// As ``init(reading:_:)``, from the bytes of a file; `file` is its name for errors.
  public init(
    decoding bytes: [UInt8], file: String, _ options: DecodingOptions = DecodingOptions()
  ) throws {
    let source = PictureSource(bytes: bytes, file: file, options: options)
    let (image, orientation) = try source.decode()
    self = options.appliesOrientation ? image.rearranged(orientation) : image
  }
}

/// The bytes of a picture, and what is wanted of it.
struct PictureSource {
  let bytes: [UInt8]
  let file: String
  let options: Image.DecodingOptions

  /// What decoding takes at most: RGBA, and three 16-bit coefficients of a progressive JPEG.
  static let bytesPerPixel = 10

  /// The picture as it is stored, with the channels that are wanted, and how to turn it.
  fileprivate func decode() throws -> (Image, Orientation) {
    switch try format() {
    case .jpeg: try JPEG.decode(self)
    case .png: try PNG.decode(self)
    case .webp: try WebP.decode(self)
    case .bmp: (try BMP.decode(self), .upright)
    }
  }

  private enum Format { case jpeg, png, webp, bmp }

  private func format() throws -> Format {
    guard !bytes.isEmpty else { throw SwiftletError(.badInput, "the file is empty", at: file) }
    if begins(with: [0xFF, 0xD8, 0xFF]) { return .jpeg }
    if begins(with: [0x89] + Array("PNG\r\n\u{1A}\n".utf8)) { return .png }
    if begins(with: Array("RIFF".utf8)), begins(with: Array("WEBP".utf8), at: 8) { return .webp }
    if begins(with: Array("BM".utf8)) { return .bmp }
    let others = [
      ("GIF8", 0, "GIF"), ("II*\0", 0, "TIFF"), ("MM\0*", 0, "TIFF"), ("ftypavif", 4, "AVIF"),
      ("ftypheic", 4, "HEIC"), ("\0\0\0\u{0C}jP  ", 0, "JPEG 2000"),
    ]
    for (magic, offset, name) in others where begins(with: Array(magic.utf8), at: offset) {
      throw SwiftletError(
        .unsupported, "\(name) pictures are not supported", at: file,
        fix: "convert it to JPEG, PNG, WebP or BMP")
    }
    throw SwiftletError(
      .badInput, "this is not a picture in a known format", at: file,
      fix: "give JPEG, PNG, WebP or BMP")
  }

  private func begins(with magic: [UInt8], at offset: Int = 0) -> Bool {
    bytes.dropFirst(offset).starts(with: magic)
  }

  /// Checks the size in a header.
  ///
  /// - Throws: `badInput` if it is empty or more than allowed; `outOfMemory` if the machine has not
  ///   the memory.
  func check(_ size: Image.Size) throws {
    guard size.width > 0, size.height > 0 else { throw damaged("its size is \(size)") }
    guard size.area <= options.maximumPixels else {
      throw SwiftletError(
        .badInput,
        "a picture of \(size) pixels exceeds the limit of \(options.maximumPixels) pixels",
        at: file, fix: "make it smaller")
    }
    try locating(file) {
      try MemoryLimit.requireAvailable(
        Double(size.area) * Double(Self.bytesPerPixel), for: "a picture of \(size) pixels")
    }
  }

  /// The error for a picture that cannot be decoded.
  func damaged(_ why: String) -> SwiftletError {
    SwiftletError(
      .badInput, "the picture is damaged: \(why)", at: file, fix: "get a fresh copy")
  }

  /// The error for a picture whose decoder lacks memory.
  var exhausted: SwiftletError {
    SwiftletError(
      .outOfMemory, "not enough memory to decode the picture", at: file,
      fix: "use a machine with more memory")
  }

  /// The error for a picture that uses what we cannot decode.
  func unsupported(_ what: String) -> SwiftletError {
    SwiftletError(
      .unsupported, "\(what) is not supported", at: file, fix: "convert the picture to PNG")
  }

  /// The error for a format whose library was left out of the build.
  func leftOut(_ format: String) -> SwiftletError {
    SwiftletError(
      .unsupported, "this build cannot decode \(format)", at: file,
      fix: "build with the trait Images")
  }
}
