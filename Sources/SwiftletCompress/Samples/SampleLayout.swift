// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
public import SwiftletCore
import SwiftletGraph

/// What an input is given in every run, whichever the samples are: a size, a rate, a state.
public enum FixedInput: Sendable, Equatable {
  case array(AnyTensor)
  /// Numbers for all elements: one that fills the input, or as many as it has.
  case numbers([Double])
}

/// Where the samples are in the arrays for a model's inputs.
struct SampleLayout {
  /// How an input gets its part of a batch.
  enum Place: Equatable {
    /// The samples are along this axis of the array.
    case along(Int)
    /// The array has one axis more than the input: each sample has an input of its own.
    case each
    /// The array is the input, for all samples alike.
    case constant
    /// The array has one index on this axis, which all samples have in common.
    case repeated(Int)
  }

  private(set) var places: OrderedDictionary<String, Place> = [:]
  /// Samples in the arrays; 1 if no array has any.
  private(set) var count = 1
  /// The number of samples that the model takes at once, if it takes just one number.
  private(set) var batch: Int?

  /// - Parameter arrays: One for each input, of its type.
  /// - Throws: `badInput` if an array does not fit, or they have different numbers of samples.
  init(_ arrays: [String: AnyTensor], _ inputs: [ValueInfo]) throws {
    let symbol = OpenExtents.batchSymbol(inputs)
    var counts: OrderedDictionary<String, Int> = [:]
    var batches: [(name: String, extent: Int)] = []
    // Arrays that fit as they are, of a model that takes a fixed number of samples: decided when
    // that is known.
    var undecided: [ValueInfo] = []
    for input in inputs {
      let shape = arrays[input.name]!.shape
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
      counts[input.name] = arrays[input.name]!.shape[0]
      batches.append((input.name, extent))
    }
    try check(counts, batches)
    count = counts.values.first ?? 1
    batch = batches.first?.extent
  }

  /// - Throws: `badInput` if not all arrays have the same number of samples.
  private func check(
    _ counts: OrderedDictionary<String, Int>, _ batches: [(name: String, extent: Int)]
  ) throws {
    if Set(counts.values).count > 1 {
      let odd = counts.elements.min { $0.value < $1.value }!.key
      throw SwiftletError(
        .badInput,
        "the arrays have different numbers of samples: "
          + counts.map { "'\($0)' \($1)" }.joined(separator: ", "),
        mend: "give as many of each, or --fixed \(odd)=FILE.npy if that is the same for all samples"
      )
    }
    if let first = batches.first, let other = batches.first(where: { $0.extent != first.extent }) {
      throw SwiftletError(
        .badInput,
        "the model takes \(first.extent) samples of '\(first.name)' at once, and \(other.extent) of "
          + "'\(other.name)'",
        mend: "give --fixed \(other.name)=FILE.npy if that is the same for all samples")
    }
    if let empty = counts.first(where: { $0.value == 0 }) {
      throw SwiftletError(.badInput, "array '\(empty.key)' has no samples")
    }
  }

  /// - Returns: `nil` for an array that is the input as declared, in extents that are all fixed.
  private static func place(
    _ input: ValueInfo, _ shape: Shape, _ symbol: String?, _ inputs: [ValueInfo]
  ) throws -> Place? {
    let refusal = SwiftletError(
      .badInput, "array '\(input.name)' is \(shape); the model takes \(input.shapeDescription)",
      mend: "give samples along the first axis, or --fixed \(input.name)=FILE.npy for one array")
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

  /// Whether a symbol is met on another axis than the first: it stands for a length then, not for
  /// samples.
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
