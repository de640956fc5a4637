// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletFiles
public import SwiftletImages

/// Pictures of any size in files, decoded when they are needed: memory does not grow with their
/// number.
public struct ImageFiles: Sendable {
  /// The path of each picture.
  public let paths: [String]

  /// Pictures at these paths; nothing is read.
  public init(_ paths: [String]) { self.paths = paths }

  /// Decodes a picture.
  ///
  /// - Parameters:
  ///   - index: The position among ``paths``.
  ///   - channels: Grey or RGB.
  /// - Throws: As `Image.init(reading:_:)`, naming the file.
  public func image(at index: Int, _ channels: Image.Channels) throws -> Image {
    try Self.advising {
      try Image(reading: paths[index], Image.DecodingOptions(channels: channels))
    }
  }

  /// The bytes of a picture's file.
  ///
  /// - Throws: As `InputFile.read(_:limit:)`.
  func bytes(at index: Int) throws -> [UInt8] {
    try Self.advising { try InputFile.read(paths[index]) }
  }

  /// Why a picture cannot be decoded; `nil` if it can.
  ///
  /// - Throws: `outOfMemory`, which says nothing about the picture.
  func damage(at index: Int) throws -> SwiftletError? {
    do {
      _ = try Image(reading: paths[index], Image.DecodingOptions(channels: .rgb))
      return nil
    } catch let error as SwiftletError where Self.codesOfDamage.contains(error.code) {
      return error
    }
  }

  private static let codesOfDamage: [SwiftletError.Code] = [.badInput, .unsupported, .io]

  /// Adds to errors of pictures how to do without them.
  private static func advising<Result>(_ body: () throws -> Result) throws -> Result {
    do { return try body() } catch let error as SwiftletError
      where codesOfDamage.contains(error.code)
    {
      throw SwiftletError(
        error.code, error.what, at: error.location,
        fix: (error.fix.map { "\($0), or " } ?? "")
          + "leave out such pictures with --skip-damaged")
    }
  }

  /// Endings of the names of files that hold pictures, in lower case.
  private static let endings = ["jpg", "jpeg", "png", "webp", "bmp"]
  /// Those of formats that are not decoded. Leaving such files out would go unnoticed.
  private static let otherEndings = [
    "gif", "tif", "tiff", "avif", "heic", "heif", "jp2", "jxl", "ppm", "pgm", "pbm", "pnm",
  ]

  /// Whether a file holds a picture, by its name.
  ///
  /// - Parameter isLenient: Whether pictures in formats that are not decoded count.
  /// - Throws: `unsupported` for such pictures otherwise.
  static func isPicture(_ path: String, isLenient: Bool) throws -> Bool {
    let ending = ending(of: path)
    guard otherEndings.contains(ending) else { return endings.contains(ending) }
    guard isLenient else {
      throw SwiftletError(
        .unsupported, "\(ending.uppercased()) pictures are not supported", at: path,
        fix: "convert it to JPEG, PNG, WebP or BMP, move it out of the folder, or leave out such "
          + "pictures with --skip-damaged")
    }
    return true
  }

  /// Whether a file has the name of a picture in a format that is decoded.
  static func isNamedAsPicture(_ path: String) -> Bool { endings.contains(ending(of: path)) }

  /// In lower case; empty without one.
  private static func ending(of path: String) -> String {
    guard let dot = path.lastIndex(of: "."), !path[dot...].contains("/") else { return "" }
    return path[dot...].dropFirst().lowercased()
  }
}
