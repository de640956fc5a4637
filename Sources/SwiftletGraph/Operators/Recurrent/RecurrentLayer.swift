// SPDX-License-Identifier: Apache-2.0

import SwiftletBLAS
import SwiftletCore

/// One step of a recurrent layer on the states of a batch in one direction.
protocol RecurrentCell<T> {
  associatedtype T: LayerElement
  /// Advances the states by one step.
  ///
  /// - Parameters:
  ///   - gates: Batch × (gates · hidden): the input's contribution to each gate, including biases.
  ///     Overwritten.
  ///   - hidden: Batch × hidden.
  ///   - cell: The same shape; ignored by layers without a cell state.
  func step(_ gates: inout Tensor<T>, hidden: inout Tensor<T>, cell: inout Tensor<T>)
}

/// The part shared by `RNN`, `GRU` and `LSTM`: attributes, shapes, directions, and the iteration
/// over time.
struct RecurrentLayer: Sendable {
  private let opType: String
  private let gates: Int
  private let declaredHidden: Int?
  /// Whether each direction runs from the end to the start.
  private let reversed: [Bool]
  private let isBatchFirst: Bool
  /// The bound on the inputs of gate activations.
  let clip: Float?
  /// The activations of each direction.
  let functions: [[ActivationFunction]]

  init(_ node: Node, gates: Int, activations defaults: [ActivationFunction.Kind]) throws {
    opType = node.opType
    self.gates = gates
    switch try node.string("direction", default: "forward") {
    // The first operator set has this spelling of its default.
    case "forward", "foward": reversed = [false]
    case "reverse": reversed = [true]
    case "bidirectional": reversed = [false, true]
    case let other:
      throw SwiftletError(
        .badInput,
        "\(node.opType) has direction '\(other)', which must be forward, reverse or bidirectional")
    }
    let layout = try node.int("layout", default: 0)
    guard 0...1 ~= layout else {
      throw SwiftletError(.badInput, "\(node.opType) has layout = \(layout), which must be 0 or 1")
    }
    isBatchFirst = layout == 1
    declaredHidden =
      node.attributes["hidden_size"] == nil ? nil : try node.int("hidden_size", default: 0)
    clip = node.attributes["clip"] == nil ? nil : try node.float("clip", default: 0)
    functions = try Self.functions(node, directions: reversed.count, defaults)
  }

  private static func functions(
    _ node: Node, directions: Int, _ defaults: [ActivationFunction.Kind]
  ) throws -> [[ActivationFunction]] {
    let usual = (0..<directions).flatMap { _ in defaults }
    var kinds = usual
    if let names = try node.strings("activations") {
      let known: [ActivationFunction.Kind] = [
        .affine, .elu, .hardSigmoid, .leakyRelu, .relu, .scaledTanh, .sigmoid, .softplus, .softsign,
        .tanh, .thresholdedRelu,
      ]
      kinds = try names.map { name in
        guard let kind = known.first(where: { $0.rawValue.lowercased() == name.lowercased() })
        else {
          throw SwiftletError(
            .unsupported, "\(node.opType) does not support the activation '\(name)'")
        }
        return kind
      }
    }
    guard kinds.count == usual.count else {
      throw SwiftletError(
        .badInput, "\(node.opType) has \(kinds.count) activations, but must have \(usual.count)")
    }
    // Parameters are listed only for activations that have them.
    var alphas = (try node.floats("activation_alpha") ?? [])[...]
    var betas = (try node.floats("activation_beta") ?? [])[...]
    let all = kinds.map { kind in
      ActivationFunction(
        kind, alpha: kind.defaults.alpha == 0 ? nil : alphas.popFirst(),
        beta: kind.defaults.beta == 0 ? nil : betas.popFirst())
    }
    return (0..<directions).map { Array(all[$0 * defaults.count..<($0 + 1) * defaults.count]) }
  }

  var directions: Int { reversed.count }

  /// The extents of a call.
  struct Sizes {
    let length, batch, input, hidden: Int
  }

  /// - Throws: `badInput` if the inputs do not match: x, w, r, b, lengths, initial states.
  func sizes(_ inputs: [TensorInfo?]) throws -> Sizes {
    func input(_ index: Int) -> TensorInfo? { index < inputs.count ? inputs[index] : nil }
    guard let x = input(0), let w = input(1), let r = input(2) else {
      throw mismatch("an input or weights are missing")
    }
    guard x.dtype.isFloat else {
      throw SwiftletError(.unsupported, "\(opType) does not support \(x.dtype)")
    }
    guard x.shape.rank == 3, r.shape.rank == 3, w.shape.rank == 3 else {
      throw mismatch("input \(x.shape) and weights \(w.shape) and \(r.shape) must have rank 3")
    }
    let sizes = Sizes(
      length: x.shape[isBatchFirst ? 1 : 0], batch: x.shape[isBatchFirst ? 0 : 1],
      input: x.shape[2], hidden: r.shape[2])
    guard sizes.hidden > 0, declaredHidden ?? sizes.hidden == sizes.hidden else {
      throw mismatch(
        "hidden_size \(declaredHidden ?? 0) does not match recurrent weights \(r.shape)")
    }
    let rows = gates * sizes.hidden
    let state = stateShape(sizes)
    let expected: [(index: Int, shape: Shape)] = [
      (1, [directions, rows, sizes.input]), (2, [directions, rows, sizes.hidden]),
      (3, [directions, 2 * rows]), (5, state), (6, state), (7, [directions, 3 * sizes.hidden]),
    ]
    for (index, shape) in expected {
      guard let info = input(index) else { continue }
      guard info.dtype == x.dtype, info.shape == shape else {
        throw mismatch(
          "input \(index) is \(info.dtype) \(info.shape), expected \(x.dtype) \(shape)")
      }
    }
    if let lengths = input(4) {
      guard lengths.dtype == .int32, lengths.shape == [sizes.batch] else {
        throw mismatch(
          "sequence_lens is \(lengths.dtype) \(lengths.shape), not one int32 per sequence")
      }
    }
    return sizes
  }

  private func stateShape(_ sizes: Sizes) -> Shape {
    isBatchFirst
      ? [sizes.batch, directions, sizes.hidden] : [directions, sizes.batch, sizes.hidden]
  }

  /// The known shapes of the outputs: all states, and the final states of the layer.
  func infer(_ inputs: [TensorInfo?], states: Int) throws -> [TensorInfo] {
    let sizes = try sizes(inputs)
    let all =
      isBatchFirst
      ? [sizes.batch, sizes.length, directions, sizes.hidden]
      : [sizes.length, directions, sizes.batch, sizes.hidden]
    let dtype = inputs[0]!.dtype
    let state = TensorInfo(dtype, stateShape(sizes))
    return [TensorInfo(dtype, try Shape(checking: all))]
      + [TensorInfo](repeating: state, count: states)
  }

  func macs(_ inputs: [Shape?]) -> Int {
    guard let x = inputs[0], let r = inputs[2], x.rank == 3, r.rank == 3 else { return 0 }
    let steps = x[0].multipliedReportingOverflow(by: x[1])
    return steps.overflow ? 0 : steps.partialValue * r.count(of: 0..<2) * (x[2] + r[2])
  }

  /// Iterates over time in all directions.
  ///
  /// - Parameters:
  ///   - rounding: Applied to the input before its product with the weights.
  ///   - bias: A gate's bias in each step, from both halves of a direction's bias.
  ///   - cell: The cell of a direction, from its recurrent weights.
  /// - Returns: All hidden states, the final hidden states, the final cell states.
  func run<T: LayerElement>(
    _ inputs: [AnyTensor?], as _: T.Type, _ threads: Threads,
    rounding: ((Tensor<T>) -> Tensor<T>)? = nil,
    bias: (_ ofInput: [T], _ recurrent: [T]) -> [T],
    cell makeCell: (_ direction: Int, _ weights: Tensor<T>, _ recurrentBias: [T]) throws
      -> any RecurrentCell<T>
  ) throws -> [Tensor<T>] {
    let sizes = try sizes(inputs.map { $0.map(TensorInfo.init) })
    func part(_ index: Int, _ direction: Int, axis: Int = 0) throws -> Tensor<T>? {
      guard index < inputs.count, let tensor = try inputs[index]?.require(T.self) else {
        return nil
      }
      let slice = tensor.slice(axis: axis, range: direction..<direction + 1)
      var extents = slice.shape.dimensions
      extents.remove(at: axis)
      return slice.reshaped(to: Shape(extents))
    }
    let (batch, hidden, rows) = (sizes.batch, sizes.hidden, gates * sizes.hidden)
    let lengths = try lengths(inputs.count > 4 ? inputs[4] : nil, sizes)
    var x = try inputs[0]!.require(T.self)
    if isBatchFirst { x = x.permuted(to: [1, 0, 2]) }
    x = x.reshaped(to: [sizes.length * batch, sizes.input])
    if let rounding { x = rounding(x) }

    var all = Tensor<T>(zeros: [sizes.length, directions, batch, hidden])
    var last = Tensor<T>(uninitialized: [directions, batch, hidden])
    var lastCell = last
    for direction in 0..<directions {
      let recurrentWeights = try part(2, direction)!
      let biases = try part(3, direction)?.elements ?? [T](repeating: 0, count: 2 * rows)
      let recurrentBias = Array(biases[rows...])
      let cell = try makeCell(direction, recurrentWeights, recurrentBias)
      let given = try MatMul.product(
        AnyTensor(x), AnyTensor(try part(1, direction)!.transposed()), threads
      ).require(T.self)
      let added = bias(Array(biases[..<rows]), recurrentBias)
      let stateAxis = isBatchFirst ? 1 : 0
      var state = try part(5, direction, axis: stateAxis) ?? Tensor(zeros: [batch, hidden])
      var cellState = try part(6, direction, axis: stateAxis) ?? Tensor(zeros: [batch, hidden])
      for step in 0..<sizes.length {
        var gates = Tensor<T>(zeros: [batch, rows])
        var targets = gates.mutableSpan
        for (row, length) in lengths.enumerated() where step < length {
          let time = reversed[direction] ? length - 1 - step : step
          var target = targets.part(row * rows..<(row + 1) * rows)
          let start = (time * batch + row) * rows
          let source = given.span.extracting(start..<start + rows)
          for i in target.indices { target[i] = source[i] + added[i] }
        }
        let (before, cellBefore) = (state, cellState)
        cell.step(&gates, hidden: &state, cell: &cellState)
        for (row, length) in lengths.enumerated() {
          let own = row * hidden..<(row + 1) * hidden
          if step < length {
            let time = reversed[direction] ? length - 1 - step : step
            let place = ((time * directions + direction) * batch + row) * hidden
            all.overwrite(with: state.span.extracting(own), at: place)
          } else {
            state.overwrite(with: before.span.extracting(own), at: own.lowerBound)
            cellState.overwrite(with: cellBefore.span.extracting(own), at: own.lowerBound)
          }
        }
      }
      last.overwrite(with: state.span, at: direction * batch * hidden)
      lastCell.overwrite(with: cellState.span, at: direction * batch * hidden)
    }
    guard isBatchFirst else { return [all, last, lastCell] }
    return [
      all.permuted(to: [2, 0, 1, 3]).contiguous(), last.permuted(to: [1, 0, 2]).contiguous(),
      lastCell.permuted(to: [1, 0, 2]).contiguous(),
    ]
  }

  private func lengths(_ tensor: AnyTensor?, _ sizes: Sizes) throws -> [Int] {
    let lengths = tensor?.integers ?? [Int](repeating: sizes.length, count: sizes.batch)
    guard lengths.allSatisfy({ 0...sizes.length ~= $0 }) else {
      throw mismatch("sequence_lens \(lengths) exceed 0...\(sizes.length)")
    }
    return lengths
  }

  private func mismatch(_ what: String) -> SwiftletError {
    SwiftletError(.badInput, "\(opType): \(what)")
  }
}

/// Shared by all cells.
extension RecurrentCell {
  /// sums += states · weightsᵀ, with sums in some of the columns of a wider matrix.
  @inline(__always)
  func add(
    _ states: Tensor<T>, times weights: Span<T>, to sums: inout Tensor<T>, column: Int = 0
  ) {
    let (batch, hidden, width) = (states.shape[0], states.shape[1], sums.shape[1])
    guard batch > 0 else { return }
    let columns = weights.count / hidden
    var target = sums.mutableSpan
    var part = target.part(column..<target.count)
    BLAS.gemm(
      m: batch, n: columns, k: hidden, a: states.span, lda: hidden, b: weights, ldb: hidden,
      transposeB: true, beta: 1, c: &part, ldc: width)
  }

  /// `function` of values clipped to `clip`.
  @inline(__always)
  func activate(_ values: inout MutableSpan<T>, _ function: ActivationFunction, clip: T?) {
    if let clip {
      for i in values.indices { values[i] = max(-clip, min(clip, values[i])) }
    }
    function.apply(&values)
  }
}

extension Tensor {
  /// Overwrites the elements from `start` on.
  fileprivate mutating func overwrite(with source: Span<Element>, at start: Int) {
    var target = mutableSpan
    target.copy(source, to: start)
  }
}
