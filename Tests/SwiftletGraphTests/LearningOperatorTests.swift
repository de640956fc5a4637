// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletGraph
import Testing

/// Operators of `ai.onnx.ml`. Numbers without a comment are those of onnxruntime 1.32.
struct LearningOperatorTests {
  private static func compute(
    _ opType: String, _ inputs: [AnyTensor?], _ attributes: [String: Attribute], outputs: Int = 1
  ) throws -> [AnyTensor] {
    let node = Node(
      opType, name: "n", domain: "ai.onnx.ml", inputs: inputs.indices.map { "x\($0)" },
      outputs: (0..<outputs).map { "y\($0)" }, attributes: attributes)
    let op = try OperatorRegistry.make(node, opset: 17)
    let infos = try op.infer(inputs.map { $0.map(TensorInfo.init) })
    var operands = inputs
    let results = try op.forward(&operands, ExecutionContext(threads: Threads(count: 2)))
    #expect(results.map(TensorInfo.init) == infos)
    return results
  }

  private func check(
    _ opType: String, _ inputs: [AnyTensor?], _ attributes: [String: Attribute],
    gives expected: AnyTensor...
  ) throws {
    let results = try Self.compute(opType, inputs, attributes, outputs: expected.count)
    for (result, expected) in zip(results, expected) {
      #expect(result.dtype == expected.dtype && result.shape == expected.shape)
      guard case .float32(let found) = result, case .float32(let wanted) = expected else {
        #expect(result == expected)
        continue
      }
      let isClose = zip(found.elements, wanted.elements).allSatisfy { abs($0 - $1) < 1e-5 }
      #expect(isClose, "\(found.elements) for \(wanted.elements)")
    }
  }

  private let rows = floats([2, 2], [1, -2, 0, 3])

  @Test func featuresAreScaled() throws {
    try check(
      "Scaler", [rows], ["offset": .floats([1, 2]), "scale": .floats([2, 0.5])],
      gives: floats([2, 2], [0, -2, -2, 0.5]))
    try check(
      "Scaler", [ints([1, 2], [3, 5])], ["offset": .floats([1]), "scale": .floats([2])],
      gives: floats([1, 2], [4, 8]))
    try check("Binarizer", [rows], ["threshold": .float(0)], gives: floats([2, 2], [1, 0, 0, 1]))
    try check(
      "Normalizer", [rows], ["norm": .string("L1")], gives: floats([2, 2], [1 / 3, -2 / 3, 0, 1]))
    try check(
      "Normalizer", [floats([2, 2], [3, 4, 0, 0])], ["norm": .string("L2")],
      gives: floats([2, 2], [0.6, 0.8, 0, 0]))
    try check(
      "Normalizer", [rows], ["norm": .string("MAX")], gives: floats([2, 2], [1, -2, 0, 1]))
  }

  @Test func missingValuesAreFilled() throws {
    try check(
      "Imputer", [floats([2, 2], [.nan, 1, 2, .nan])],
      ["imputed_value_floats": .floats([7, 8]), "replaced_value_float": .float(.nan)],
      gives: floats([2, 2], [7, 1, 2, 8]))
    try check(
      "Imputer", [list(0, 5)],
      ["imputed_value_int64s": .ints([9]), "replaced_value_int64": .int(0)], gives: list(9, 5))
  }

  @Test func labelsAndCategories() throws {
    try check(
      "LabelEncoder", [list(3, 4)],
      [
        "keys_int64s": .ints([3, 5]), "values_floats": .floats([0.5, 1]),
        "default_float": .float(9),
      ],
      gives: floats([2], [0.5, 9]))
    try check(
      "LabelEncoder", [floats([3], [1.5, .nan, 2])],
      ["keys_floats": .floats([1.5, .nan]), "values_int64s": .ints([1, 2])], gives: list(1, 2, -1))
    try check(
      "OneHotEncoder", [list(4, 6)], ["cats_int64s": .ints([4, 5])],
      gives: floats([2, 2], [1, 0, 0, 0]))
    try check(
      "ArrayFeatureExtractor", [rows, list(1, 1)], [:], gives: floats([2, 2], [-2, -2, 3, 3]))
    try check(
      "ArrayFeatureExtractor", [list(5, 6, 7), list(2)], [:], gives: ints([1, 1], [7]))
    try check(
      "FeatureVectorizer", [rows, ints([2, 1], [8, 9])], ["inputdimensions": .ints([2, 1])],
      gives: floats([2, 3], [1, -2, 8, 0, 3, 9]))
    // Scores stay a matrix.
    try check("ZipMap", [rows], ["classlabels_int64s": .ints([4, 7])], gives: rows)
  }

  @Test func linearModels() throws {
    try check(
      "LinearRegressor", [rows],
      ["coefficients": .floats([1, 2]), "intercepts": .floats([0.5])],
      gives: floats([2, 1], [-2.5, 6.5]))
    try check(
      "LinearClassifier", [rows],
      [
        "coefficients": .floats([1, 2]), "intercepts": .floats([0]),
        "classlabels_ints": .ints([5, 8]), "post_transform": .string("LOGISTIC"),
      ],
      gives: list(5, 8), floats([2, 2], [0.952_574, 0.047_426, 0.002_473, 0.997_527]))
    try check(
      "LinearClassifier", [rows],
      [
        "coefficients": .floats([1, 0, 0, 1, 1, 1]), "intercepts": .floats([0, 0, 0]),
        "classlabels_ints": .ints([5, 8, 9]),
      ],
      gives: list(5, 8), floats([2, 3], [1, -2, -1, 0, 3, 3]))
  }

  @Test func supportVectorMachines() throws {
    let kernel: [String: Attribute] = [
      "kernel_type": .string("RBF"), "kernel_params": .floats([0.5, 0, 3]),
      "support_vectors": .floats([1, -2, 0, 3]), "rho": .floats([0.1]),
    ]
    try check(
      "SVMRegressor", [rows],
      kernel.merging(["coefficients": .floats([2, -1]), "n_supports": .int(2)]) { $1 },
      gives: floats([2, 1], [2.099_998, -0.899_995]))
    try check(
      "SVMClassifier", [rows],
      kernel.merging([
        "coefficients": .floats([2, -1]), "vectors_per_class": .ints([1, 1]),
        "classlabels_ints": .ints([4, 6]),
      ]) { $1 },
      gives: list(4, 6), floats([2, 2], [-2.099_998, 2.099_998, 0.899_995, -0.899_995]))
  }

  /// Without vectors there are weights of features, whatever kernel is named: x · w + rho.
  @Test(arguments: ["LINEAR", "POLY", "RBF", "SIGMOID"])
  func weightsOfFeaturesAreLinear(kernel: String) throws {
    let attributes: [String: Attribute] = [
      "kernel_type": .string(kernel), "kernel_params": .floats([0.5, 1, 3]),
      "coefficients": .floats([2, -1]), "rho": .floats([0.5]), "n_supports": .int(0),
    ]
    try check(
      "SVMRegressor", [floats([2, 2], [3, 4, 0, 1])], attributes,
      gives: floats([2, 1], [2.5, -0.5])
    )
  }

  /// Two trees: x₀ ≤ 0.5 and then x₁ < 1; and x₁ > 0, where NaN counts as more.
  private static let trees: [String: Attribute] = [
    "nodes_treeids": .ints([0, 0, 0, 0, 0, 1, 1, 1]),
    "nodes_nodeids": .ints([0, 1, 2, 3, 4, 0, 1, 2]),
    "nodes_featureids": .ints([0, 1, 0, 0, 0, 1, 0, 0]),
    "nodes_values": .floats([0.5, 1, 0, 0, 0, 0, 0, 0]),
    "nodes_modes": .strings([
      "BRANCH_LEQ", "BRANCH_LT", "LEAF", "LEAF", "LEAF", "BRANCH_GT", "LEAF", "LEAF",
    ]),
    "nodes_truenodeids": .ints([1, 3, 0, 0, 0, 1, 0, 0]),
    "nodes_falsenodeids": .ints([2, 4, 0, 0, 0, 2, 0, 0]),
    "nodes_missing_value_tracks_true": .ints([0, 0, 0, 0, 0, 1, 0, 0]),
  ]

  private static func weights(_ role: String, _ ids: [Int]) -> [String: Attribute] {
    [
      "\(role)_treeids": .ints([0, 0, 0, 1, 1]), "\(role)_nodeids": .ints([2, 3, 4, 1, 2]),
      "\(role)_ids": .ints(ids), "\(role)_weights": .floats([1, 2, 4, 8, 16]),
    ]
  }

  @Test func treesAddUp() throws {
    let x = floats([4, 2], [0, 0, 0, 3, 1, 3, .nan, .nan])
    let attributes = Self.trees.merging(Self.weights("target", [0, 0, 0, 0, 0])) { $1 }
    try check(
      "TreeEnsembleRegressor", [x], attributes, gives: floats([4, 1], [18, 12, 9, 9]))
    try check(
      "TreeEnsembleRegressor", [x],
      attributes.merging(["aggregate_function": .string("MAX"), "base_values": .floats([1])]) {
        $1
      },
      gives: floats([4, 1], [17, 9, 9, 9]))
    // In double precision too, of which the results are fp32.
    try check(
      "TreeEnsembleRegressor", [x.converted(to: .float64)], attributes,
      gives: floats([4, 1], [18, 12, 9, 9]))
  }

  @Test func treesVote() throws {
    let x = floats([2, 2], [0, 0, 1, 3])
    try check(
      "TreeEnsembleClassifier", [x],
      Self.trees.merging(Self.weights("class", [0, 1, 2, 0, 1])) { $1 }
        .merging(["classlabels_int64s": .ints([10, 20, 30])]) { $1 },
      gives: list(20, 10), floats([2, 3], [0, 18, 0, 9, 0, 0]))
    // One score of two classes.
    var binary = Self.trees.merging(Self.weights("class", [0, 0, 0, 0, 0])) { $1 }
    binary["classlabels_int64s"] = .ints([10, 20])
    binary["class_weights"] = .floats([-1, 0, 0, 0.25, 1])
    binary["post_transform"] = .string("LOGISTIC")
    try check(
      "TreeEnsembleClassifier", [x], binary, gives: list(20, 10),
      floats([2, 2], [0.268_941, 0.731_059, 0.679_179, 0.320_821]))
  }

  @Test func linkedTreesWithSets() throws {
    let attributes: [String: Attribute] = [
      "n_targets": .int(2), "tree_roots": .ints([0, 2]),
      "nodes_modes": .tensor(.uint8(Tensor([3], [0, 6, 4]))),
      "nodes_featureids": .ints([0, 1, 2]), "nodes_splits": .tensor(floats([3], [0.1, 1, 0])),
      "nodes_truenodeids": .ints([1, 0, 2]), "nodes_trueleafs": .ints([0, 1, 1]),
      "nodes_falsenodeids": .ints([1, 2, 3]), "nodes_falseleafs": .ints([1, 1, 1]),
      "leaf_targetids": .ints([0, 1, 0, 1]),
      "leaf_weights": .tensor(floats([4], [0.5, 1.5, -2, 0.25])),
      "membership_values": .tensor(floats([3], [1, 2, .nan])),
    ]
    try check(
      "TreeEnsemble", [floats([3, 3], [0, 1, 0, 0, 3, 1, 1, 1, 1])], attributes,
      gives: floats([3, 2], [-1.5, 0, -2, 0.25, 0, 1.75]))
  }

  /// Whatever a file says of trees, a walk ends at a leaf that is there.
  @Test(
    arguments: [
      ("nodes_truenodeids", Attribute.ints([0, 3, 0, 0, 0, 1, 0, 0])),
      ("nodes_truenodeids", .ints([1, 0, 0, 0, 0, 1, 0, 0])),
      ("nodes_truenodeids", .ints([99, 3, 0, 0, 0, 1, 0, 0])),
      ("nodes_falsenodeids", .ints([1, 4, 0, 0, 0, 2, 0, 0])),
      ("nodes_nodeids", .ints([0, 0, 2, 3, 4, 0, 1, 2])),
      ("nodes_featureids", .ints([-1, 1, 0, 0, 0, 1, 0, 0])),
      ("nodes_featureids", .ints([0, .max, 0, 0, 0, 1, 0, 0])),
      ("nodes_featureids", .ints([0, 7, 0, 0, 0, 1, 0, 0])),
      ("nodes_values", .floats([0.5])),
      ("nodes_modes", .strings([String](repeating: "BRANCH_NONE", count: 8))),
      ("nodes_modes", .strings([String](repeating: "BRANCH_LEQ", count: 8))),
      ("target_ids", .ints([0, 0, 0, 0, 9])),
      ("target_ids", .ints([0, 0, 0, 0, -1])),
      ("target_weights", .floats([1])),
      ("n_targets", .int(0)),
      ("n_targets", .int(-3)),
      ("aggregate_function", .string("MEDIAN")),
      ("base_values", .floats([1, 2, 3])),
      ("post_transform", .string("CUBE")),
    ] as [(String, Attribute)])
  func damagedTreesAreRefused(name: String, value: Attribute) {
    var attributes = Self.trees.merging(Self.weights("target", [0, 0, 0, 0, 0])) { $1 }
    attributes[name] = value
    #expect(throws: SwiftletError.self) {
      try Self.compute("TreeEnsembleRegressor", [floats([1, 2], [0, 0])], attributes)
    }
  }

  @Test(
    arguments: [
      ("Scaler", ["offset": .floats([1, 2, 3])]), ("Imputer", [:]),
      ("Imputer", ["imputed_value_floats": .floats([1, 2, 3])]), ("LabelEncoder", [:]),
      ("LabelEncoder", ["keys_floats": .floats([1]), "values_int64s": .ints([1, 2])]),
      ("LabelEncoder", ["keys_int64s": .ints([1]), "values_int64s": .ints([1])]),
      ("OneHotEncoder", [:]), ("ZipMap", ["classlabels_int64s": .ints([1, 2, 3])]),
      ("LinearRegressor", ["coefficients": .floats([1, 2, 3])]), ("LinearRegressor", [:]),
      ("LinearRegressor", ["coefficients": .floats([1, 2]), "targets": .int(0)]),
      ("LinearClassifier", ["coefficients": .floats([1])]), ("SVMRegressor", [:]),
      ("SVMRegressor", ["n_supports": .int(-1), "coefficients": .floats([1])]),
      (
        "SVMRegressor",
        [
          "n_supports": .int(2), "coefficients": .floats([1]),
          "support_vectors": .floats([1, 2, 3, 4]),
        ]
      ),
      ("SVMClassifier", ["vectors_per_class": .ints([.max, .max])]),
      ("SVMClassifier", ["vectors_per_class": .ints([-1, 2])]), ("TreeEnsembleRegressor", [:]),
      ("TreeEnsembleClassifier", [:]), ("TreeEnsemble", ["tree_roots": .ints([0])]),
      ("Normalizer", ["norm": .string("L3")]), ("Unknown", [:]),
    ] as [(String, [String: Attribute])])
  func refusals(opType: String, attributes: [String: Attribute]) {
    #expect(throws: SwiftletError.self) {
      try Self.compute(opType, [floats([2, 2], [1, 2, 3, 4])], attributes)
    }
  }
}
