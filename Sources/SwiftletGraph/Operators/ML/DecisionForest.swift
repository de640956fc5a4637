// SPDX-License-Identifier: Apache-2.0

import SwiftletCore

/// Decision trees, validated so that each path from a root ends at a leaf.
struct DecisionForest: Sendable {
  /// How a feature is compared with a node's value.
  enum Mode: Int, Sendable {
    case lessOrEqual, less, greaterOrEqual, greater, equal, unequal, member

    init?(_ name: String) {
      let names = ["LEQ", "LT", "GTE", "GT", "EQ", "NEQ"]
      guard let place = names.firstIndex(where: { name == "BRANCH_\($0)" }) else { return nil }
      self = Mode(rawValue: place)!
    }
  }

  struct Branch: Sendable {
    var feature = 0
    var mode = Mode.lessOrEqual
    var value = 0.0
    /// The members of ``Mode/member``.
    var members: [Double] = []
    /// Whether NaN takes the branch of a true comparison.
    var takesMissing = false
    /// The indices of branches, or −1 − the index of a leaf.
    var whenTrue = 0
    var whenFalse = 0

    @inline(__always)
    func next<T: LayerElement>(_ x: T) -> Int {
      if takesMissing && x.isNaN { return whenTrue }
      let holds =
        switch mode {
        case .lessOrEqual: x <= T(value)
        case .less: x < T(value)
        case .greaterOrEqual: x >= T(value)
        case .greater: x > T(value)
        case .equal: x == T(value)
        case .unequal: x != T(value)
        case .member: members.contains { T($0) == x }
        }
      return holds ? whenTrue : whenFalse
    }
  }

  /// The contribution of a leaf to the scores.
  struct Weight: Sendable {
    let target: Int
    let value: Double
  }

  private let branches: [Branch]
  private let leaves: [[Weight]]
  /// The indices of branches or leaves at which trees start.
  private let roots: [Int]
  /// The number of features that rows must have.
  let width: Int
  let targets: Int

  /// - Parameters:
  ///   - name: The operator, for messages.
  ///   - isComplete: Whether every branch must be reached.
  /// - Throws: `badInput` if a child, a feature or a target does not exist, or a node is reached
  ///   twice.
  init(
    _ name: String, branches: [Branch], leaves: [[Weight]], roots: [Int], targets: Int,
    isComplete: Bool
  ) throws {
    func damaged(_ what: String) -> SwiftletError { SwiftletError(.badInput, "\(name): \(what)") }
    var isSeen = [Bool](repeating: false, count: branches.count)
    for root in roots {
      var open = [root]
      while let place = open.popLast() {
        guard place >= 0 else {
          guard leaves.indices.contains(-1 - place) else {
            throw damaged("a tree refers to a missing leaf")
          }
          continue
        }
        guard branches.indices.contains(place) else {
          throw damaged("a tree refers to a missing node")
        }
        guard !isSeen[place] else { throw damaged("a node of a tree is reached twice") }
        isSeen[place] = true
        open += [branches[place].whenTrue, branches[place].whenFalse]
      }
    }
    guard !isComplete || isSeen.allSatisfy({ $0 }) else {
      throw damaged("the nodes of a tree form a cycle, or belong to no tree")
    }
    guard branches.allSatisfy({ 0..<1 << 40 ~= $0.feature }) else {
      throw damaged("a node tests a negative feature")
    }
    guard leaves.allSatisfy({ $0.allSatisfy { 0..<targets ~= $0.target } }) else {
      throw damaged("a leaf does not refer to any of the \(targets) scores")
    }
    (self.branches, self.leaves, self.roots, self.targets) = (branches, leaves, roots, targets)
    width = branches.reduce(0) { max($0, $1.feature + 1) }
  }

  /// The aggregation of the trees' weights into one score.
  enum Aggregation: Int, Sendable {
    case average, sum, least, greatest

    init?(_ name: String) {
      let names = ["AVERAGE", "SUM", "MIN", "MAX"]
      guard let place = names.firstIndex(of: name) else { return nil }
      self = Aggregation(rawValue: place)!
    }
  }

  /// The scores of a row; `nil` for those without a contributing leaf.
  @inline(__always)
  func scores<T: LayerElement>(_ row: Span<T>, _ aggregation: Aggregation) -> [T?] {
    var result = [T?](repeating: nil, count: targets)
    for root in roots {
      var place = root
      while place >= 0 { place = branches[place].next(row[branches[place].feature]) }
      for weight in leaves[-1 - place] {
        let (value, old) = (T(weight.value), result[weight.target])
        switch aggregation {
        case .sum, .average: result[weight.target] = (old ?? 0) + value
        case .least: result[weight.target] = old.map { min($0, value) } ?? value
        case .greatest: result[weight.target] = old.map { max($0, value) } ?? value
        }
      }
    }
    guard aggregation == .average else { return result }
    return result.map { $0.map { $0 / T(max(1, roots.count)) } }
  }
}

extension DecisionForest {
  /// The trees of the operators that identify nodes by tree and number.
  ///
  /// - Parameters:
  ///   - role: `class` or `target`: the prefix of the weight attributes.
  ///   - ids: The score that each weight contributes to.
  init(listedBy node: Node, role: String, targets: Int) throws {
    func damaged(_ what: String) -> SwiftletError {
      SwiftletError(.badInput, "\(node.opType): \(what)")
    }
    let numbers = try node.ints("nodes_nodeids") ?? []
    let trees = try node.ints("nodes_treeids") ?? []
    let features = try node.ints("nodes_featureids") ?? []
    let modes = try node.strings("nodes_modes") ?? []
    let trueIDs = try node.ints("nodes_truenodeids") ?? []
    let falseIDs = try node.ints("nodes_falsenodeids") ?? []
    let values = try node.reals("nodes_values")
    let missing = try node.ints("nodes_missing_value_tracks_true") ?? []
    let count = numbers.count
    guard count > 0,
      [trees, features, trueIDs, falseIDs].allSatisfy({ $0.count == count }),
      modes.count == count, values.count == count, missing.isEmpty || missing.count == count
    else { throw damaged("its node lists have different lengths") }
    var places: [NodeID: Int] = [:]
    for index in 0..<count {
      let id = NodeID(tree: trees[index], number: numbers[index])
      guard places.updateValue(index, forKey: id) == nil else {
        throw damaged("node \(id.number) of tree \(id.tree) occurs twice")
      }
    }
    // Leaves are nodes too: all other nodes get an index among the branches.
    var branchPlaces: [Int?] = []
    var leafCount = 0
    for mode in modes {
      branchPlaces.append(mode == "LEAF" ? nil : branchPlaces.count - leafCount)
      if mode == "LEAF" { leafCount += 1 }
    }
    var leafPlaces = [Int](repeating: 0, count: count)
    var leaf = 0
    for index in 0..<count where branchPlaces[index] == nil {
      leafPlaces[index] = leaf
      leaf += 1
    }
    func place(_ index: Int) -> Int { branchPlaces[index] ?? -1 - leafPlaces[index] }
    var leaves = [[Weight]](repeating: [], count: leafCount)
    var branches: [Branch] = []
    var isChild = [Bool](repeating: false, count: count)
    for index in 0..<count where branchPlaces[index] != nil {
      guard let mode = Mode(modes[index]) else {
        throw damaged(
          "a node has mode '\(modes[index])', which must be LEAF or BRANCH_ followed by LEQ, "
            + "LT, GTE, GT, EQ or NEQ"
        )
      }
      var branch = Branch()
      (branch.feature, branch.mode, branch.value) = (features[index], mode, values[index])
      branch.takesMissing = missing.isEmpty ? false : missing[index] != 0
      let children = try [trueIDs[index], falseIDs[index]].map { number in
        guard let child = places[NodeID(tree: trees[index], number: number)] else {
          throw damaged("tree \(trees[index]) has no node \(number)")
        }
        isChild[child] = true
        return place(child)
      }
      (branch.whenTrue, branch.whenFalse) = (children[0], children[1])
      branches.append(branch)
    }
    try Self.addWeights(of: node, role, to: &leaves) { id in
      guard let index = places[id], branchPlaces[index] == nil else { return nil }
      return leafPlaces[index]
    }
    // One root for each tree, in file order.
    var rooted: Set<Int> = []
    var roots: [Int] = []
    for index in 0..<count where !isChild[index] {
      guard rooted.insert(trees[index]).inserted else {
        throw damaged("tree \(trees[index]) has several roots")
      }
      roots.append(place(index))
    }
    guard rooted == Set(trees) else { throw damaged("the nodes of a tree form a cycle") }
    try self.init(
      node.opType, branches: branches, leaves: leaves, roots: roots, targets: targets,
      isComplete: true)
  }

  private struct NodeID: Hashable {
    let tree, number: Int
  }

  private static func addWeights(
    of node: Node, _ role: String, to leaves: inout [[Weight]], place: (NodeID) -> Int?
  ) throws {
    let numbers = try node.ints("\(role)_nodeids") ?? []
    let trees = try node.ints("\(role)_treeids") ?? []
    let targets = try node.ints("\(role)_ids") ?? []
    let weights = try node.reals("\(role)_weights")
    guard [trees.count, targets.count, weights.count].allSatisfy({ $0 == numbers.count }) else {
      throw SwiftletError(
        .badInput, "\(node.opType): its weight lists have different lengths")
    }
    for index in numbers.indices {
      // Weights of branches are ignored.
      guard let leaf = place(NodeID(tree: trees[index], number: numbers[index])) else { continue }
      leaves[leaf].append(Weight(target: targets[index], value: weights[index]))
    }
  }
}

extension Node {
  /// Numbers in a list of floats, or in a tensor attribute with the suffix `_as_tensor`.
  func reals(_ name: String) throws -> [Double] {
    if let values = try floats(name) { return values.map(Double.init) }
    guard let attribute = attributes["\(name)_as_tensor"] else { return [] }
    guard case .tensor(let tensor) = attribute, tensor.dtype.isFloat else {
      throw SwiftletError(.badInput, "attribute '\(name)_as_tensor' of \(opType) has no floats")
    }
    return try tensor.converted(to: .float64).require(Double.self).elements
  }
}
