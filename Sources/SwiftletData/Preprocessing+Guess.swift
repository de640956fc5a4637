// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
public import SwiftletGraph
import SwiftletImages

extension Preprocessing {
  /// Sides up to this show whole pictures: nothing is cropped.
  private static let thumbnail = 96
  /// The height and width of pictures in files for models that take any.
  private static let usualExtent = 224

  /// The preprocessing that suits a model's input and a data set's images.
  ///
  /// Of images in memory, small differences in size are padded, large ones interpolated. Pictures
  /// in files lose an eighth of their shorter side around the middle, as most networks for
  /// ImageNet are evaluated, if the model takes squares larger than thumbnails; else they are
  /// interpolated. What Ultralytics' exports specify in their metadata takes precedence. Open
  /// extents are those of the graph's `extents`, otherwise the images', or 224 for pictures in
  /// files. An input whose last axis has 1 or 3 elements, while the second has others, is N×H×W×C.
  ///
  /// - Parameters:
  ///   - graph: The model. Exactly one of its inputs has four axes.
  ///   - images: The data set.
  ///   - scaling: How pixels are scaled. `nil`: `raw` or `unit` if the input has integers, or if
  ///     the model's first nodes evidently normalize such pixels; else as for `imagenet`.
  /// - Throws: `unsupported` if the model does not take images; `badInput` if it does not take such
  ///   images, or numbers that are scaled so.
  public init(for graph: Graph, images: ImageDataset, scaling: Scaling? = nil) throws {
    var plan = UltralyticsMetadata.plan(of: graph) ?? PreprocessingPlan()
    if scaling != nil { plan.numbers = nil }
    try self.init(plan, for: graph, images: images, scaling: scaling)
  }

  /// - Throws: As `init(for:images:scaling:)`, and `badInput` naming the key if the plan does not
  ///   suit the model.
  init(
    _ plan: PreprocessingPlan, for graph: Graph, images: ImageDataset, scaling: Scaling? = nil
  ) throws {
    let input = try Self.imageInput(of: graph)
    let layout = plan.layout ?? Self.layout(of: input, images)
    let shape = try Self.imageShape(graph, input, images, layout, plan.size?.extent)
    let (channels, height, width) =
      layout == .planar ? (shape[1], shape[2], shape[3]) : (shape[3], shape[1], shape[2])
    guard channels >= 1, height >= 1, width >= 1 else {
      throw SwiftletError(
        .unsupported, "the model takes images of \(input.shapeDescription)",
        fix: "its input must be N×channels×height×width or N×height×width×channels")
    }
    try Self.check(plan, input, channels, Image.Size(width: width, height: height))
    try Self.checkSize(input, shape)
    let size = Image.Size(width: width, height: height)
    let fitting = try plan.fitting(in: size) ?? Self.guessedFitting(in: size, images)
    var numbers =
      try plan.numbers
      ?? Numbers(
        scaling ?? EmbeddedNormalization.pixels(of: graph, input, layout, channels) ?? .imagenet,
        channels: channels, for: input)
    func spread(_ values: [Float]) -> [Float] {
      values.count == 1 ? [Float](repeating: values[0], count: channels) : values
    }
    func make() throws -> Preprocessing {
      try Preprocessing(
        channels: channels, height: height, width: width, fit: fitting.fit,
        shorterSide: fitting.shorterSide, box: fitting.box, interpolation: plan.interpolation,
        antialias: plan.antialias, cropRounding: plan.cropRounding,
        border: plan.border.map {
          $0.count == 1 ? [UInt8](repeating: $0[0], count: channels) : $0
        }, colours: plan.colours ?? (scaling == .caffe ? .bgr : .rgb), layout: layout,
        scale: numbers.scale, mean: spread(numbers.mean), deviation: spread(numbers.deviation))
    }
    var made = try make()
    if plan.yieldsToIntegers, !made.fits(input) {
      numbers = try Numbers(.raw, channels: channels, for: input)
      made = try make()
    }
    guard made.fits(input) else {
      throw SwiftletError(
        .badInput,
        "the model's input '\(input.name)' is \(input.dtype), which cannot hold \(made.summary)",
        fix: "leave pixels as they are, as raw does")
    }
    try made.checkChannels(images)
    self = made
  }

  private static func guessedFitting(
    in size: Image.Size, _ images: ImageDataset
  ) -> PreprocessingPlan.Fitting {
    func isClose(_ source: Int, _ target: Int) -> Bool {
      source <= target && target - source <= source / 4
    }
    if let (_, height, width) = images.imageExtents {
      let isPadded = isClose(height, size.height) && isClose(width, size.width)
      return (isPadded ? .pad : .resize, nil, nil)
    }
    guard size.height == size.width, size.height > thumbnail else { return (.resize, nil, nil) }
    return (.crop, Int((Double(size.height) / 0.875).rounded()), nil)
  }

  /// Checks what a plan says of the model's input.
  private static func check(
    _ plan: PreprocessingPlan, _ input: ValueInfo, _ channels: Int, _ size: Image.Size
  ) throws {
    func wrong(_ key: String, _ stated: String, _ own: String) -> SwiftletError {
      SwiftletError(
        .badInput, "\(stated), but the model's input '\(input.name)' has \(own)",
        at: plan.file.map { "\($0), \(key)" } ?? key,
        fix: "give the file of this model, or change it to the model's numbers")
    }
    let other = input.dimensions[plan.layout == .planar ? 3 : 1]
    if let layout = plan.layout, channels != 1, channels != 3,
      [.fixed(1), .fixed(3)].contains(other)
    {
      throw wrong("key 'layout'", "the axes are \(layout.rawValue)", input.shapeDescription)
    }
    if let (extent, key) = plan.size, extent != size {
      throw wrong(
        key, "pictures become \(extent.height)×\(extent.width)", "\(size.height)×\(size.width)")
    }
    if let (count, key) = plan.channels, count != channels {
      throw wrong(key, "there are \(count) channels", "\(channels)")
    }
    for (key, count) in [
      ("mean", plan.numbers?.mean.count), ("deviation", plan.numbers?.deviation.count),
      ("border", plan.border?.count),
    ] {
      if let count, count != 1, count != channels {
        throw wrong(key, "there are \(count) values", "\(channels) channels")
      }
    }
    if plan.colours == .bgr, channels != 3 { throw wrong("colours", "bgr", "\(channels) channels") }
  }

  /// The input that takes images: the one with four axes.
  ///
  /// - Throws: `unsupported` if there is none or several, or if it takes other numbers than
  ///   floats, uint8 and int8.
  package static func imageInput(of graph: Graph) throws -> ValueInfo {
    let inputs = graph.dataInputs.filter { $0.isShaped && $0.dimensions.count == 4 }
    guard inputs.count == 1 else {
      throw SwiftletError(
        .unsupported,
        inputs.isEmpty
          ? "the model does not take one batch of images"
          : "the model has \(inputs.count) inputs of four axes, and images are only for one",
        fix: "give arrays with inputs:FILE.npz, or a model with one input of "
          + "N×channels×height×width or N×height×width×channels")
    }
    guard [.float32, .float64, .uint8, .int8].contains(inputs[0].dtype) else {
      throw SwiftletError(
        .unsupported, "the model's input '\(inputs[0].name)' is \(inputs[0].dtype)",
        fix: "images can be floats, uint8 or int8; or give arrays with inputs:FILE.npz")
    }
    return inputs[0]
  }

  /// The order of axes, by their extents.
  private static func layout(of input: ValueInfo, _ images: ImageDataset) -> Layout {
    let pictured = [Dimension.fixed(1), .fixed(3)]
    let (second, third, last) = (input.dimensions[1], input.dimensions[2], input.dimensions[3])
    // One column of pixels is unlikely; N×C×1×1 is what layers without pixels have.
    guard pictured.contains(last), !pictured.contains(second), third != .fixed(1) else {
      return .planar
    }
    return images.imageExtents.map { second == .fixed($0.channels) } ?? false
      ? .planar : .interleaved
  }

  /// The shape of one image as the model's input.
  private static func imageShape(
    _ graph: Graph, _ input: ValueInfo, _ images: ImageDataset, _ layout: Layout,
    _ size: Image.Size?
  ) throws -> Shape {
    let inputs = graph.dataInputs
    let isOpen = input.dimensions.dropFirst().contains {
      if case .symbolic = $0 { true } else { false }
    }
    guard isOpen else { return try input.shape(batch: 1) }
    var (channels, height, width) = images.imageExtents ?? (3, usualExtent, usualExtent)
    if let size { (height, width) = (size.height, size.width) }
    let own = OpenExtents.of(
      inputs, shapes: [input.name: shape(layout, 1, channels, height, width)])
    let interpreter = try Interpreter(graph)
    let given = graph.extents.merging(own) { given, _ in given }
    let extents = OpenExtents(inputs, batch: 1, given: given)
    // A model that does not accept the images' size gets them in its own size.
    return try (interpreter.fits(extents) ? extents : interpreter.openExtents(batch: 1)).shape(
      of: input)
  }
}

extension PreprocessingPlan {
  typealias Fitting = (fit: Preprocessing.Fit, shorterSide: Int?, box: Image.Size?)

  /// The plan's way to fit images into a model's input; `nil` if it has none.
  ///
  /// - Throws: `badInput` if the shorter side would be that of two sides.
  fileprivate func fitting(in size: Image.Size) throws -> Fitting? {
    switch resizing {
    case nil: return nil
    case .some(.none): return (.pad, nil, nil)
    case .exact(let extent): return (.resize, nil, extent.box(size))
    case .letterbox(let extent): return (.letterbox, nil, extent.box(size))
    case .shorter(let extent):
      let own = max(size.height, size.width)
      guard let side = extent.side(own), size.width == size.height || !extent.isRelative else {
        throw SwiftletError(
          .badInput,
          "the shorter side has no length of its own for an input of \(size.height)×\(size.width)",
          at: file, fix: "give a number of pixels")
      }
      return (.crop, side, nil)
    }
  }
}

extension PreprocessingPlan.Extent {
  /// Whether it follows from the model's size.
  fileprivate var isRelative: Bool {
    switch self {
    case .model, .cropping: true
    case .side, .box: false
    }
  }
}
