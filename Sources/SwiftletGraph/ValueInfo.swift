public import SwiftletCore

/// One extent of a value whose size may be known only when the model runs.
public enum Dimension: Sendable, Hashable, CustomStringConvertible {
  case fixed(Int)
  /// An extent that the inputs decide, such as the batch: `N`.
  case symbolic(String)

  public var description: String {
    switch self {
    case .fixed(let extent): "\(extent)"
    case .symbolic(let name): name.isEmpty ? "?" : name
    }
  }
}

/// Name, element type and extents of a graph's input or output.
public struct ValueInfo: Sendable, Hashable {
  public var name: String
  public var dtype: DType
  public var dimensions: [Dimension]
  /// What the file says of the value besides, as the file has it; written again with the value.
  package var unread: [UInt8] = []
  /// Whether the file gives a type at all: inner graphs may leave it to inference.
  package var isTyped = true
  /// Whether the file says how many axes there are; if not, tensors of any shape can be bound.
  package var hasShape = true

  public init(_ name: String, _ dtype: DType, _ dimensions: [Dimension]) {
    self.name = name
    self.dtype = dtype
    self.dimensions = dimensions
  }

  /// The shape with every symbolic extent set to `batch`, but for those that are given by name.
  ///
  /// - Throws: `badInput` if an extent is negative, or the value would be larger than
  ///   ``TensorInfo/elementLimit``; `unsupported` if the file gives no shape.
  public func shape(batch: Int, extents: [String: Int] = [:]) throws -> Shape {
    guard hasShape else {
      throw SwiftletError(
        .unsupported, "the model gives no shape for '\(name)'",
        mend: "it can be run; for anything else, export it with the shapes of its inputs")
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
    guard hasShape else { return true }
    return shape.rank == dimensions.count
      && zip(dimensions, shape.dimensions).allSatisfy { declared, actual in
        if case .fixed(let extent) = declared { extent == actual } else { true }
      }
  }

  /// `N×3×32×32`.
  public var shapeDescription: String {
    !hasShape
      ? "of any shape"
      : dimensions.isEmpty ? "scalar" : dimensions.map(\.description).joined(separator: "×")
  }
}

/// What is known of a value once the inputs are known: element type, shape, and the elements
/// themselves where no data is needed for them.
///
/// Models compute shapes in the graph, from constants and the shapes of other values. Equality and
/// hashes leave ``value`` out.
public struct TensorInfo: Sendable {
  public var dtype: DType
  public var shape: Shape
  /// The tensor, if it is known already.
  public var value: AnyTensor?

  public init(_ dtype: DType, _ shape: Shape) {
    self.dtype = dtype
    self.shape = shape
  }

  /// Everything about a tensor that is there.
  public init(_ value: AnyTensor) {
    self.init(value.dtype, value.shape)
    self.value = value
  }

  /// Bytes of the elements, packed.
  var byteCount: Int { shape.count * dtype.byteCount }

  /// Larger values are not worth knowing before a run: shapes are short.
  static let knownLimit = 1024

  /// The most elements a value may have: 8 GiB of fp32. A model that claims more is refused before
  /// anyone tries to find the memory.
  public static let elementLimit = 1 << 31

  /// The most bytes a value may have, and all values of a run together.
  public static var byteLimit: Int { MemoryLimit.bytes }

  /// This, if it is not too large.
  ///
  /// - Throws: `badInput` naming the value.
  func limited(_ name: @autoclosure () -> String) throws -> TensorInfo {
    // Without elements an extent can still be so large that arithmetic with it overflows.
    guard shape.count <= Self.elementLimit,
      shape.dimensions.allSatisfy({ $0 <= Self.elementLimit }), shape.rank <= Shape.rankLimit
    else {
      throw SwiftletError(
        .badInput,
        "\(shape) has more than \(Self.elementLimit) elements or \(Shape.rankLimit) axes",
        at: name(),
        mend: "use a smaller batch")
    }
    guard shape.count * dtype.byteCount <= Self.byteLimit else {
      throw SwiftletError(
        .badInput, "\(dtype) \(shape) takes more than the limit of \(Self.byteLimit) bytes",
        at: name(),
        mend: "use a smaller batch or a larger --max-memory")
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
