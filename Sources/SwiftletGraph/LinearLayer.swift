// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
package import SwiftletCore

/// A node that computes y = x ∗ W + b: a `Conv`, `ConvTranspose`, `Gemm` or `MatMul`.
///
/// This is the only place that reads the attributes of such nodes and where their weights have
/// which axis; the operators themselves read theirs. It states facts, also those that most users
/// refuse (``transposesData``, ``alpha``, ``beta``, ``groups``, ``isOnLeft``), and leaves decisions
/// to them. Whether the weights are constant, and of which type, is up to the user too.
///
/// Images have the order N×C×…, the only one ONNX knows. Weights are stored
///
/// | operator        | weights            |
/// |-----------------|--------------------|
/// | `Conv`          | O × I/groups × …   |
/// | `ConvTranspose` | I × O/groups × …   |
/// | `Gemm`          | I×O; O×I: `transB` |
/// | `MatMul`        | I×O, or stacks     |
/// | on the left     | O×I; I×O: `transA` |
///
/// - Source: ONNX operator specifications.
package struct LinearLayer: Sendable {
  package enum Kind: String, Sendable, CaseIterable {
    case conv = "Conv"
    case convTranspose = "ConvTranspose"
    case gemm = "Gemm"
    case matMul = "MatMul"

    fileprivate var isProduct: Bool { self == .gemm || self == .matMul }
  }

  package private(set) var node: Node
  package let kind: Kind
  /// The position of the weights among the inputs: 1, or 0 for a product W · x.
  package let weightInput: Int
  /// Groups of channels that a convolution works on separately, at least 1.
  package private(set) var groups: Int
  /// Whether weights are stored with the output channels before the input channels.
  package let isOutputMajor: Bool
  /// Whether a `Gemm` transposes x.
  package let transposesData: Bool
  /// The factors of the product and of the addend of a `Gemm`.
  package let alpha, beta: Float

  /// Reads a node.
  ///
  /// - Parameters:
  ///   - node: Any node.
  ///   - isConstant: Whether an input of this name is constant. A product has its weights on the
  ///     left if only its left operand is constant.
  /// - Returns: `nil` if the node is another operator or has fewer than two inputs.
  /// - Throws: `badInput` if an attribute has the wrong kind, or `group` is not a number of groups.
  package init?(_ node: Node, isConstant: (String) -> Bool = { _ in true }) throws {
    guard let kind = Kind(rawValue: node.opType), node.isStandard, node.inputs.count > 1,
      !node.inputs[0].isEmpty, !node.inputs[1].isEmpty, !node.outputs.isEmpty
    else { return nil }
    (self.node, self.kind) = (node, kind)
    var isTransposed = (a: false, b: false)
    var (factors, groups) = ((alpha: Float(1), beta: Float(1)), 1)
    switch kind {
    case .conv, .convTranspose:
      groups = try node.int("group", default: 1)
      guard 1...SlidingWindow.limit ~= groups else {
        throw SwiftletError(
          .badInput, "\(node.opType) has group = \(groups), which must be at least 1",
          at: node.label)
      }
    case .gemm:
      isTransposed.a = try node.int("transA", default: 0) != 0
      isTransposed.b = try node.int("transB", default: 0) != 0
      factors = (try node.float("alpha", default: 1), try node.float("beta", default: 1))
    case .matMul: break
    }
    (self.groups, alpha, beta) = (groups, factors.alpha, factors.beta)
    let isOnLeft =
      kind.isProduct && !isConstant(node.inputs[1]) && isConstant(node.inputs[0])
    weightInput = isOnLeft ? 0 : 1
    transposesData = isOnLeft ? isTransposed.b : isTransposed.a
    switch kind {
    case .conv: isOutputMajor = true
    case .convTranspose: isOutputMajor = false
    case .gemm, .matMul: isOutputMajor = isOnLeft ? !isTransposed.a : isTransposed.b
    }
  }

  /// A node of the graph, with the graph's initializers as constants.
  ///
  /// - Throws: As ``init(_:isConstant:)``.
  package init?(_ node: Node, in graph: Graph) throws {
    try self.init(node) { graph.initializers[$0] != nil }
  }

  // MARK: Inputs

  /// The position of x among the inputs.
  package var dataInput: Int { 1 - weightInput }
  /// Whether the product is W · x.
  package var isOnLeft: Bool { weightInput == 0 }
  /// The name of x.
  package var data: String { node.inputs[dataInput] }
  /// The name of W.
  package var weights: String { node.inputs[weightInput] }
  /// The name of b; `nil` if there is none.
  package var bias: String? {
    guard kind != .matMul, node.inputs.count > 2, !node.inputs[2].isEmpty else { return nil }
    return node.inputs[2]
  }
  /// The name of y.
  package var output: String { node.outputs[0] }

  /// Whether a window moves over images.
  package var isConvolution: Bool { !kind.isProduct }
  /// Whether the layer adds b to x ∗ W, without factors and with x as it is.
  package var isPlain: Bool { !transposesData && alpha == 1 && beta == 1 }

  // MARK: Axes

  /// The axis of x and y along which channels lie: of images the second, of rows the last; of W · x
  /// the one before it. `transposesData` exchanges the axes of x.
  package func channelAxis(rank: Int) -> Int { isConvolution ? 1 : rank - (isOnLeft ? 2 : 1) }

  /// The axis of the weights for the output channels; those of one group for `ConvTranspose`.
  package func outputAxis(rank: Int) -> Int { firstAxis(rank) + (isOutputMajor ? 0 : 1) }

  /// The axis of the weights for the input channels; those of one group for `Conv`.
  package func inputAxis(rank: Int) -> Int { firstAxis(rank) + (isOutputMajor ? 1 : 0) }

  /// The first of the two axes for channels, after those of a stack of matrices.
  private func firstAxis(_ rank: Int) -> Int { isConvolution ? 0 : rank - 2 }

  /// Where weights of this shape have which channels.
  ///
  /// - Returns: `nil` if the layer cannot have weights of this shape, or if these are a stack of
  ///   matrices.
  package func layout(_ shape: Shape) -> Layout? {
    guard isConvolution ? shape.rank >= 3 : shape.rank == 2, shape[0] % groups == 0,
      shape[1] <= SlidingWindow.extents.upperBound
    else { return nil }
    return Layout(shape, isOutputMajor: isOutputMajor, groups: groups)
  }

  /// The same convolution with another number of groups, at least 1.
  package func regrouped(_ groups: Int) -> LinearLayer {
    var result = self
    result.groups = groups
    result.node.attributes["group"] = .int(groups)
    return result
  }

  // MARK: Weights with the output channels first

  /// Weights as output channels × input channels of a group × window, whatever their storage.
  ///
  /// - Parameter stored: Weights for which there is a ``layout(_:)``.
  package func outputsFirst<T>(_ stored: Tensor<T>) -> Tensor<T> {
    isOutputMajor ? stored : exchangingChannels(stored)
  }

  /// The inverse of ``outputsFirst(_:)``.
  package func stored<T>(_ outputsFirst: Tensor<T>) -> Tensor<T> {
    isOutputMajor ? outputsFirst : exchangingChannels(outputsFirst)
  }

  /// Exchanges the first two axes within each group, which lie along the first one.
  private func exchangingChannels<T>(_ weights: Tensor<T>) -> Tensor<T> {
    guard isConvolution else { return weights.transposed().contiguous() }
    let (shape, kernel) = (weights.shape, weights.shape.dimensions[2...])
    let (rows, area) = (shape[0] / groups, shape.count(of: 2..<shape.rank))
    return weights.contiguous().reshaped(to: [groups, rows, shape[1], area])
      .permuted(to: [0, 2, 1, 3]).contiguous()
      .reshaped(to: Shape([groups * shape[1], rows] + kernel))
  }
}

extension LinearLayer {
  /// Where the weights of a layer have which channels.
  package struct Layout: Sendable, Equatable {
    package let shape: Shape
    private let isOutputMajor: Bool
    package let groups: Int
    /// Channels of all groups.
    package let outputs, inputs: Int
    /// Positions of the window; 1 for matrices.
    package let taps: Int

    fileprivate init(_ shape: Shape, isOutputMajor: Bool, groups: Int) {
      (self.shape, self.isOutputMajor, self.groups) = (shape, isOutputMajor, groups)
      (outputs, inputs) =
        isOutputMajor ? (shape[0], shape[1] * groups) : (shape[1] * groups, shape[0])
      taps = shape.count(of: 2..<shape.rank)
    }

    package var inputsPerGroup: Int { inputs / groups }
    package var outputsPerGroup: Int { outputs / groups }
    /// Products per output: the channels of a group at each position of the window.
    package var depth: Int { inputsPerGroup * taps }
    /// Extents of the window; empty for matrices.
    package var kernel: [Int] { Array(shape.dimensions[2...]) }
    /// The axis for the output channels; those of one group for `ConvTranspose`.
    package var outputAxis: Int { isOutputMajor ? 0 : 1 }

    /// The output and the input channel, counted over all groups, of the weight at a position in
    /// row-major order.
    package func channels(at position: Int) -> (output: Int, input: Int) {
      let columns = shape[1]
      let (row, column) = (position / (columns * taps), position / taps % columns)
      if isOutputMajor { return (row, row / outputsPerGroup * columns + column) }
      return (row / inputsPerGroup * columns + column, row)
    }

    /// The position of the weight of an output for one of its products: input channels of the
    /// output's group, and for each of these the positions of the window.
    package func position(_ output: Int, _ product: Int) -> Int {
      if isOutputMajor { return output * depth + product }
      let row = output / outputsPerGroup * inputsPerGroup + product / taps
      return (row * outputsPerGroup + output % outputsPerGroup) * taps + product % taps
    }
  }
}
