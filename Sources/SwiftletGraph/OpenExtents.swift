// SPDX-License-Identifier: Apache-2.0

public import OrderedCollections
public import SwiftletCore

/// Extents for open dimensions of a model that no arrays determine: those given by name, the batch,
/// and for all others a guess from their meaning.
///
/// An image is 224×224, a text has 128 tokens, audio 16 000 samples, depending on the names and the
/// positions of axes. A symbol has the same extent wherever it occurs.
public struct OpenExtents: Sendable {
  /// Extents by symbol, or by input and axis without one (`x[2]`), except the batch.
  public private(set) var values: OrderedDictionary<String, Int> = [:]
  /// The symbol of the batch axis.
  private let symbol: String?
  private let batch: Int

  /// `given` has extents by symbol or as `x[2]`; `replacing` overrides all guesses.
  public init(
    _ inputs: [ValueInfo], batch: Int, given: [String: Int] = [:], replacing guess: Int? = nil
  ) {
    self.batch = batch
    symbol = Self.batchSymbol(inputs)
    for input in inputs {
      for (axis, dimension) in input.dimensions.enumerated() {
        guard case .symbolic(let name) = dimension else { continue }
        let label = Self.label(input, axis)
        guard given[label] == nil else {
          values[label] = given[label]
          continue
        }
        guard values[label] == nil, !isBatch(name, axis) else { continue }
        values[label] = guess ?? Self.meaning(of: name, axis, input)
      }
    }
  }

  private static func isNamed(_ symbol: String) -> Bool { !symbol.isEmpty && symbol != "?" }

  package static func label(_ input: ValueInfo, _ axis: Int) -> String {
    if case .symbolic(let name) = input.dimensions[axis], isNamed(name) { return name }
    return "\(input.name)[\(axis)]"
  }

  /// The open extents of inputs, by name, that arrays of these shapes determine, except the batch.
  package static func of(_ inputs: [ValueInfo], shapes: [String: Shape]) -> [String: Int] {
    let symbol = batchSymbol(inputs)
    var result: [String: Int] = [:]
    for input in inputs {
      guard let shape = shapes[input.name], shape.rank == input.dimensions.count else { continue }
      for (axis, dimension) in input.dimensions.enumerated() {
        guard case .symbolic(let name) = dimension,
          isNamed(name) ? name != symbol : axis != 0, result[label(input, axis)] == nil
        else { continue }
        result[label(input, axis)] = shape[axis]
      }
    }
    return result
  }

  private func isBatch(_ name: String, _ axis: Int) -> Bool {
    Self.isNamed(name) ? name == symbol : axis == 0
  }

  /// The shape of an input.
  ///
  /// - Throws: As ``ValueInfo/shape(batch:extents:)``.
  public func shape(of input: ValueInfo) throws -> Shape {
    var input = input
    for axis in input.dimensions.indices {
      guard case .symbolic = input.dimensions[axis] else { continue }
      input.dimensions[axis] = .fixed(values[Self.label(input, axis)] ?? batch)
    }
    return try input.shape(batch: batch)
  }

  /// The symbol of the batch axis: one named as such, anywhere; otherwise that of a first axis.
  package static func batchSymbol(_ inputs: [ValueInfo]) -> String? {
    func symbols(_ dimensions: some Sequence<Dimension>) -> [String] {
      dimensions.compactMap {
        if case .symbolic(let name) = $0, isNamed(name) { name } else { nil }
      }
    }
    let all = inputs.flatMap { symbols($0.dimensions) }
    let leading = inputs.flatMap { symbols($0.dimensions.prefix(1)) }
    func saysSo(_ name: String) -> Bool { ["n", "b", "bs"].contains(name.lowercased()) }
    return all.first { $0.lowercased().contains("batch") } ?? leading.first(where: saysSo)
      ?? all.first(where: saysSo) ?? leading.first
  }

  /// The number of samples that a model with these inputs takes at once, if it is fixed: no symbol
  /// stands for the batch, and the first axis of the first input has an extent.
  package static func fixedBatch(_ inputs: [ValueInfo]) -> Int? {
    guard batchSymbol(inputs) == nil, let batch = inputs.first?.fixedBatch, batch > 0 else {
      return nil
    }
    return batch
  }

  // MARK: Meaning

  private static let (picture, text, sound) = (224, 128, 16_000)

  private static func meaning(of name: String, _ axis: Int, _ input: ValueInfo) -> Int {
    let name = name.lowercased()
    func says(_ parts: [String], _ whole: [String]) -> Bool {
      whole.contains(name) || parts.contains { name.contains($0) }
    }
    if says(["height", "width"], ["h", "w"]) { return picture }
    if says(["channel"], ["c"]) { return 3 }
    if says(["sample", "audio", "wave"], []) { return sound }
    if says(["seq", "token", "len", "time", "frame", "step"], ["s", "t", "l"]) { return text }
    let rank = input.dimensions.count
    if rank == 4 { return axis == 1 ? 3 : picture }
    if rank > 4 { return axis == 1 ? 3 : 32 }
    // One channel, and a long row of numbers.
    if rank == 3, axis == 2, [.fixed(1), .fixed(2)].contains(input.dimensions[1]) { return sound }
    return text
  }
}

extension ValueInfo {
  /// The extent of the first axis, if it is fixed.
  package var fixedBatch: Int? {
    if case .fixed(let extent)? = dimensions.first { extent } else { nil }
  }
}

extension Graph {
  /// The number of samples that the model takes at once, if it is fixed.
  package var fixedBatch: Int? { OpenExtents.fixedBatch(dataInputs) }

  /// The names of extents that the inputs leave open: symbols or `x[2]`, including the batch.
  public var openExtentNames: [String] {
    var names: OrderedSet<String> = []
    for input in dataInputs {
      for (axis, dimension) in input.dimensions.enumerated() {
        if case .symbolic = dimension { names.append(OpenExtents.label(input, axis)) }
      }
    }
    return Array(names)
  }

  /// The one of `openExtentNames` that a name means: itself, or that of the axis which `x[2]`
  /// names.
  package func openExtentName(_ name: String) -> String? {
    for input in dataInputs {
      for (axis, dimension) in input.dimensions.enumerated() {
        guard case .symbolic = dimension else { continue }
        let label = OpenExtents.label(input, axis)
        if name == label || name == "\(input.name)[\(axis)]" { return label }
      }
    }
    return nil
  }
}

extension Graph {
  /// Extents by the model's names for them; of several for one, the last counts.
  ///
  /// - Parameters:
  ///   - given: By symbol, or as `x[2]`.
  ///   - location: What gives them, for errors.
  /// - Throws: `badInput` for an extent that the model does not leave open.
  package func openExtents(
    _ given: [(name: String, extent: Int)], at location: String
  ) throws -> [String: Int] {
    let named = try given.map { name, extent in
      guard let own = openExtentName(name) else {
        let known = openExtentNames
        throw SwiftletError(
          .badInput, "no input has an open extent '\(name)'", at: location,
          fix: known.isEmpty
            ? "the model has no open extents" : "use one of " + known.joined(separator: ", "))
      }
      return (own, extent)
    }
    return Dictionary(named) { $1 }
  }
}

extension Interpreter {
  /// Extents with which shapes can be inferred: those given here or with the graph; for the others
  /// a guess from their meaning or, if that does not fit the model, one common number.
  public func openExtents(batch: Int, given: [String: Int] = [:]) -> OpenExtents {
    let infos = inputs.map(\.info)
    let given = given.merging(extents) { given, _ in given }
    let meant = OpenExtents(infos, batch: batch, given: given)
    let isGuessed = meant.values.keys.contains { given[$0] == nil }
    guard isGuessed, !fits(meant) else { return meant }
    let others = [32, 64, 128, 224, 256, 512, 1024, 16_000, 64_000, 1].lazy.map {
      OpenExtents(infos, batch: batch, given: given, replacing: $0)
    }
    return others.first(where: fits) ?? meant
  }

  /// Whether shapes can be inferred with the extents, or depend only on data.
  package func fits(_ extents: OpenExtents) -> Bool {
    do {
      _ = try infer(inputShapes(extents))
      return true
    } catch let error as SwiftletError {
      // If shapes depend on data, other extents do not help.
      return error.code == .unsupported
    } catch { return false }
  }

  /// The shapes of the inputs.
  public func inputShapes(_ extents: OpenExtents) throws -> [String: Shape] {
    Dictionary(
      uniqueKeysWithValues: try inputs.map { ($0.info.name, try extents.shape(of: $0.info)) })
  }
}
