// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
import SwiftletData
import SwiftletGraph
import SwiftletImages
import Testing
import _SwiftletTestSupport

/// What models themselves say of the pixels that they take.
@Suite struct PreprocessingGuessTests {
  /// A model that begins with nodes, each of which reads the value before it and its constants.
  private func beginning(
    _ steps: [(type: String, constants: [Tensor<Float>], attributes: [String: Attribute])],
    _ extents: [Int] = [1, 3, 24, 40]
  ) -> Graph {
    var graph = Graph(
      name: "model", inputs: [ValueInfo("x", .float32, extents.map(Dimension.fixed))],
      outputs: [ValueInfo("y", .float32, extents.map(Dimension.fixed))])
    var value = "x"
    for (index, step) in steps.enumerated() {
      let names = step.constants.indices.map { "c\(index).\($0)" }
      for (name, constant) in zip(names, step.constants) {
        graph.initializers[name] = .float32(constant)
      }
      graph.nodes.append(
        Node(
          step.type, name: "n\(index)", inputs: [value] + names, outputs: ["v\(index)"],
          attributes: step.attributes))
      value = "v\(index)"
    }
    graph.nodes.append(Node("Relu", name: "relu", inputs: [value], outputs: ["y"]))
    return graph
  }

  private func step(_ type: String, _ values: [Float], _ shape: Shape = [1, 3, 1, 1])
    -> (type: String, constants: [Tensor<Float>], attributes: [String: Attribute])
  {
    (type, [Tensor(values.count == 1 ? [] : shape, values)], [:])
  }

  private func summary(_ graph: Graph) throws -> String {
    try Preprocessing(for: graph, images: sampleData()).summary
  }

  private let imageNet: (mean: [Float], deviation: [Float]) = (
    [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
  )

  @Test func normalizationInTheModelIsRecognised() throws {
    let (mean, deviation) = imageNet
    let bytes = "pixels scaled to 0…255"
    // Of bytes: divided and normalized, divided alone, Caffe's means, −1…1.
    for steps in [
      [step("Div", [255]), step("Sub", mean), step("Div", deviation)],
      [step("Mul", [1 / 255])],
      [step("Sub", [103.939, 116.779, 123.68])],
      [step("Sub", mean.map { $0 * 255 }), step("Mul", deviation.map { 1 / ($0 * 255) })],
      [step("Div", [127.5]), step("Add", [-1])],
    ] {
      #expect(try summary(beginning(steps)).hasSuffix(bytes))
    }
    // Of fractions.
    for steps in [
      [step("Sub", mean), step("Div", deviation)], [step("Mul", [2]), step("Sub", [1])],
      [step("Sub", [0.5])],
    ] {
      #expect(try summary(beginning(steps)).hasSuffix("pixels scaled to 0…1"))
    }
    // Channels last, as TensorFlow's models begin.
    let last = beginning(
      [
        step("Sub", mean.map { $0 * 255 }, [3]),
        (type: "Transpose", constants: [], attributes: ["perm": .ints([0, 3, 1, 2])]),
        step("Div", deviation.map { $0 * 255 }),
      ], [1, 24, 40, 3])
    #expect(try summary(last).hasSuffix(bytes))
  }

  /// Exporters of torch write the numbers of the code as nodes.
  @Test func constantsMayBeNodes() throws {
    let (mean, deviation) = imageNet
    var graph = beginning([step("Div", [255]), step("Sub", mean), step("Div", deviation)])
    let constants = graph.initializers.map { name, tensor in
      Node(
        "Constant", name: name, inputs: [], outputs: [name], attributes: ["value": .tensor(tensor)])
    }
    graph.nodes = constants + graph.nodes
    graph.initializers = [:]
    #expect(try summary(graph).hasSuffix("pixels scaled to 0…255"))
  }

  @Test func comparedModelsShareThePreprocessing() throws {
    let images = try sampleData()
    let plain = model([1, 3, 24, 40])
    var known = plain
    try Preprocessing(for: known, images: images, scaling: .caffe).store(in: &known)
    var other = plain
    #expect(Preprocessing.adopt(from: known, into: &other, images: images))
    let stored = try Preprocessing.stored(in: known, images: images)
    #expect(try Preprocessing.stored(in: other, images: images) == stored)
    // Not over its own, from a model without any, or for another size of input.
    #expect(!Preprocessing.adopt(from: known, into: &other, images: images))
    var third = plain
    #expect(!Preprocessing.adopt(from: plain, into: &third, images: images))
    var small = model([1, 3, 12, 20])
    #expect(!Preprocessing.adopt(from: known, into: &small, images: images))
    #expect(!Preprocessing.isStored(in: small))
  }

  @Test func whatIsDoubtfulIsLeftToTheUsualGuess() throws {
    let usual = "minus 0.485, 0.456, 0.406, divided by 0.229, 0.224, 0.225"
    for steps in [
      [], [step("Mul", [3])], [step("Add", [1])], [step("Sub", [0.1, 20, 0.1])],
      // One number for each column, not for each channel.
      [step("Sub", [Float](repeating: 100, count: 40), [40])],
    ] {
      #expect(try summary(beginning(steps)).hasSuffix(usual))
    }
    // Someone else reads the pixels too.
    var graph = beginning([step("Div", [255])])
    graph.nodes.append(Node("Relu", name: "r", inputs: ["x"], outputs: ["z"]))
    graph.outputs.append(ValueInfo("z", .float32, [1, 3, 24, 40].map(Dimension.fixed)))
    #expect(try summary(graph).hasSuffix(usual))
    // Constants minus pixels.
    graph = beginning([step("Sub", [0.5])])
    graph.nodes[0].inputs.reverse()
    #expect(try summary(graph).hasSuffix(usual))
    // What the user asks for counts.
    let asked = try Preprocessing(
      for: beginning([step("Div", [255])]), images: sampleData(), scaling: .half)
    #expect(asked.summary.hasSuffix("pixels scaled to -1…1"))
  }

  @Test func aBatchNormalizationStatesItsPixels() throws {
    func graph(_ mean: [Float], _ variance: [Float]) -> Graph {
      let constants = [[1, 1, 1], [0, 0, 0], mean, variance].map { Tensor<Float>([3], $0) }
      return beginning([(type: "BatchNormalization", constants: constants, attributes: [:])])
    }
    let (mean, deviation) = imageNet
    #expect(
      try summary(graph(mean.map { $0 * 255 }, deviation.map { $0 * $0 * 65025 }))
        .hasSuffix("0…255"))
    #expect(try summary(graph(mean, deviation.map { $0 * $0 })).hasSuffix("0…1"))
    // Of normalized pixels, and of a layer that was never trained.
    #expect(try summary(graph([0.1, 0, -0.1], [1.1, 0.9, 1])).contains("0.485"))
    #expect(try summary(graph([0, 0, 0], [1, 1, 1])).contains("0.485"))
    #expect(try summary(graph([-0.03, -0.09, -0.19], [0.21, 0.2, 0.2])).contains("0.485"))
  }

  @Test func exportsOfUltralyticsAreKnown() throws {
    func export(_ task: String, head: String = "Detect", _ dimensions: [Dimension]) -> Graph {
      var graph = model(dimensions)
      // As ultralytics/engine/exporter.py writes them.
      graph.metadata = [
        "author": "Ultralytics", "stride": "32", "task": task, "head": head, "batch": "1",
        "imgsz": "[16, 24]", "names": "{0: 'person', 1: 'bicycle'}", "channels": "3",
      ]
      return graph
    }
    let data = try sampleData()
    let fixed = [1, 3, 16, 24].map(Dimension.fixed)
    let open = [
      Dimension.symbolic("batch"), .fixed(3), .symbolic("height"), .symbolic("width"),
    ]
    for dimensions in [fixed, open] {
      let boxed = try Preprocessing.stored(in: export("detect", dimensions), images: data)
      #expect(boxed.fit == .letterbox && boxed.border == [114, 114, 114])
      #expect(boxed.height == 16 && boxed.width == 24 && boxed.antialias == false)
      #expect(boxed.summary.hasSuffix("pixels scaled to 0…1") && boxed.colours == .rgb)
    }
    #expect(Preprocessing.isStored(in: export("segment", fixed)))
    let stretched = try Preprocessing.stored(
      in: export("detect", head: "RTDETRDecoder", fixed), images: data)
    #expect(stretched.fit == .resize && stretched.antialias == false)
    let classes = try Preprocessing.stored(in: export("classify", fixed), images: data)
    #expect(classes.fit == .resize && classes.antialias == true && classes.mean == [0, 0, 0])
    // The scaling can still be chosen.
    let raw = try Preprocessing(for: export("pose", fixed), images: data, scaling: .raw)
    #expect(raw.fit == .letterbox && raw.summary.hasSuffix("0…255"))
    var other = export("something new", fixed)
    #expect(!Preprocessing.isStored(in: other))
    other = export("detect", fixed)
    other.metadata["imgsz"] = "large"
    #expect(!Preprocessing.isStored(in: other))
    // What Swiftlet itself has stored comes first.
    try Preprocessing(
      channels: 3, height: 16, width: 24, fit: .pad, mean: [0, 0, 0], deviation: [1, 1, 1]
    ).store(in: &other)
    #expect(try Preprocessing.stored(in: other, images: data).fit == .pad)
  }
}
