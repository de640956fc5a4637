// SPDX-License-Identifier: Apache-2.0

import SwiftletImages

/// Preprocessing as a file or another tool's metadata describe it. The model determines what they
/// leave out, or it is guessed.
struct PreprocessingPlan {
  /// The file, for errors.
  var file: String?
  /// What a picture is resized to before its center is cropped.
  enum Resizing {
    /// Not resized.
    case none
    /// To a size, whatever the proportions.
    case exact(Extent)
    /// The shorter side.
    case shorter(Extent)
    /// To fit into a size, with its proportions.
    case letterbox(Extent)
  }

  /// The extent to resize to.
  enum Extent {
    /// The model's size.
    case model
    /// A number of pixels: of the shorter side, or of both sides.
    case side(Int)
    case box(Image.Size)
    /// The model's size divided by the fraction of the picture that is cropped, rounded down.
    case cropping(Double)
  }

  /// The size of the model's input, and the key that specifies it.
  var size: (extent: Image.Size, key: String)?
  /// The number of channels, and the key that specifies it.
  var channels: (count: Int, key: String)?
  var resizing: Resizing?
  var interpolation = Interpolation.bilinear
  var antialias: Bool?
  var cropRounding = Preprocessing.CropRounding.even
  /// A value for each channel, or one for all.
  var border: [UInt8]?
  var colours: Preprocessing.Colours?
  var layout: Preprocessing.Layout?
  /// One mean and deviation for each channel of the input, or one for all.
  var numbers: Preprocessing.Numbers?
  /// Whether inputs of integers get pixels as they are where ``numbers`` do not fit them: files of
  /// other tools describe the model before its normalization was built in.
  var yieldsToIntegers = false
}

extension PreprocessingPlan.Extent {
  /// The side in pixels for an input with sides of `own` pixels.
  func side(_ own: Int) -> Int? {
    switch self {
    case .model: own
    case .side(let side): side
    case .box: nil
    case .cropping(let fraction): Int(Double(own) / fraction)
    }
  }

  /// The box, if it is not the model's size.
  func box(_ own: Image.Size) -> Image.Size? {
    let box: Image.Size
    switch self {
    case .model: return nil
    case .side(let side): box = Image.Size(width: side, height: side)
    case .box(let size): box = size
    case .cropping(let fraction):
      box = Image.Size(
        width: Int(Double(own.width) / fraction), height: Int(Double(own.height) / fraction))
    }
    return box == own ? nil : box
  }
}
