// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore
public import SwiftletImages

/// The conversion of pixels to a model's input. Stored in the model's metadata, so that later users
/// of the model prepare images as in training.
///
/// A picture is resized (``fit``, ``interpolation``), its center is cropped or gets a border, and
/// its pixels become numbers: `(pixel · scale − mean) / deviation`.
public struct Preprocessing: Sendable, Equatable {
  /// How an image of another size is fitted.
  public enum Fit: String, Sendable, Codable {
    /// Not resized: centred, with a border where it is smaller.
    case pad
    /// Resized to the model's size or to ``box``, whatever the proportions.
    case resize
    /// The shorter side is resized to ``shorterSide``, and the center is cropped, as by
    /// torchvision's `Resize` and `CenterCrop`.
    case crop
    /// Resized, with its proportions, to fit into the model's size or into ``box``, and centred in
    /// a border, as YOLO models are fed.
    case letterbox
  }

  /// The order of a pixel's colours in the model's input.
  public enum Colours: String, Sendable, CaseIterable {
    /// Red, green, blue.
    case rgb
    /// Blue, green, red, as OpenCV and Caffe have them.
    case bgr
  }

  /// The order of the axes of the model's input.
  public enum Layout: String, Sendable, CaseIterable {
    /// N×C×H×W, as PyTorch exports models.
    case planar = "nchw"
    /// N×H×W×C, as TensorFlow does.
    case interleaved = "nhwc"
  }

  /// What is cropped from the center if the margin is odd.
  public enum CropRounding: String, Sendable, CaseIterable {
    /// The offset is rounded to the even neighbor, as torchvision's `CenterCrop` does.
    case even
    /// The offset is rounded down, as Hugging Face's image processors do.
    case down
  }

  /// Channels of the input: those of the images, or any number for grey ones.
  public let channels: Int
  /// Height of the input, in pixels.
  public let height: Int
  /// Width of the input, in pixels.
  public let width: Int
  /// How images of another size are fitted.
  public let fit: Fit
  /// With `crop`, what the shorter side becomes, in pixels; at least ``height`` and ``width``.
  public let shorterSide: Int?
  /// With `resize` and `letterbox`, the size before the center is cropped; `nil`: the model's.
  public let box: Image.Size?
  /// How pixels are interpolated.
  public let interpolation: Interpolation
  /// Whether all pixels count when a picture shrinks. `nil`: those of pictures in files do; images
  /// in memory that are resized are interpolated linearly between their nearest pixels, without
  /// rounding to 8 bits.
  public let antialias: Bool?
  /// What is cropped if the margin is odd.
  public let cropRounding: CropRounding
  /// The colour of the border: a value for each channel, red first; `nil`: black.
  public let border: [UInt8]?
  /// The order of colours in the input.
  public let colours: Colours
  /// The order of axes of the input.
  public let layout: Layout
  /// What pixels, 0…255, are multiplied by.
  public let scale: Float
  /// Per channel of the input, in its order: input = (pixel · scale − mean) / deviation.
  public let mean: [Float]
  /// Per channel, as ``mean``; not 0.
  public let deviation: [Float]

  /// The usual ``scale``: pixels are divided by 255.
  public static let unitScale: Float = 1 / 255

  /// Preprocessing that is known.
  ///
  /// - Throws: `badInput` if sizes are not 1 to 16384, if there is not a finite mean and a
  ///   deviation above 0 for each channel, if the scale is not above 0, if a shorter side, at least
  ///   the height and the width, is missing with `crop` or given without, if a box is smaller than
  ///   the input or given with `crop` or `pad`, if the border does not have a value for each
  ///   channel, or if there are not three channels to reverse.
  public init(
    channels: Int, height: Int, width: Int, fit: Fit, shorterSide: Int? = nil,
    box: Image.Size? = nil, interpolation: Interpolation = .bilinear, antialias: Bool? = nil,
    cropRounding: CropRounding = .even, border: [UInt8]? = nil, colours: Colours = .rgb,
    layout: Layout = .planar, scale: Float = Preprocessing.unitScale, mean: [Float],
    deviation: [Float]
  ) throws {
    (self.channels, self.height, self.width) = (channels, height, width)
    (self.fit, self.shorterSide, self.box) = (fit, shorterSide, box)
    (self.interpolation, self.antialias) = (interpolation, antialias)
    (self.cropRounding, self.border) = (cropRounding, border)
    (self.colours, self.layout) = (colours, layout)
    (self.scale, self.mean, self.deviation) = (scale, mean, deviation)
    guard isSound else {
      throw SwiftletError(.badInput, "such preprocessing is not possible: \(summary)")
    }
  }

  private var isSound: Bool {
    let limit = 1 << 14
    let isSized = [channels, height, width].allSatisfy { 1...limit ~= $0 }
    let isScaled =
      mean.count == channels && deviation.count == channels
      && (mean + deviation).allSatisfy(\.isFinite) && deviation.allSatisfy { $0 > 0 }
      && scale.isFinite && scale > 0
    let isCropped =
      (fit == .crop) == (shorterSide != nil)
      && (shorterSide.map { max(height, width)...limit ~= $0 } ?? true)
    let isBoxed =
      box.map {
        (fit == .resize || fit == .letterbox) && width...limit ~= $0.width
          && height...limit ~= $0.height
      } ?? true
    return isSized && isScaled && isCropped && isBoxed
      && (border.map { $0.count == channels } ?? true) && (colours == .rgb || channels == 3)
  }

  /// The shape of a batch, in the order of ``layout``.
  public func shape(batch: Int) -> Shape {
    Self.shape(layout, batch, channels, height, width)
  }

  static func shape(
    _ layout: Layout, _ batch: Int, _ channels: Int, _ height: Int, _ width: Int
  ) -> Shape {
    switch layout {
    case .planar: [batch, channels, height, width]
    case .interleaved: [batch, height, width, channels]
    }
  }

  /// A pixel's value, multiplied by ``scale``: divided by 255 as torchvision's `ToTensor` does,
  /// which may differ in the last bit from a product with 1/255.
  func scaled(_ pixel: Float) -> Float {
    scale == Self.unitScale ? pixel / 255 : pixel * scale
  }

  /// Whether images in memory become inputs directly, not as pictures: of any number of channels.
  var isDirect: Bool {
    switch fit {
    case .pad: cropRounding == .even
    case .resize: box == nil && interpolation == .bilinear && antialias == nil
    case .crop, .letterbox: false
    }
  }

  /// What decides the pixels of a picture in the model's size.
  var geometry: Geometry {
    Geometry(
      channels: channels, height: height, width: width, fit: fit, shorterSide: shorterSide,
      box: box, interpolation: interpolation, antialias: antialias ?? true,
      cropRounding: cropRounding, border: border)
  }

  struct Geometry: Hashable {
    let channels, height, width: Int
    let fit: Fit
    let shorterSide: Int?
    let box: Image.Size?
    let interpolation: Interpolation
    let antialias: Bool
    let cropRounding: CropRounding
    let border: [UInt8]?
  }
}

extension ImageDataset {
  /// Channels, height and width of every image; `nil` for pictures in files, which differ.
  package var imageExtents: (channels: Int, height: Int, width: Int)? {
    switch pixels {
    case .packed(let images): (images.shape[1], images.shape[2], images.shape[3])
    case .stored(let images): images.extents
    case .files, .arrays: nil
    }
  }
}
