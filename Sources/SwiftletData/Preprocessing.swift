// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import OrderedCollections
public import SwiftletCore
public import SwiftletGraph

/// The conversion of pixels to a model's input. Stored in the model's metadata, so that later users
/// of the model prepare images as in training.
public struct Preprocessing: Sendable, Codable, Equatable {
  /// How an image of another size is fitted.
  public enum Fit: String, Sendable, Codable {
    /// Centred, with a black border.
    case pad
    /// Bilinear interpolation: of pictures in files with antialiasing, of images in memory between
    /// the nearest pixels, as ever.
    case resize
    /// The shorter side is resized to ``shorterSide``, and the center is cropped, as by
    /// torchvision's `Resize` and `CenterCrop`.
    case crop
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
  /// Per channel: input = (pixel / 255 − mean) / deviation.
  public let mean: [Float]
  /// Per channel, as ``mean``; not 0.
  public let deviation: [Float]

  /// The scaling of pixels, by name.
  public enum Scaling: String, Sendable, CaseIterable {
    /// By ImageNet's means and deviations; if there are not three channels, as ``half``.
    case imagenet
    /// To −1…1.
    case half
    /// To 0…1.
    case unit
    /// Unscaled, 0…255.
    case raw

    fileprivate func numbers(channels: Int) -> (mean: [Float], deviation: [Float]) {
      func all(_ mean: Float, _ deviation: Float) -> (mean: [Float], deviation: [Float]) {
        ([Float](repeating: mean, count: channels), [Float](repeating: deviation, count: channels))
      }
      return switch self {
      case .imagenet where channels == 3: Preprocessing.imageNet
      case .imagenet, .half: all(0.5, 0.5)
      case .unit: all(0, 1)
      case .raw: all(0, 1 / 255)
      }
    }
  }

  /// Sides up to this show whole pictures: nothing is cut off.
  private static let thumbnail = 96
  /// The height and width of pictures in files for models that take any.
  private static let usualExtent = 224

  /// The key in the model's metadata.
  public static let metadataKey = "swiftlet.preprocessing"

  /// ImageNet's means and deviations, in the order red, green, blue.
  static let imageNet: (mean: [Float], deviation: [Float]) = (
    [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
  )

  /// Preprocessing that is known.
  ///
  /// - Throws: `badInput` if sizes are not 1 to 16384, if there is not a finite mean and a
  ///   deviation above 0 for each channel, or if a shorter side, at least the height and the width,
  ///   is missing with `crop` or given without.
  public init(
    channels: Int, height: Int, width: Int, fit: Fit, shorterSide: Int? = nil, mean: [Float],
    deviation: [Float]
  ) throws {
    self.channels = channels
    self.height = height
    self.width = width
    self.fit = fit
    self.shorterSide = shorterSide
    self.mean = mean
    self.deviation = deviation
    guard isSound else {
      throw SwiftletError(.badInput, "such preprocessing is not possible: \(summary)")
    }
  }

  /// The preprocessing that suits a model's input and a data set's images.
  ///
  /// Of images in memory, small differences in size are padded, large ones interpolated. Pictures
  /// in files lose an eighth of their shorter side around the middle, as most networks for
  /// ImageNet are evaluated, if the model takes squares larger than thumbnails; else they are
  /// interpolated. Open extents are those of the graph's `extents`, otherwise the images', or 224
  /// for pictures in files.
  ///
  /// - Throws: `unsupported` if the model's input is not one batch of images.
  public init(
    for graph: Graph, images: ImageDataset, scaling: Scaling = .imagenet
  ) throws {
    let inputs = graph.dataInputs
    guard inputs.count == 1, inputs[0].dtype == .float32, inputs[0].dimensions.count == 4 else {
      throw SwiftletError(
        .unsupported, "the model does not take one batch of images",
        fix: "its input must be fp32 N×channels×height×width")
    }
    let shape = try Self.imageShape(graph, inputs[0], images)
    let (channels, height, width) = (shape[1], shape[2], shape[3])
    guard channels >= 1, height >= 1, width >= 1 else {
      throw SwiftletError(
        .unsupported, "the model takes images of \(inputs[0].shapeDescription)",
        fix: "its input must be fp32 N×channels×height×width")
    }
    try Self.checkSize(inputs[0], shape)
    func isClose(_ source: Int, _ target: Int) -> Bool {
      source <= target && target - source <= source / 4
    }
    self.channels = channels
    self.height = height
    self.width = width
    if let (_, sourceHeight, sourceWidth) = images.imageExtents {
      fit = isClose(sourceHeight, height) && isClose(sourceWidth, width) ? .pad : .resize
      shorterSide = nil
    } else if height == width, height > Self.thumbnail {
      fit = .crop
      shorterSide = Int((Double(height) / 0.875).rounded())
    } else {
      fit = .resize
      shorterSide = nil
    }
    (mean, deviation) = scaling.numbers(channels: channels)
    try checkChannels(images)
  }

  /// The preprocessing stored in the model's metadata, or else one that suits its input.
  ///
  /// - Throws: `badInput` if the metadata are damaged.
  public static func stored(in graph: Graph, images: ImageDataset) throws -> Preprocessing {
    guard let text = graph.metadata[metadataKey] else {
      return try Preprocessing(for: graph, images: images)
    }
    guard let value = try? JSONDecoder().decode(Preprocessing.self, from: Data(text.utf8)),
      value.isSound
    else {
      throw SwiftletError(.badInput, "the model's metadata '\(metadataKey)' are damaged")
    }
    try value.checkChannels(images)
    guard let input = graph.dataInputs.first, input.dimensions.count == 4,
      case let shape = value.shape(batch: 1),
      zip(input.dimensions, shape.dimensions).dropFirst().allSatisfy({ declared, extent in
        if case .fixed(let own) = declared { own == extent } else { true }
      })
    else {
      throw SwiftletError(
        .badInput, "the model's metadata '\(metadataKey)' do not match its input")
    }
    let own = OpenExtents.of([input], shapes: [input.name: shape])
    if let (name, extent) = graph.extents.first(where: { own[$0.key] ?? $0.value != $0.value }) {
      throw SwiftletError(
        .badInput, "\(name)=\(extent): the model was trained with \(name)=\(own[name] ?? 0)",
        fix: "leave that extent to the model's metadata '\(metadataKey)'")
    }
    try checkSize(input, shape)
    return value
  }

  /// The shape of one image as the model's input.
  private static func imageShape(
    _ graph: Graph, _ input: ValueInfo, _ images: ImageDataset
  ) throws -> Shape {
    let inputs = [input]
    let isOpen = input.dimensions.dropFirst().contains {
      if case .symbolic = $0 { true } else { false }
    }
    guard isOpen else { return try input.shape(batch: 1) }
    let (channels, height, width) = images.imageExtents ?? (3, usualExtent, usualExtent)
    let own = OpenExtents.of(inputs, shapes: [input.name: [1, channels, height, width]])
    let interpreter = try Interpreter(graph)
    let given = graph.extents.merging(own) { given, _ in given }
    let extents = OpenExtents(inputs, batch: 1, given: given)
    // A model that does not accept the images' size gets them in its own size.
    return try (interpreter.fits(extents) ? extents : interpreter.openExtents(batch: 1)).shape(
      of: input)
  }

  /// Whether the model specifies how images become its input; otherwise that is guessed.
  public static func isStored(in graph: Graph) -> Bool { graph.metadata[metadataKey] != nil }

  /// The processing of images, for display: `3×32×32, padded; pixels scaled to 0…1`.
  public var summary: String {
    let fitted =
      switch fit {
      case .pad: "padded"
      case .resize: "resized"
      case .crop: "the center after resizing the shorter side to \(shorterSide ?? 0)"
      }
    let size = "\(channels)×\(height)×\(width), \(fitted)"
    guard !mean.isEmpty, !deviation.isEmpty else { return "\(size); pixels are not scaled" }
    func list(_ numbers: [Float]) -> String {
      Set(numbers).count == 1 ? "\(numbers[0])" : numbers.map { "\($0)" }.joined(separator: ", ")
    }
    let isPlain = Set(mean).count == 1 && Set(deviation).count == 1
    func range(_ pixel: Float) -> String {
      let value = ((pixel / 255 - mean[0]) / deviation[0] * 1e3).rounded() / 1e3
      return value.rounded() == value && abs(value) < 1e6 ? "\(Int(value))" : "\(value)"
    }
    let scaled =
      isPlain
      ? "pixels scaled to \(range(0))…\(range(255))"
      : "pixels divided by 255, minus \(list(mean)), divided by \(list(deviation))"
    return "\(size); \(scaled)"
  }

  /// - Throws: `badInput` if a batch of the size that evaluation uses would be too large.
  private static func checkSize(_ input: ValueInfo, _ shape: Shape) throws {
    let extents = shape.replacing(axis: 0, with: 256).dimensions
    _ = try ValueInfo(input.name, input.dtype, extents.map(Dimension.fixed)).shape(batch: 256)
  }

  private var isSound: Bool {
    let limit = 1 << 14
    return [channels, height, width].allSatisfy { 1...limit ~= $0 }
      && mean.count == channels && deviation.count == channels
      && (mean + deviation).allSatisfy(\.isFinite) && deviation.allSatisfy { $0 > 0 }
      && (fit == .crop) == (shorterSide != nil)
      && (shorterSide.map { max(height, width)...limit ~= $0 } ?? true)
  }

  private func checkChannels(_ images: ImageDataset) throws {
    guard let found = images.imageExtents?.channels else {
      guard channels == 1 || channels == 3 else {
        throw SwiftletError(
          .unsupported, "the model takes images of \(channels) channels; pictures have 3, or 1",
          at: images.name, fix: "give arrays with inputs:FILE.npz")
      }
      return
    }
    guard found == channels || found == 1, fit != .crop || channels == 1 || channels == 3 else {
      throw SwiftletError(
        .badInput, "the model takes images of \(channels) channels, the data have \(found)",
        at: images.name)
    }
  }

  /// The open extents of a model's input, by name, for images prepared like this.
  package func extents(of graph: Graph) -> [String: Int] {
    graph.dataInputs.first.map {
      OpenExtents.of([$0], shapes: [$0.name: shape(batch: 1)])
    } ?? [:]
  }

  /// Writes this into the model's metadata.
  public func store(in graph: inout Graph) {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys]
    // Encoding plain numbers cannot fail: they have been checked to be finite.
    guard let data = try? encoder.encode(self) else { return }
    graph.metadata[Self.metadataKey] = String(decoding: data, as: UTF8.self)
  }

  /// The shape of a batch.
  public func shape(batch: Int) -> Shape { [batch, channels, height, width] }
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
