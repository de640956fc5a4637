// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletGraph
import Testing

/// Every gradient against central differences, in double precision, over odd shapes.
struct GradientTests {
  /// An operator on inputs of given shapes, and which of them have gradients.
  struct Case: Sendable, CustomStringConvertible {
    let node: Node
    let shapes: [Shape]
    let wanted: Set<Int>
    var opset = 17
    /// Keeps inputs apart by this much, where the operator has kinks: so that differences do not
    /// step over one.
    var spacing = 0.0
    /// Added to all inputs, where the operator is for positive ones.
    var offset = 0.0

    var description: String {
      let attributes = node.attributes.keys.sorted().map { "\($0)=\(node.attributes[$0]!)" }
      return "\(node.opType) \(shapes.map(\.description)) \(attributes.joined(separator: " "))"
    }

    init(
      _ opType: String, _ shapes: [Shape], _ attributes: [String: Attribute] = [:],
      wanted: Set<Int>? = nil, opset: Int = 17, spacing: Double = 0,
      offset: Double = 0
    ) {
      node = Node(
        opType, name: "", inputs: shapes.indices.map { "x\($0)" }, outputs: ["y"],
        attributes: attributes)
      self.shapes = shapes
      self.wanted = wanted ?? Set(shapes.indices)
      self.opset = opset
      self.spacing = spacing
      self.offset = offset
    }
  }

  private static let convolutions: [Case] = [
    Case("Conv", [[2, 3, 5, 7], [4, 3, 3, 3], [4]], ["pads": .ints([1, 1, 1, 1])]),
    Case("Conv", [[1, 2, 6, 5], [3, 2, 2, 3]], ["strides": .ints([2, 1])]),
    Case("Conv", [[3, 1, 7, 7], [2, 1, 3, 3], [2]], ["dilations": .ints([2, 3])]),
    Case(
      "Conv", [[2, 4, 5, 5], [6, 2, 3, 3], [6]],
      ["group": .int(2), "pads": .ints([0, 1, 2, 1]), "strides": .ints([1, 2])]),
    Case(
      "Conv", [[2, 3, 4, 5], [3, 1, 3, 3], [3]], ["group": .int(3), "pads": .ints([1, 1, 1, 1])]),
    Case("Conv", [[2, 3, 4, 4], [6, 1, 2, 2]], ["group": .int(3)]),
    Case("Conv", [[2, 3, 4, 4], [5, 3, 1, 1], [5]]),
    Case(
      "Conv", [[1, 2, 5, 6], [2, 2, 3, 3]],
      ["auto_pad": .string("SAME_UPPER"), "strides": .ints([2, 2])]),
    Case("Conv", [[1, 2, 5, 6], [2, 2, 2, 4]], ["auto_pad": .string("SAME_LOWER")]),
    Case("Conv", [[1, 1, 3, 3], [1, 1, 3, 3]], ["pads": .ints([2, 2, 2, 2])]),
    // Large enough for several tiles: many images, and rows of one image.
    Case("Conv", [[9, 1, 8, 8], [1, 1, 3, 3]], ["pads": .ints([1, 1, 1, 1])], wanted: [1]),
    Case("Conv", [[1, 30, 34, 35], [1, 30, 3, 3]], wanted: [1]),
  ]

  /// Convolutions over one and three axes, and transposed ones.
  private static let moreConvolutions: [Case] = [
    Case("Conv", [[2, 4, 9], [6, 2, 3], [6]], ["group": .int(2), "strides": .ints([2])]),
    Case("Conv", [[2, 2, 7], [3, 2, 3]], ["auto_pad": .string("SAME_UPPER")]),
    Case(
      "Conv", [[2, 2, 4, 5, 3], [3, 2, 2, 3, 2], [3]],
      ["pads": .ints([1, 0, 1, 0, 1, 0]), "strides": .ints([1, 2, 1])]),
    Case("ConvTranspose", [[2, 3, 4, 5], [3, 2, 3, 3], [2]], ["strides": .ints([2, 3])]),
    Case(
      "ConvTranspose", [[1, 4, 3, 3], [4, 3, 3, 2], [6]],
      [
        "group": .int(2), "pads": .ints([1, 0, 0, 1]), "strides": .ints([2, 2]),
        "output_padding": .ints([1, 0]),
      ]),
    Case("ConvTranspose", [[2, 3, 5], [3, 2, 3]], ["dilations": .ints([2])]),
    Case("ConvTranspose", [[1, 2, 2, 3, 2], [2, 2, 2, 2, 3], [2]]),
  ]

  private static let resampling: [Case] = [
    Case("Upsample", [[2, 3, 3, 2]], ["scales": .floats([1, 1, 2, 3])], opset: 7),
    Case(
      "Upsample", [[1, 2, 4, 5]],
      ["scales": .floats([1, 1, 1.5, 0.6]), "mode": .string("linear")], opset: 7),
    Case("LRN", [[2, 5, 2, 3]], ["size": .int(3), "alpha": .float(0.5), "bias": .float(2)]),
    Case("LRN", [[1, 4, 3]], ["size": .int(4), "beta": .float(0.5)]),
  ]

  private static let activations: [Case] =
    [
      "Celu", "Elu", "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu", "Mish", "Selu", "Sigmoid",
      "Softplus", "Softsign", "Swish", "Tanh", "ThresholdedRelu",
    ].map { Case($0, [[3, 5, 31]], spacing: 1e-3) } + [
      Case("Celu", [[4, 9]], ["alpha": .float(0.7)], spacing: 1e-3),
      Case("Elu", [[4, 9]], ["alpha": .float(1.5)], spacing: 1e-3),
      Case("Gelu", [[4, 9]], ["approximate": .string("tanh")]),
      Case("HardSigmoid", [[6, 90]], ["alpha": .float(0.3), "beta": .float(0.4)], spacing: 1e-3),
      Case("PRelu", [[3, 4, 5], [4, 1]], spacing: 1e-3),
      Case("PRelu", [[2, 3], [1]], spacing: 1e-3),
      Case("Clip", [[6, 9]], ["min": .float(-0.2), "max": .float(0.1)], opset: 6, spacing: 1e-3),
      Case("LogSoftmax", [[3, 5]]),
      Case("LogSoftmax", [[2, 3, 4]], ["axis": .int(1)]),
      Case("LogSoftmax", [[2, 3, 4]], ["axis": .int(1)], opset: 11),
    ]

  private static let morePools: [Case] = [
    Case("MaxPool", [[2, 2, 9]], ["kernel_shape": .ints([3]), "strides": .ints([2])], spacing: 1),
    Case("MaxPool", [[1, 2, 4, 4, 4]], ["kernel_shape": .ints([2, 2, 2])], spacing: 1),
    Case("AveragePool", [[2, 2, 9]], ["kernel_shape": .ints([3]), "dilations": .ints([2])]),
    Case(
      "AveragePool", [[1, 2, 4, 5, 4]],
      ["kernel_shape": .ints([2, 3, 2]), "pads": .ints([1, 0, 0, 0, 1, 1])]),
    Case("GlobalMaxPool", [[2, 3, 5, 4]], spacing: 1e-3),
  ]

  private static let others: [Case] = [
    Case("Gemm", [[3, 4], [4, 5], [5]]),
    Case("Gemm", [[3, 4], [5, 4], [3, 1]], ["transB": .int(1), "alpha": .float(0.5)]),
    Case("Gemm", [[4, 3], [4, 5], [1, 5]], ["transA": .int(1), "beta": .float(2)]),
    Case("Gemm", [[4, 3], [5, 4]], ["transA": .int(1), "transB": .int(1)]),
    Case("Gemm", [[1, 7], [3, 7], [3]], ["transB": .int(1)]),
    Case("Gemm", [[2, 3], [3, 2], []]),
    Case("Relu", [[3, 5, 7]], spacing: 1e-3),
    Case(
      "MaxPool", [[2, 3, 6, 4]], ["kernel_shape": .ints([2, 2]), "strides": .ints([2, 2])],
      spacing: 1e-3),
    Case(
      "MaxPool", [[2, 2, 7, 5]],
      ["kernel_shape": .ints([3, 2]), "strides": .ints([2, 1]), "pads": .ints([1, 1, 1, 0])],
      spacing: 1e-3),
    Case(
      "MaxPool", [[1, 2, 5, 5]],
      ["kernel_shape": .ints([2, 2]), "strides": .ints([2, 2]), "ceil_mode": .int(1)],
      spacing: 1e-3),
    Case(
      "MaxPool", [[1, 1, 7, 7]], ["kernel_shape": .ints([2, 3]), "dilations": .ints([3, 2])],
      spacing: 1e-3),
    Case(
      "AveragePool", [[2, 3, 6, 5]], ["kernel_shape": .ints([2, 3]), "strides": .ints([2, 1])]),
    Case(
      "AveragePool", [[1, 2, 5, 5]],
      ["kernel_shape": .ints([3, 3]), "pads": .ints([1, 1, 1, 1]), "strides": .ints([2, 2])]),
    Case(
      "AveragePool", [[1, 2, 6, 5]],
      [
        "kernel_shape": .ints([3, 3]), "pads": .ints([1, 0, 1, 1]), "count_include_pad": .int(1),
        "ceil_mode": .int(1), "strides": .ints([2, 2]),
      ]),
    Case("GlobalAveragePool", [[2, 3, 5, 4]]),
    Case("GlobalAveragePool", [[2, 3, 7]]),
    Case("Flatten", [[2, 3, 4]], ["axis": .int(2)]),
    Case("Flatten", [[2, 3, 4]], ["axis": .int(-3)]),
    Case("Add", [[2, 3, 4], [2, 3, 4]]),
    Case("Add", [[2, 3, 4], [3, 1]]),
    Case("Add", [[1, 4], [3, 1]]),
    Case("Add", [[], [2, 2]]),
    Case("Sub", [[2, 3, 4], [3, 1]]),
    Case("Sub", [[1], [2, 3]]),
    Case("Mul", [[2, 3, 4], [3, 1]]),
    Case("Mul", [[4], [2, 1]]),
    Case("Div", [[2, 3], [3]]),
    Case("Div", [[3, 1], [2]]),
    Case("MatMul", [[2, 3], [3, 4]]),
    Case("MatMul", [[3], [2, 3, 4]]),
    Case("MatMul", [[2, 3, 4], [4]]),
    Case("MatMul", [[5, 2, 3, 4], [4, 2]]),
    Case("MatMul", [[2, 1, 3, 4], [3, 4, 2]]),
    Case("Transpose", [[2, 3, 4]], ["perm": .ints([2, 0, 1])]),
    Case("Concat", [[2, 1, 2], [2, 3, 2], [2, 2, 2]], ["axis": .int(-2)]),
    Case("Squeeze", [[2, 1, 3]], opset: 11),
    Case("Unsqueeze", [[2, 3]], ["axes": .ints([0, 2])], opset: 11),
    Case("Identity", [[2, 3]]),
    Case("ReduceMean", [[2, 3, 4]], ["axes": .ints([0, -1]), "keepdims": .int(0)]),
    Case("ReduceSum", [[2, 3]], ["axes": .ints([1])], opset: 11),
    Case("Softmax", [[3, 5]]),
    Case("Softmax", [[2, 3, 4]], ["axis": .int(1)]),
    Case("Softmax", [[2, 3, 4]], ["axis": .int(1)], opset: 11),
    Case("BatchNormalization", [[3, 2, 4, 5], [2], [2], [2], [2]], wanted: [0, 1, 2]),
    Case("BatchNormalization", [[7, 3], [3], [3], [3], [3]], wanted: [0, 1, 2]),
    Case("Dropout", [[4, 5]], ["ratio": .float(0.4)], opset: 11),
  ]

  private static let moving: [Case] = [
    Case(
      "Slice", [[3, 5, 4]],
      ["starts": .ints([1, -3]), "ends": .ints([9, 3]), "axes": .ints([1, 2])],
      opset: 9),
    Case("Slice", [[4, 3]], ["starts": .ints([1]), "ends": .ints([3])], opset: 1),
    Case("Pad", [[2, 3, 4]], ["pads": .ints([0, 1, 2, 1, 0, 0])], opset: 10),
    Case("Pad", [[2, 5]], ["pads": .ints([0, -2, 1, 1])], opset: 10),
    Case("Pad", [[4, 3]], ["pads": .ints([2, 1, 1, 2]), "mode": .string("reflect")], opset: 10),
    Case("Pad", [[2, 3]], ["pads": .ints([1, 0, 0, 3]), "mode": .string("edge")], opset: 10),
    Case("DepthToSpace", [[2, 8, 2, 3]], ["blocksize": .int(2)]),
    Case("DepthToSpace", [[1, 4, 3, 2]], ["blocksize": .int(2), "mode": .string("CRD")]),
    Case("SpaceToDepth", [[2, 2, 4, 6]], ["blocksize": .int(2)]),
  ]

  private static let functions: [Case] =
    ["Erf", "Exp", "Sin", "Cos", "Sinh", "Cosh", "Atan", "Asinh", "Neg"].map { Case($0, [[3, 7]]) }
    + ["Tan", "Asin", "Acos", "Atanh", "Abs"].map { Case($0, [[3, 7]], spacing: 1e-3) }
    + ["Log", "Sqrt", "Reciprocal", "Acosh"].map {
      Case($0, [[3, 7]], spacing: 1e-3, offset: 1.5)
    } + [
      // Flat everywhere but where they step, between these inputs.
      Case("Floor", [[5]], spacing: 1e-3, offset: 1.5),
      Case("Round", [[5]], spacing: 1e-3, offset: 1.1), Case("Sign", [[3, 4]], spacing: 1e-3),
    ]

  private static let extrema: [Case] = ["Max", "Min", "Sum", "Mean"].flatMap {
    [
      Case($0, [[2, 3, 4], [3, 1], [4]]), Case($0, [[3, 2], [3, 2]]), Case($0, [[4]]),
      Case($0, [[3], [2, 3]]),
    ]
  }

  private static let powers: [Case] = [
    Case("Pow", [[2, 3], [2, 3]], spacing: 1e-3, offset: 1.5),
    Case("Pow", [[2, 3, 4], [4]], spacing: 1e-3, offset: 1.5),
    Case("Pow", [[3], [2, 3]], spacing: 1e-3, offset: 1.5),
    Case("Pow", [[], [4]], spacing: 1e-3, offset: 1.5),
  ]

  private static let reductions: [Case] =
    [
      "ReduceL1", "ReduceL2", "ReduceSumSquare", "ReduceLogSumExp", "ReduceMax", "ReduceMin",
    ].flatMap {
      [
        Case($0, [[2, 3, 4]], ["axes": .ints([1])], spacing: 1e-3),
        Case($0, [[3, 4]], ["axes": .ints([0, 1]), "keepdims": .int(0)], spacing: 1e-3),
      ]
    } + [Case("ReduceLogSum", [[3, 5]], ["axes": .ints([1])], spacing: 1e-3, offset: 1.5)]

  private static let sums: [Case] = [
    ("bij,bjk->bik", [[2, 3, 4], [2, 4, 5]]), ("ij,kj", [[2, 3], [4, 3]]),
    ("...ij,jk->...ik", [[2, 1, 3, 4], [4, 2]]), ("ij->i", [[3, 4]]), ("ij->ji", [[3, 4]]),
    ("ij,jk,kl->il", [[2, 3], [3, 4], [4, 2]]), ("bij,ij->b", [[2, 3, 4], [1, 4]]),
    ("ij,kl->ik", [[2, 3], [2, 4]]),
  ].map { Case("Einsum", $1, ["equation": .string($0)]) }

  private static let norms: [Case] = [
    Case("LpNormalization", [[3, 5]], spacing: 1e-3),
    Case("LpNormalization", [[2, 4, 3]], ["axis": .int(1)], spacing: 1e-3),
    Case("LpNormalization", [[3, 5]], ["p": .int(1)], spacing: 1e-3),
  ]

  private static let normalizations: [Case] = [
    Case("LayerNormalization", [[4, 6], [6], [6]]),
    Case("LayerNormalization", [[2, 3, 5], [5]], ["epsilon": .float(0.1)]),
    Case("LayerNormalization", [[2, 3, 4], [3, 4], [4]], ["axis": .int(1)]),
    Case("LayerNormalization", [[3, 4], [1], [1]]),
    Case("RMSNormalization", [[4, 6], [6]], opset: 23),
    Case("InstanceNormalization", [[2, 3, 4, 5], [3], [3]]),
    Case("InstanceNormalization", [[2, 2, 7], [2], [2]], ["epsilon": .float(0.2)]),
    Case("GroupNormalization", [[2, 6, 3], [2], [2]], ["num_groups": .int(2)], opset: 18),
    Case("GroupNormalization", [[2, 6, 2, 2], [6], [6]], ["num_groups": .int(3)], opset: 21),
  ]

  @Test(
    arguments: moving + functions + extrema + normalizations + convolutions + moreConvolutions
      + activations + resampling + morePools + powers + reductions + sums + norms + others,
    [1, 3])
  func agreesWithCentralDifferences(test: Case, threads: Int) throws {
    let op = try #require(
      try OperatorRegistry.make(test.node, opset: test.opset) as? any FloatOperator)
    let context = ExecutionContext(threads: Threads(count: threads), isTraining: true, seed: 42)
    var generator = RandomGenerator(seed: 1)
    let inputs = test.shapes.map { shape -> Tensor<Double> in
      guard test.spacing > 0 else { return Tensor(shape, normalUsing: &generator) }
      let order = generator.permutation(of: shape.count)
      return Tensor(
        shape,
        order.map { (Double($0) - Double(shape.count) / 2 + 0.3) * 0.01 + test.offset })
    }
    let infos = inputs.map { TensorInfo(.float64, $0.shape) }
    let expected = try op.infer(infos)
    func run(_ inputs: [Tensor<Double>]) throws -> TrainingResult<Double> {
      var operands: [Tensor<Double>?] = inputs
      return try op.forwardForTraining(&operands, context)
    }
    let result = try run(inputs)
    #expect(result.outputs.map(\.shape) == expected.map(\.shape))
    let slope = Tensor<Double>(expected[0].shape, normalUsing: &generator)

    let call = ForwardCall<Double>(
      inputShapes: inputs.map(\.shape),
      inputs: inputs.enumerated().map { op.gradientReads.inputs.contains($0) ? $1 : nil },
      outputs: result.outputs.enumerated().map { op.gradientReads.outputs.contains($0) ? $1 : nil },
      saved: result.saved, wanted: inputs.indices.map(test.wanted.contains))
    let gradients = try op.gradients(call, slope, context)

    for index in test.wanted {
      let gradient = try #require(gradients[index])
      #expect(gradient.shape == inputs[index].shape)
      let values = gradient.elements
      // All elements of small inputs, a sample of large ones.
      let count = inputs[index].count
      for element in stride(from: 0, to: count, by: max(1, count / 60)) {
        func loss(_ step: Double) throws -> Double {
          var moved = inputs
          var elements = moved[index].elements
          elements[element] += step
          moved[index] = Tensor(moved[index].shape, elements)
          return zip(try run(moved).outputs[0].elements, slope.elements).reduce(0) {
            $0 + $1.0 * $1.1
          }
        }
        let numeric = try (loss(1e-5) - loss(-1e-5)) / 2e-5
        let scale = max(1, abs(numeric))
        #expect(abs(values[element] - numeric) < 1e-6 * scale, "input \(index), element \(element)")
      }
    }
    for index in inputs.indices where !test.wanted.contains(index) && index < gradients.count {
      #expect(test.node.opType != "Conv" || gradients[index] == nil)
    }
  }

  /// Where a number is told by an input of integers, and at the edges of powers.
  @Test func powersAndTilesOfGivenNumbers() throws {
    func gradient(
      _ opType: String, _ x: [Float], _ shape: Shape, _ other: AnyTensor, _ slope: Tensor<Float>
    ) throws -> [Float]? {
      let node = Node(opType, name: "", inputs: ["x", "n"], outputs: ["y"])
      let op = try #require(try OperatorRegistry.make(node, opset: 17) as? any FloatOperator)
      let call = ForwardCall<Float>(
        inputShapes: [shape, other.shape], inputs: [Tensor(shape, x), nil], outputs: [], saved: [],
        wanted: [true, false], others: [nil, other])
      return try op.gradients(call, slope, ExecutionContext())[0]?.elements
    }
    let ones = Tensor<Float>([4], [1, 1, 1, 1])
    #expect(try gradient("Pow", [-2, 0, 1, 3], [4], ints([], [3]), ones) == [12, 0, 3, 27])
    #expect(try gradient("Pow", [-2, 0, 1, 3], [4], ints([], [0]), ones) == [0, 0, 0, 0])
    #expect(try gradient("Pow", [-2, 0, 1, 3], [4], ints([], [1]), ones) == [1, 1, 1, 1])
    let slope = Tensor<Float>([2, 4], [1, 2, 3, 4, 5, 6, 7, 8])
    #expect(try gradient("Tile", [0, 0], [1, 2], list(2, 2), slope) == [16, 20])
  }
}
