// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore

/// One extent of a value, which may be unknown until the model runs.
public enum Dimension: Sendable, Hashable, CustomStringConvertible {
  case fixed(Int)
  /// An extent determined by the inputs, such as the batch: `N`.
  case symbolic(String)

  public var description: String {
    switch self {
    case .fixed(let extent): "\(extent)"
    case .symbolic(let name): name.isEmpty ? "?" : name
    }
  }
}

/// The name, element type and extents of a graph's input or output.
public struct ValueInfo: Sendable, Hashable {
  public var name: String
  public var dtype: DType
  /// Extents, outermost first: numbers, or names of what is open.
  public var dimensions: [Dimension]
  /// Other content of the file about the value, in its encoded form; written back with the value.
  package var unread: [UInt8] = []
  /// Whether the file specifies a type: subgraphs may leave it to inference.
  package var isTyped = true
  /// Whether the file specifies the number of axes; otherwise inputs of any shape are accepted.
  package var isShaped = true

  /// A value of this type and these extents.
  public init(_ name: String, _ dtype: DType, _ dimensions: [Dimension]) {
    self.name = name
    self.dtype = dtype
    self.dimensions = dimensions
  }

  /// The shape with every symbolic extent set to `batch`, except those given by name.
  ///
  /// - Throws: `badInput` if an extent is negative, or the value would exceed
  ///   ``TensorInfo/elementLimit``; `unsupported` if the model does not specify the number of axes.
  public func shape(batch: Int, extents: [String: Int] = [:]) throws -> Shape {
    guard isShaped else {
      throw SwiftletError(
        .unsupported, "the model does not specify the rank of '\(name)'",
        fix: "run it on arrays, or export it with input shapes")
    }
    let shape = try Shape(
      checking: dimensions.map {
        switch $0 {
        case .fixed(let extent): extent
        case .symbolic(let name): extents[name] ?? batch
        }
      })
    return try TensorInfo(dtype, shape).limited("value '\(name)'").shape
  }

  /// Whether a tensor of this shape can be bound to the value.
  public func accepts(_ shape: Shape) -> Bool {
    guard isShaped else { return true }
    return shape.rank == dimensions.count
      && zip(dimensions, shape.dimensions).allSatisfy { declared, actual in
        if case .fixed(let extent) = declared { extent == actual } else { true }
      }
  }

  /// `N×3×32×32`.
  public var shapeDescription: String {
    guard isShaped else { return "of any shape" }
    return dimensions.isEmpty ? "scalar" : dimensions.map(\.description).joined(separator: "×")
  }
}

/// What is known of a value once the inputs are known: element type, shape, and the elements
/// themselves if they do not depend on data.
///
/// Models compute shapes in the graph, from constants and the shapes of other values. Equality and
/// hashing ignore ``value``.
public struct TensorInfo: Sendable {
  public var dtype: DType
  /// The extents, outermost first.
  public var shape: Shape
  /// The tensor, if it is already known.
  public var value: AnyTensor?

  /// A tensor whose elements are not known.
  public init(_ dtype: DType, _ shape: Shape) {
    self.dtype = dtype
    self.shape = shape
  }

  /// The complete information about an existing tensor.
  public init(_ value: AnyTensor) {
    self.init(value.dtype, value.shape)
    self.value = value
  }

  /// The size of the elements in bytes, packed.
  var byteCount: Int { shape.count * dtype.byteCount }

  /// Elements of larger values are not tracked before a run: shapes are short.
  static let knownLimit = 1024

  /// The maximum number of elements of a value: 8 GiB of fp32. A model that claims more is rejected
  /// before memory is allocated.
  public static let elementLimit = 1 << 31

  /// The maximum size in bytes of a value, and of all values of a run together.
  public static var byteLimit: Int { MemoryLimit.bytes }

  /// Returns this if it is within the limits.
  ///
  /// - Throws: `badInput` naming the value.
  func limited(_ name: @autoclosure () -> String) throws -> TensorInfo {
    // Even without elements, an extent can be so large that arithmetic with it overflows.
    guard shape.count <= Self.elementLimit,
      shape.dimensions.allSatisfy({ $0 <= Self.elementLimit }), shape.rank <= Shape.rankLimit
    else {
      throw SwiftletError(
        .badInput,
        "\(shape) has more than \(Self.elementLimit) elements or \(Shape.rankLimit) axes",
        at: name(),
        fix: "use a smaller batch")
    }
    guard shape.count * dtype.byteCount <= Self.byteLimit else {
      throw SwiftletError(
        .outOfMemory, "\(dtype) \(shape) takes more than the limit of \(Self.byteLimit) bytes",
        at: name(),
        fix: "use a smaller batch or a larger --max-memory")
    }
    return self
  }
}

extension TensorInfo: Hashable {
  public static func == (a: TensorInfo, b: TensorInfo) -> Bool {
    a.dtype == b.dtype && a.shape == b.shape
  }

  public func hash(into hasher: inout Hasher) {
    hasher.combine(dtype)
    hasher.combine(shape)
  }
}
