// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
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
    try Image(reading: paths[index], Image.DecodingOptions(channels: channels))
  }

  /// Endings of the names of files that hold pictures, in lower case.
  static let endings = ["jpg", "jpeg", "png", "webp", "bmp"]
  /// Those of formats that are not decoded. Leaving such files out would go unnoticed.
  private static let otherEndings = [
    "gif", "tif", "tiff", "avif", "heic", "heif", "jp2", "jxl", "ppm", "pgm", "pbm", "pnm",
  ]

  /// Whether a file holds a picture, by its name.
  ///
  /// - Throws: `unsupported` for pictures in other formats.
  static func isPicture(_ path: String) throws -> Bool {
    guard let dot = path.lastIndex(of: "."), !path[dot...].contains("/") else { return false }
    let ending = path[dot...].dropFirst().lowercased()
    guard !otherEndings.contains(ending) else {
      throw SwiftletError(
        .unsupported, "\(ending.uppercased()) pictures are not supported", at: path,
        fix: "convert it to JPEG, PNG, WebP or BMP, or move it out of the folder")
    }
    return endings.contains(ending)
  }
}
