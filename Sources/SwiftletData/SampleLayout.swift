// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
public import SwiftletCore
import SwiftletGraph

/// A value for an input in every run, whatever the samples are: a size, a rate, a state.
public enum FixedInput: Sendable, Equatable {
  /// An array for the input; its batch axis, if it has one, has extent 1 or the number of samples.
  case array(AnyTensor)
  /// One number for all elements, or one for each element.
  case numbers([Double])
}

/// How samples are laid out in the arrays for a model's inputs.
struct SampleLayout {
  /// How an input gets its part of a batch.
  enum Place: Equatable {
    /// The samples are along this axis of the array.
    case along(Int)
    /// The array has one more axis than the input: each sample is a complete input.
    case each
    /// The array is the input for all samples.
    case constant
    /// The array has extent 1 along this axis, and is repeated for each sample.
    case repeated(Int)
  }

  private(set) var places: OrderedDictionary<String, Place> = [:]
  /// Number of samples in the arrays; 1 if no array has a sample axis.
  private(set) var count = 1
  /// The number of samples that the model requires per run; `nil` if it takes any number.
  private(set) var batch: Int?

  /// Determines the layout.
  ///
  /// - Parameters:
  ///   - shapes: Of one array per input.
  ///   - inputs: The model's inputs.
  /// - Throws: `badInput` if an array does not match its input, or if numbers of samples differ.
  init(_ shapes: [String: Shape], _ inputs: [ValueInfo]) throws {
    let symbol = OpenExtents.batchSymbol(inputs)
    var counts: OrderedDictionary<String, Int> = [:]
    var batches: [(name: String, extent: Int)] = []
    // Arrays that match a fixed shape exactly: whether their first axis is the batch is decided
    // once the batch size is known.
    var undecided: [ValueInfo] = []
    for input in inputs {
      let shape = shapes[input.name]!
      switch try Self.place(input, shape, symbol, inputs) {
      case nil: undecided.append(input)
      case .each?:
        (places[input.name], counts[input.name]) = (.each, shape[0])
        batches.append((input.name, 1))
      case .along(let axis)?:
        (places[input.name], counts[input.name]) = (.along(axis), shape[axis])
        if case .fixed(let extent) = input.dimension(axis) { batches.append((input.name, extent)) }
      case let place?: places[input.name] = place
      }
    }
    let extent = batches.first?.extent ?? (counts.isEmpty ? undecided.first?.firstExtent : nil)
    for input in undecided {
      let isBatch = input.firstExtent != nil && input.firstExtent == extent
      places[input.name] = isBatch ? .along(0) : .constant
      guard isBatch, let extent else { continue }
      counts[input.name] = shapes[input.name]![0]
      batches.append((input.name, extent))
    }
    try check(counts, batches)
    count = counts.values.first ?? 1
    batch = batches.first?.extent
  }

  /// Checks that all arrays have the same number of samples, and the model the same batch size for
  /// all inputs.
  ///
  /// - Throws: `badInput` otherwise.
  private func check(
    _ counts: OrderedDictionary<String, Int>, _ batches: [(name: String, extent: Int)]
  ) throws {
    if Set(counts.values).count > 1 {
      let odd = counts.elements.min { $0.value < $1.value }!.key
      throw SwiftletError(
        .badInput,
        "the arrays have different numbers of samples: "
          + counts.map { "'\($0)' \($1)" }.joined(separator: ", "),
        fix: "use the same number for all, or --fixed \(odd)=FILE.npy if all samples share it"
      )
    }
    if let first = batches.first, let other = batches.first(where: { $0.extent != first.extent }) {
      throw SwiftletError(
        .badInput,
        "the model takes \(first.extent) samples of '\(first.name)' at once, but \(other.extent) "
          + "of '\(other.name)'",
        fix: "use --fixed \(other.name)=FILE.npy if all samples share it")
    }
    if let empty = counts.first(where: { $0.value == 0 }) {
      throw SwiftletError(.badInput, "array '\(empty.key)' has no samples")
    }
  }

  /// The place of the samples in one array.
  ///
  /// - Returns: `nil` for an array that has exactly the declared shape, all of whose dimensions are
  ///   fixed.
  private static func place(
    _ input: ValueInfo, _ shape: Shape, _ symbol: String?, _ inputs: [ValueInfo]
  ) throws -> Place? {
    let refusal = SwiftletError(
      .badInput, "array '\(input.name)' is \(shape); the model takes \(input.shapeDescription)",
      fix: "put samples along the first axis, or use --fixed \(input.name)=FILE.npy")
    guard input.isShaped else { return shape.rank > 0 ? .along(0) : .constant }
    if shape.rank == input.dimensions.count + 1 {
      let sample = Shape(Array(shape.dimensions.dropFirst()))
      guard input.accepts(sample) else { throw refusal }
      return .each
    }
    guard shape.rank == input.dimensions.count else { throw refusal }
    guard shape.rank > 0 else { return .constant }
    let others = shape.dimensions.indices.filter { axis in
      if case .fixed(let extent) = input.dimensions[axis] { extent != shape[axis] } else { false }
    }
    if let symbol, let axis = input.dimensions.firstIndex(of: .symbolic(symbol)) {
      guard others.isEmpty else { throw refusal }
      return .along(axis)
    }
    if case .symbolic(let name) = input.dimensions[0] {
      guard others.isEmpty else { throw refusal }
      return isElsewhere(name, inputs) ? .constant : .along(0)
    }
    guard others.count <= 1 else { throw refusal }
    if let axis = others.first { return .along(axis) }
    return symbol == nil ? nil : .constant
  }

  /// Whether a symbol also occurs on an axis other than the first: then it is a length, not a
  /// number of samples.
  private static func isElsewhere(_ symbol: String, _ inputs: [ValueInfo]) -> Bool {
    guard !symbol.isEmpty, symbol != "?" else { return false }
    return inputs.contains { $0.dimensions.dropFirst().contains(.symbolic(symbol)) }
  }
}

extension ValueInfo {
  fileprivate var firstExtent: Int? {
    if case .fixed(let extent)? = dimensions.first { extent } else { nil }
  }

  fileprivate func dimension(_ axis: Int) -> Dimension {
    isShaped ? dimensions[axis] : .symbolic("")
  }
}
