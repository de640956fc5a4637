// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore

/// The input with axes resized, by factors or to given lengths: each element is the nearest one of
/// the input, or a linear or cubic interpolation of its neighbours along each axis.
///
/// - Source: ONNX `Resize` (from operator set 10) and `Upsample`; the cubic kernel is that of Keys
///   1981. Lengths from factors, and positions, are computed in fp32.
public struct Resize: AnyElementOperator {
  public static let opType = "Resize"
  public static let opTypes = ["Resize", "Upsample"]
  public let gradientReads = GradientReads(inputs: [1, 2])
  public let untrainedInputs: Set<Int> = [1, 2, 3]
  private enum Policy: String {
    case stretch
    case notLarger = "not_larger"
    case notSmaller = "not_smaller"
  }
  /// The maximum resized length: the taps of each position are stored.
  private static let lengthLimit = 1 << 24
  private let sampling: ResizeSampling
  private let policy: Policy
  private let axes: [Int]?
  private let extrapolation: Float
  private let attributeScales: [Double]?
  /// Up to operator set 10, factors are the second input.
  private let isLegacy: Bool

  public init(_ node: Node, opset: Int) throws {
    func choice<C: RawRepresentable>(_ name: String, _ fallback: String) throws -> C
    where C.RawValue == String {
      let text = try node.string(name, default: fallback)
      guard let choice = C(rawValue: text) else {
        throw SwiftletError(
          .badInput, "\(node.opType) has \(name) '\(text)', which ONNX does not define")
      }
      return choice
    }
    isLegacy = opset < 11 || node.opType == "Upsample"
    var sampling = ResizeSampling()
    let mode = try node.string("mode", default: "nearest")
    sampling.mode = mode == "bilinear" && isLegacy ? .linear : try choice("mode", "nearest")
    if isLegacy {
      (sampling.coordinates, sampling.rounding) = (.asymmetric, .legacy)
    } else {
      sampling.coordinates = try choice("coordinate_transformation_mode", "half_pixel")
      sampling.rounding = try choice("nearest_mode", "round_prefer_floor")
      sampling.antialias = try node.int("antialias", default: 0) != 0 && sampling.mode != .nearest
      sampling.cubicCoefficient = Double(try node.float("cubic_coeff_a", default: -0.75))
      sampling.excludesOutside = try node.int("exclude_outside", default: 0) != 0
    }
    self.sampling = sampling
    policy = try choice("keep_aspect_ratio_policy", "stretch")
    axes = try node.ints("axes")
    extrapolation = try node.float("extrapolation_value", default: 0)
    switch node.attributes["scales"] {
    case .floats(let scales): attributeScales = scales.map(Double.init)
    default:
      // The first version of Upsample.
      guard node.attributes["height_scale"] != nil else {
        attributeScales = nil
        return
      }
      let scales = [
        1, 1, try node.float("height_scale", default: 1), try node.float("width_scale", default: 1),
      ]
      attributeScales = scales.map(Double.init)
    }
  }

  public func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    let x = try required(inputs, 0, "input")
    if sampling.mode != .nearest { _ = try required(inputs, 0, "input", where: \.isNumber) }
    var extents = x.shape.dimensions
    for axis in try targets(inputs) { extents[axis.axis] = axis.output }
    return [TensorInfo(x.dtype, try Shape(checking: extents))]
  }

  /// An optional input, which may be present but empty.
  private func present(_ inputs: [TensorInfo?], _ index: Int) -> TensorInfo? {
    guard index < inputs.count, let info = inputs[index], info.shape.count > 0 else { return nil }
    return info
  }

  private func targets(_ inputs: [TensorInfo?]) throws -> [ResizeSampling.Extents] {
    let shape = try required(inputs, 0, "input").shape
    let axes = try self.axes(axes ?? Array(0..<shape.rank), rank: shape.rank)
    let regions = try regions(inputs, axes.count)
    let given = isLegacy ? present(inputs, 1) : present(inputs, 2)
    let scales = try attributeScales ?? given.map { try reals($0, "scales") }
    let sizes = isLegacy || present(inputs, 3) == nil ? nil : try integers(inputs, 3, "sizes")
    guard (scales == nil) != (sizes == nil), (scales?.count ?? sizes?.count) == axes.count else {
      throw mismatch(
        "\(scales?.count ?? 0) factors and \(sizes?.count ?? 0) sizes "
          + "do not match \(axes.count) axes")
    }
    func length(_ value: Double, _ axis: Int) throws -> Int {
      let isUnchanged = value == Double(shape[axis])
      guard isUnchanged || 0...Double(Self.lengthLimit) ~= value, shape[axis] > 0 || value < 1
      else {
        throw mismatch("axis \(axis) of \(shape) cannot have a length of \(value)")
      }
      return Int(value)
    }
    if let scales {
      return try axes.indices.map { index in
        let (axis, scale) = (axes[index], scales[index])
        guard scale > 0, scale.isFinite else {
          throw mismatch("the factor \(scale) is not positive and finite")
        }
        return ResizeSampling.Extents(
          axis: axis, input: shape[axis],
          output: try length(Double((Float(scale) * Float(shape[axis])).rounded(.down)), axis),
          scale: Float(scale), region: regions[index])
      }
    }
    let lengths = try zip(sizes!, axes).map { try length(Double($0), $1) }
    guard policy != .stretch else {
      return axes.indices.map {
        ResizeSampling.Extents(
          axis: axes[$0], input: shape[axes[$0]], output: lengths[$0],
          scale: Float(lengths[$0]) / Float(shape[axes[$0]]), region: regions[$0])
      }
    }
    guard axes.allSatisfy({ shape[$0] > 0 }) else {
      throw mismatch("\(shape) is empty and has no aspect ratio")
    }
    let ratios = zip(lengths, axes).map { Double($0) / Double(shape[$1]) }
    let scale = (policy == .notLarger ? ratios.min() : ratios.max()) ?? 1
    return try axes.indices.map {
      let input = shape[axes[$0]]
      return ResizeSampling.Extents(
        axis: axes[$0], input: input,
        output: try length((scale * Double(input) + 0.5).rounded(.down), axes[$0]),
        scale: Float(scale), region: regions[$0])
    }
  }

  private func regions(
    _ inputs: [TensorInfo?], _ count: Int
  ) throws -> [ResizeSampling.ClosedRegion] {
    guard sampling.coordinates == .cropAndResize else {
      return Array(repeating: .whole, count: count)
    }
    guard let info = present(inputs, 1) else { throw mismatch("the region to crop is missing") }
    let bounds = try reals(info, "region")
    guard bounds.count == 2 * count, bounds.allSatisfy(\.isFinite) else {
      throw mismatch("\(bounds.count) bounds of the region do not match \(count) axes")
    }
    return (0..<count).map { .init(start: bounds[$0], end: bounds[$0 + count]) }
  }

  private func axes(_ targets: [ResizeSampling.Extents]) -> [ResizeAxis] {
    // If a factor leaves every extent unchanged, the elements are unchanged too, as in onnxruntime.
    if sampling.coordinates != .cropAndResize, targets.allSatisfy({ $0.input == $0.output }) {
      return []
    }
    return targets.filter { !$0.isIdentity }.map(sampling.axis)
  }

  public func forward(
    _ inputs: inout [AnyTensor?], _ context: ExecutionContext
  ) throws -> [AnyTensor] {
    let axes = axes(try targets(inputs.map { $0.map(TensorInfo.init) }))
    let x = inputs[0].take()!
    let extrapolation = extrapolation
    func picked<T: TensorElement>(_: T.Type) throws -> AnyTensor {
      let filler = T(converting: Double(extrapolation))
      return AnyTensor(
        axes.reduce(try x.require(T.self).contiguous()) { $1.picked($0, filler: filler) })
    }
    func blended<T: LayerElement>(_ x: Tensor<T>) -> Tensor<T> {
      axes.reduce(x.contiguous()) { $1.blended($0, filler: T(extrapolation), context.threads) }
    }
    if sampling.mode == .nearest { return [try picked(x.dtype.elementType)] }
    switch x {
    case .float32(let x): return [.float32(blended(x))]
    case .float64(let x): return [.float64(blended(x))]
    default:
      let values = blended(try x.converted(to: .float64).require(Double.self))
      let rounded = AnyTensor.float64(values.map { $0.rounded(.toNearestOrEven) })
      return [rounded.converted(to: x.dtype)]
    }
  }

  @specialized(where T == Float)
  @specialized(where T == Double)
  public func gradients<T: LayerElement>(
    _ call: ForwardCall<T>, _ outputGradient: consuming Tensor<T>, _ context: ExecutionContext
  ) throws -> [Tensor<T>?] {
    var infos = call.inputs.indices.map { index -> TensorInfo? in
      let other = index < call.others.count ? call.others[index] : nil
      return (call.inputs[index].map(AnyTensor.init) ?? other).map(TensorInfo.init)
    }
    infos[0] = TensorInfo(T.dtype, call.inputShapes[0]!)
    var slope = outputGradient.contiguous()
    for axis in axes(try targets(infos)).reversed() { slope = axis.spread(slope, context.threads) }
    return [slope] + call.inputs.dropFirst().map { _ in nil }
  }
}
