// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
import SwiftletGraph
import Testing

/// The reading of layers agrees with the operators that compute them.
struct LinearLayerTests {
  /// A layer, the shapes of x and of the weights, and what the reading must find.
  struct Form: Sendable, CustomStringConvertible {
    let node: Node
    let x, weights: Shape
    let outputs, inputs, depth: Int
    let axes: (output: Int, input: Int)
    var groups = 1
    var description: String { "\(node.opType)\(node.inputs) \(node.attributes) \(weights)" }

    /// - Parameter inputs: `w x` has the weights on the left.
    init(
      _ opType: String, _ inputs: String = "x w", x: Shape, w: Shape,
      _ attributes: [String: Attribute] = [:], outputs: Int, of channels: Int, depth: Int,
      axes: (Int, Int), groups: Int = 1
    ) {
      node = Node(
        opType, name: "layer", inputs: inputs.split(separator: " ").map(String.init),
        outputs: ["y"], attributes: attributes)
      (self.x, weights, self.axes) = (x, w, (axes.0, axes.1))
      (self.outputs, self.inputs, self.depth, self.groups) = (outputs, channels, depth, groups)
    }

    func layer() throws -> LinearLayer {
      try #require(try LinearLayer(node) { $0 == "w" })
    }
  }

  static let forms: [Form] = [
    Form("Conv", x: [1, 3, 4], w: [2, 3, 3], outputs: 2, of: 3, depth: 9, axes: (0, 1)),
    Form("Conv", x: [2, 2, 3, 3], w: [3, 2, 2, 1], outputs: 3, of: 2, depth: 4, axes: (0, 1)),
    Form(
      "Conv", x: [1, 4, 3, 3], w: [6, 2, 2, 2], ["group": .int(2)], outputs: 6, of: 4, depth: 8,
      axes: (0, 1), groups: 2),
    Form(
      "Conv", x: [1, 3, 2, 2, 2], w: [3, 1, 1, 2, 1], ["group": .int(3)], outputs: 3, of: 3,
      depth: 2, axes: (0, 1), groups: 3),
    Form("ConvTranspose", x: [1, 3, 2], w: [3, 2, 2], outputs: 2, of: 3, depth: 6, axes: (1, 0)),
    Form(
      "ConvTranspose", x: [1, 4, 2, 2], w: [4, 3, 2, 1], ["group": .int(2)], outputs: 6, of: 4,
      depth: 4, axes: (1, 0), groups: 2),
    Form("Gemm", x: [2, 3], w: [3, 4], outputs: 4, of: 3, depth: 3, axes: (1, 0)),
    Form(
      "Gemm", x: [2, 3], w: [4, 3], ["transB": .int(1)], outputs: 4, of: 3, depth: 3,
      axes: (0, 1)),
    // Any number but zero transposes.
    Form(
      "Gemm", x: [2, 3], w: [4, 3], ["transB": .int(2)], outputs: 4, of: 3, depth: 3,
      axes: (0, 1)),
    Form("Gemm", "w x", x: [3, 2], w: [4, 3], outputs: 4, of: 3, depth: 3, axes: (0, 1)),
    Form(
      "Gemm", "w x", x: [3, 2], w: [3, 4], ["transA": .int(-1)], outputs: 4, of: 3, depth: 3,
      axes: (1, 0)),
    Form("MatMul", x: [2, 2, 3], w: [3, 4], outputs: 4, of: 3, depth: 3, axes: (1, 0)),
    Form("MatMul", "w x", x: [2, 3, 2], w: [4, 3], outputs: 4, of: 3, depth: 3, axes: (0, 1)),
  ]

  @Test(arguments: forms)
  func readsEachForm(_ form: Form) throws {
    let layer = try form.layer()
    let layout = try #require(layer.layout(form.weights))
    #expect(layer.kind.rawValue == form.node.opType)
    #expect((layer.data, layer.weights, layer.output, layer.bias) == ("x", "w", "y", nil))
    #expect(layer.isOnLeft == (form.node.inputs[0] == "w"))
    #expect(layer.dataInput == form.node.inputs.firstIndex(of: "x"))
    #expect(layer.isPlain)
    #expect(layer.groups == form.groups && layout.groups == form.groups)
    #expect(
      (layout.outputs, layout.inputs, layout.depth) == (form.outputs, form.inputs, form.depth))
    #expect(layout.kernel == Array(form.weights.dimensions[2...]))
    let rank = form.weights.rank
    #expect((layer.outputAxis(rank: rank), layer.inputAxis(rank: rank)) == form.axes)
    #expect(layout.outputAxis == form.axes.output)
    #expect(form.x[layer.channelAxis(rank: form.x.rank)] == form.inputs)
  }

  /// With one weight of 1 and one channel of x of ones, exactly that weight's output channel has
  /// results other than zero, and only for that weight's input channel.
  @Test(arguments: forms)
  func channelsOfEachWeight(_ form: Form) throws {
    let layer = try form.layer()
    let layout = try #require(layer.layout(form.weights))
    for position in 0..<form.weights.count {
      let weights = Tensor<Float>(
        form.weights, (0..<form.weights.count).map { $0 == position ? 1 : 0 })
      let (output, input) = layout.channels(at: position)
      for channel in 0..<form.inputs {
        let axis = layer.channelAxis(rank: form.x.rank)
        let x = Self.indicator(form.x, axis: axis, channel)
        let operands: [AnyTensor?] = [.float32(x), .float32(weights)]
        let results = try compute(
          form.node.opType, layer.isOnLeft ? operands.reversed() : operands,
          form.node.attributes)
        let y: Tensor<Float> = try results[0].require()
        let found = Self.channels(of: y, axis: layer.channelAxis(rank: y.shape.rank))
        #expect(found == (channel == input ? [output] : []), "weight \(position)")
      }
    }
  }

  /// Ones for one index along an axis.
  private static func indicator(_ shape: Shape, axis: Int, _ index: Int) -> Tensor<Float> {
    let inner = shape.count(of: axis + 1..<shape.rank)
    return Tensor(shape, (0..<shape.count).map { $0 / inner % shape[axis] == index ? 1 : 0 })
  }

  /// The indices along an axis for which there are elements other than zero.
  private static func channels(of tensor: Tensor<Float>, axis: Int) -> Set<Int> {
    let inner = tensor.shape.count(of: axis + 1..<tensor.shape.rank)
    return Set(
      tensor.elements.enumerated().filter { $1 != 0 }
        .map { $0.offset / inner % tensor.shape[axis] })
  }

  @Test(arguments: forms)
  func weightsWithOutputsFirst(_ form: Form) throws {
    let layer = try form.layer()
    let layout = try #require(layer.layout(form.weights))
    let stored = Tensor<Float>(form.weights, (0..<form.weights.count).map(Float.init))
    let rows = layer.outputsFirst(stored)
    #expect(
      rows.shape == Shape([form.outputs, form.inputs / form.groups] + layout.kernel))
    #expect(layer.stored(rows) == stored)
    for output in 0..<form.outputs {
      for product in 0..<form.depth {
        let position = layout.position(output, product)
        #expect(rows.elements[output * form.depth + product] == Float(position))
        #expect(layout.channels(at: position).output == output)
      }
    }
  }

  @Test func orderOfTransposedWeightsByHand() throws {
    let node = Node(
      "ConvTranspose", name: "", inputs: ["x", "w"], outputs: ["y"],
      attributes: ["group": .int(2)])
    let layer = try #require(try LinearLayer(node))
    // Four input channels in two groups; each group makes three outputs.
    let rows = layer.outputsFirst(Tensor<Float>([4, 3, 1], (0..<12).map(Float.init)))
    #expect(rows == Tensor([6, 2, 1], [0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11]))
    let layout = try #require(layer.layout([4, 3, 2]))
    // Position 17 = row 2, column 2, tap 1: the first input and the last output of group 1.
    #expect(layout.channels(at: 17) == (5, 2))
    #expect(layout.position(5, 1) == 17)
    #expect((layout.inputsPerGroup, layout.outputsPerGroup, layout.taps) == (2, 3, 2))
  }

  @Test func statesWhatUsersMayRefuse() throws {
    let node = Node(
      "Gemm", name: "", inputs: ["x", "w", "b"], outputs: ["y"],
      attributes: ["alpha": .float(2), "beta": .float(0.5), "transA": .int(1)])
    let layer = try #require(try LinearLayer(node))
    #expect((layer.alpha, layer.beta, layer.transposesData) == (2, 0.5, true))
    #expect(!layer.isPlain && layer.bias == "b")
    // On the left it is `transB` that transposes x.
    let left = try #require(try LinearLayer(node) { $0 == "x" })
    #expect(left.isOnLeft && !left.transposesData && !left.isOutputMajor)
    for (name, value) in [
      ("alpha", Attribute.float(2)), ("beta", .float(0)), ("transA", .int(1)),
    ] {
      let node = Node(
        "Gemm", name: "", inputs: ["x", "w"], outputs: ["y"], attributes: [name: value])
      #expect(try LinearLayer(node)?.isPlain == false, "\(name)")
    }
  }

  @Test func weightsAreOnTheLeftIfOnlyThatSideIsConstant() throws {
    func side(_ opType: String, _ constants: String...) throws -> Int? {
      var graph = Graph(name: "g")
      for name in constants { graph.initializers[name] = .float32(Tensor(zeros: [2, 2])) }
      let node = Node(opType, name: "", inputs: ["a", "b"], outputs: ["y"])
      return try LinearLayer(node, in: graph)?.weightInput
    }
    for opType in ["Gemm", "MatMul"] {
      #expect(try side(opType, "a") == 0)
      #expect(try side(opType, "b") == 1)
      #expect(try side(opType, "a", "b") == 1)
      #expect(try side(opType) == 1)
    }
    #expect(try side("Conv", "a") == 1)
    #expect(try side("ConvTranspose", "a") == 1)
  }

  @Test func biases() throws {
    func bias(_ opType: String, _ inputs: [String]) throws -> String? {
      try LinearLayer(Node(opType, name: "", inputs: inputs, outputs: ["y"]))?.bias
    }
    for opType in ["Conv", "ConvTranspose", "Gemm"] {
      #expect(try bias(opType, ["x", "w", "b"]) == "b")
      #expect(try bias(opType, ["x", "w", ""]) == nil)
      #expect(try bias(opType, ["x", "w"]) == nil)
    }
    #expect(try bias("MatMul", ["x", "w", "b"]) == nil)
  }

  @Test func otherNodesAreNoLayers() throws {
    func isLayer(
      _ opType: String, domain: String = "", _ inputs: [String] = ["x", "w"],
      outputs: [String] = ["y"]
    ) throws -> Bool {
      try LinearLayer(Node(opType, name: "", domain: domain, inputs: inputs, outputs: outputs))
        != nil
    }
    #expect(try isLayer("MatMul"))
    #expect(try isLayer("MatMul", domain: "ai.onnx"))
    #expect(try !isLayer("MatMul", domain: "com.microsoft"))
    #expect(try !isLayer("Add"))
    #expect(try !isLayer("QLinearConv"))
    for kind in LinearLayer.Kind.allCases {
      #expect(try !isLayer(kind.rawValue, ["x"]))
      #expect(try !isLayer(kind.rawValue, ["x", ""]))
      #expect(try !isLayer(kind.rawValue, ["", "w"]))
      #expect(try !isLayer(kind.rawValue, []))
      #expect(try !isLayer(kind.rawValue, outputs: []))
    }
  }

  @Test(arguments: [
    ("Conv", "group", Attribute.float(2)), ("Conv", "group", .int(0)), ("Conv", "group", .int(-1)),
    ("Conv", "group", .int(.max)), ("ConvTranspose", "group", .ints([1])),
    ("ConvTranspose", "group", .int(0)), ("Gemm", "transA", .float(1)),
    ("Gemm", "transB", .string("1")), ("Gemm", "alpha", .int(1)), ("Gemm", "beta", .floats([1])),
  ])
  func refusesMalformedAttributes(_ opType: String, _ name: String, _ value: Attribute) {
    let node = Node(
      opType, name: "", inputs: ["x", "w"], outputs: ["y"], attributes: [name: value])
    let error = #expect(throws: SwiftletError.self) { try LinearLayer(node) }
    #expect(error?.code == .badInput)
  }

  @Test func attributesOfOtherOperatorsDoNotCount() throws {
    let matMul = Node(
      "MatMul", name: "", inputs: ["x", "w"], outputs: ["y"],
      attributes: ["transB": .int(1), "alpha": .float(2), "group": .int(0)])
    let layer = try #require(try LinearLayer(matMul))
    #expect(!layer.isOutputMajor && layer.isPlain && layer.groups == 1)
  }

  @Test func shapesThatWeightsCannotHave() throws {
    func layer(_ opType: String, groups: Int? = nil) throws -> LinearLayer {
      let node = Node(
        opType, name: "", inputs: ["x", "w"], outputs: ["y"],
        attributes: groups.map { ["group": .int($0)] } ?? [:])
      return try #require(try LinearLayer(node))
    }
    #expect(try layer("Conv").layout([4, 3]) == nil)
    #expect(try layer("Conv", groups: 2).layout([5, 2, 3]) == nil)
    #expect(try layer("ConvTranspose", groups: 2).layout([5, 2, 3]) == nil)
    #expect(try layer("Conv", groups: 1 << 20).layout([0, 1 << 60, 1]) == nil)
    #expect(try layer("Gemm").layout([4]) == nil)
    #expect(try layer("Gemm").layout([2, 3, 4]) == nil)
    // Stacks of matrices have axes all the same.
    let product = try layer("MatMul")
    #expect(product.layout([2, 3, 4]) == nil)
    #expect((product.outputAxis(rank: 3), product.inputAxis(rank: 3)) == (2, 1))
    // Without elements there is nothing to divide by.
    let empty = try #require(try layer("Conv").layout([0, 3, 1]))
    #expect((empty.outputs, empty.inputs, empty.depth) == (0, 3, 3))
  }

  @Test func otherNumbersOfGroups() throws {
    let node = Node("Conv", name: "", inputs: ["x", "w"], outputs: ["y"])
    let layer = try #require(try LinearLayer(node)).regrouped(3)
    #expect(layer.groups == 3 && layer.node.attributes == ["group": .int(3)])
    #expect(layer.layout([6, 2, 1])?.inputs == 6)
  }
}
