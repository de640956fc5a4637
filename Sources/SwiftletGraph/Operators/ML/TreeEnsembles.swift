// SPDX-License-Identifier: Apache-2.0

import SwiftletCore

/// The scores of decision trees for rows N×F: N×T, in fp32.
///
/// - Source: ONNX `ai.onnx.ml`, `TreeEnsembleRegressor` and, with results of the input's type,
///   `TreeEnsemble`.
struct TreeEnsemble: Operator {
  static let opType = "TreeEnsembleRegressor"
  static let opTypes = ["TreeEnsembleRegressor", "TreeEnsemble"]
  private let forest: DecisionForest
  private let aggregation: DecisionForest.Aggregation
  private let base: [Double]
  private let transform: PostTransform
  private let keepsType: Bool

  init(_ node: Node, opset: Int) throws {
    keepsType = node.opType == "TreeEnsemble"
    let targets = try node.int("n_targets", default: 1)
    guard 1...1 << 24 ~= targets else {
      throw SwiftletError(
        .badInput, "\(node.opType) has n_targets \(targets), which must be 1 to \(1 << 24)")
    }
    if keepsType {
      forest = try DecisionForest(linkedBy: node, targets: targets)
      transform = try PostTransform(number: node.int("post_transform", default: 0), node)
      base = []
      guard
        let known = DecisionForest.Aggregation(
          rawValue: try node.int("aggregate_function", default: 1))
      else {
        throw SwiftletError(.badInput, "the aggregate_function of TreeEnsemble is not in 0 to 3")
      }
      aggregation = known
      return
    }
    forest = try DecisionForest(listedBy: node, role: "target", targets: targets)
    transform = try PostTransform(node)
    base = try node.reals("base_values")
    let name = try node.string("aggregate_function", default: "SUM")
    guard let known = DecisionForest.Aggregation(name), [0, targets].contains(base.count) else {
      throw SwiftletError(
        .badInput,
        "\(node.opType) has aggregate_function '\(name)', which must be AVERAGE, SUM, MIN or MAX, "
          + "and \(base.count) base values, which must be none or \(targets)")
    }
    aggregation = known
  }

  func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    let rows = try rows(inputs)
    guard rows.width >= forest.width else {
      throw mismatch("the input has \(rows.width) features, but the trees need \(forest.width)")
    }
    let dtype = keepsType && inputs[0]!.dtype == .float64 ? DType.float64 : .float32
    return [TensorInfo(dtype, try Shape(checking: [rows.count, forest.targets]))]
  }

  func forward(_ inputs: inout [AnyTensor?], _ context: ExecutionContext) throws -> [AnyTensor] {
    let x = inputs[0]!
    let rows = try rows([TensorInfo(x)])
    switch reals(x) {
    case .float64(let x):
      let y = AnyTensor(compute(x.contiguous(), rows.count, rows.width, context.threads))
      return [keepsType ? y : y.converted(to: .float32)]
    case let x:
      return [
        AnyTensor(
          compute(try x.require(Float.self).contiguous(), rows.count, rows.width, context.threads))
      ]
    }
  }

  @specialized(where T == Float)
  @specialized(where T == Double)
  private func compute<T: LayerElement>(
    _ x: Tensor<T>, _ count: Int, _ width: Int, _ threads: Threads
  ) -> Tensor<T> {
    var y = Tensor<T>(uninitialized: [count, forest.targets])
    threads.forEachBlock(of: &y, minimumWork: 64) { rows, output in
      for row in rows {
        let features = x.span.extracting(row * width..<(row + 1) * width)
        var scores = forest.scores(features, aggregation).map { $0 ?? 0 }
        for (index, value) in base.enumerated() { scores[index] += T(value) }
        transform.apply(&scores)
        let start = (row - rows.lowerBound) * forest.targets
        for (index, score) in scores.enumerated() { output[start + index] = score }
      }
    }
    return y
  }
}

/// The label that decision trees assign to rows N×F, and the scores of the classes: N, N×C.
///
/// If all weights belong to the first class of two, their sum is the score of the second; the first
/// one's is 1 − score if no weight is negative, and −score otherwise.
///
/// - Source: ONNX `ai.onnx.ml`, `TreeEnsembleClassifier`.
struct TreeEnsembleClassifier: Operator {
  static let opType = "TreeEnsembleClassifier"
  private let forest: DecisionForest
  private let base: [Double]
  private let labels: ClassLabels
  private let transform: PostTransform
  /// Whether only one of two classes has weights.
  private let isBinary: Bool
  private let binaryTarget: Int
  private let isPositive: Bool

  init(_ node: Node, opset: Int) throws {
    labels = try ClassLabels(node, "classlabels_int64s")
    let ids = Set(try node.ints("class_ids") ?? [])
    guard !labels.values.isEmpty else {
      throw SwiftletError(.badInput, "TreeEnsembleClassifier has no labels")
    }
    forest = try DecisionForest(listedBy: node, role: "class", targets: labels.values.count)
    transform = try PostTransform(node)
    base = try node.reals("base_values")
    binaryTarget = ids.first ?? 0
    isBinary = labels.values.count == 2 && ids.count == 1
    isPositive = try node.reals("class_weights").allSatisfy { $0 >= 0 }
    guard
      base.count <= 1 && labels.values.count <= 2 || [0, labels.values.count].contains(base.count)
    else {
      throw SwiftletError(
        .badInput,
        "TreeEnsembleClassifier has \(base.count) base values, which do not match "
          + "\(labels.values.count) classes")
    }
  }

  func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    let rows = try rows(inputs)
    guard rows.width >= forest.width else {
      throw mismatch("the input has \(rows.width) features, but the trees need \(forest.width)")
    }
    return [
      TensorInfo(.int64, [rows.count]),
      TensorInfo(.float32, try Shape(checking: [rows.count, forest.targets])),
    ]
  }

  func forward(_ inputs: inout [AnyTensor?], _ context: ExecutionContext) throws -> [AnyTensor] {
    let x = inputs[0]!
    let rows = try rows([TensorInfo(x)])
    let results: Tensor<Float>
    switch reals(x) {
    case .float64(let x): results = compute(x.contiguous(), rows.count, rows.width, context.threads)
    case let x:
      results = compute(
        try x.require(Float.self).contiguous(), rows.count, rows.width, context.threads)
    }
    let places = results.slice(axis: 1, range: 0..<1).elements
    return [
      .int64(Tensor([rows.count], places.map { labels[Int($0)] })),
      .float32(results.slice(axis: 1, range: 1..<1 + forest.targets).contiguous()),
    ]
  }

  /// The index of the label, followed by the scores.
  @specialized(where T == Float)
  @specialized(where T == Double)
  private func compute<T: LayerElement>(
    _ x: Tensor<T>, _ count: Int, _ width: Int, _ threads: Threads
  ) -> Tensor<Float> {
    let columns = 1 + forest.targets
    var y = Tensor<Float>(uninitialized: [count, columns])
    threads.forEachBlock(of: &y, minimumWork: 64) { rows, output in
      for row in rows {
        let features = x.span.extracting(row * width..<(row + 1) * width)
        let (label, scores) = classified(forest.scores(features, .sum))
        let start = (row - rows.lowerBound) * columns
        output[start] = Float(label)
        for (index, score) in scores.enumerated() { output[start + 1 + index] = Float(score) }
      }
    }
    return y
  }

  @inline(__always)
  private func classified<T: LayerElement>(_ given: [T?]) -> (label: Int, scores: [T]) {
    guard isBinary else {
      var scores = given.map { $0 ?? 0 }
      for (index, value) in base.enumerated() { scores[index] += T(value) }
      let label = scores.indices.reduce(0) { scores[$1] > scores[$0] ? $1 : $0 }
      transform.apply(&scores)
      return (label, scores)
    }
    // Of two base values, the second one applies.
    let score = (given[binaryTarget] ?? 0) + T(base.last ?? 0)
    let label = score > (isPositive ? 0.5 : 0) ? 1 : 0
    if binaryTarget == 1 {
      var scores = [0, score]
      transform.apply(&scores)
      return (label, scores)
    }
    var scores = [score]
    switch transform {
    case .logistic: return (label, [PostTransform.logistic(-score), PostTransform.logistic(score)])
    case .probit: transform.apply(&scores)
    default: break
    }
    return (label, [isPositive ? 1 - scores[0] : -scores[0], scores[0]])
  }
}

extension DecisionForest {
  /// The trees of the operator that links nodes by index.
  init(linkedBy node: Node, targets: Int) throws {
    func damaged(_ what: String) -> SwiftletError {
      SwiftletError(.badInput, "TreeEnsemble: \(what)")
    }
    func tensor(_ name: String) throws -> [Double] {
      guard let attribute = node.attributes[name] else { return [] }
      guard case .tensor(let tensor) = attribute, tensor.dtype.isNumber else {
        throw damaged("attribute '\(name)' has no numbers")
      }
      return try tensor.converted(to: .float64).require(Double.self).elements
    }
    let features = try node.ints("nodes_featureids") ?? []
    let modes = try tensor("nodes_modes")
    let splits = try tensor("nodes_splits")
    let links = try [
      "nodes_truenodeids", "nodes_falsenodeids", "nodes_trueleafs", "nodes_falseleafs",
    ]
    .map { try node.ints($0) ?? [] }
    let missing = try node.ints("nodes_missing_value_tracks_true") ?? []
    let count = features.count
    guard modes.count == count, splits.count == count, links.allSatisfy({ $0.count == count }),
      missing.isEmpty || missing.count == count
    else { throw damaged("its node lists have different lengths") }
    var sets = try tensor("membership_values").split(
      omittingEmptySubsequences: false, whereSeparator: \.isNaN)[...]
    func link(_ place: Int, isLeaf: Bool) throws -> Int {
      guard 0..<1 << 40 ~= place else {
        throw damaged("a node refers to index \(place), which does not exist")
      }
      return isLeaf ? -1 - place : place
    }
    var branches: [Branch] = []
    for index in 0..<count {
      guard let number = Int(exactly: modes[index]), let mode = Mode(rawValue: number) else {
        throw damaged("a node has mode \(modes[index]), which must be 0 to 6")
      }
      var branch = Branch()
      (branch.feature, branch.mode, branch.value) = (features[index], mode, splits[index])
      branch.takesMissing = missing.isEmpty ? false : missing[index] != 0
      if mode == .member {
        guard let set = sets.popFirst() else { throw damaged("a node has no members") }
        branch.members = Array(set)
      }
      branch.whenTrue = try link(links[0][index], isLeaf: links[2][index] != 0)
      branch.whenFalse = try link(links[1][index], isLeaf: links[3][index] != 0)
      branches.append(branch)
    }
    let (ids, weights) = (try node.ints("leaf_targetids") ?? [], try tensor("leaf_weights"))
    guard ids.count == weights.count else {
      throw damaged("its leaf lists have different lengths")
    }
    let leaves = zip(ids, weights).map { [Weight(target: $0, value: $1)] }
    var roots = try node.ints("tree_roots") ?? []
    guard roots.allSatisfy({ branches.indices.contains($0) }) else {
      throw damaged("a tree has no root")
    }
    // A tree consisting of a single leaf is a node whose branches are both that leaf.
    roots = roots.map {
      branches[$0].whenTrue == branches[$0].whenFalse && branches[$0].whenTrue < 0
        ? branches[$0].whenTrue : $0
    }
    try self.init(
      "TreeEnsemble", branches: branches, leaves: leaves, roots: roots, targets: targets,
      isComplete: false)
  }
}
