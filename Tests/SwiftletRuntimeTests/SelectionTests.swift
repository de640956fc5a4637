// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
import SwiftletGraph
import SwiftletKernels
import SwiftletRuntime
import Testing

/// The algorithm of each layer: faster ones for shapes where they are faster, whatever the batch,
/// the threads and the processor are.
struct SelectionTests {
  private struct Convolution: Sendable, CustomTestStringConvertible {
    let inputs, outputs, height, width: Int
    let algorithm: Algorithm
    /// Whether the layer multiplies in bf16 where rounding is permitted.
    let prefersBFloat: Bool

    init(
      _ inputs: Int, _ outputs: Int, _ height: Int, _ width: Int, _ algorithm: Algorithm,
      bf16 prefersBFloat: Bool = true
    ) {
      (self.inputs, self.outputs, self.height, self.width) = (inputs, outputs, height, width)
      (self.algorithm, self.prefersBFloat) = (algorithm, prefersBFloat)
    }

    var testDescription: String { "\(inputs)→\(outputs) of \(height)×\(width)" }

    func selection(allowsWinograd: Bool = true) -> Selection {
      Selection(
        Window(height: 3, width: 3), inputs: inputs, outputs: outputs,
        allowsWinograd: allowsWinograd)
    }
  }

  /// 3×3 with stride 1. Few channels or pixels, or many weights for them, make tiles slower.
  private static let convolutions = [
    Convolution(3, 32, 32, 32, .product(.float)),
    Convolution(3, 64, 224, 224, .product(.float)),
    Convolution(16, 16, 3, 3, .product(.float)),
    Convolution(16, 16, 5, 5, .product(.float)),
    Convolution(16, 16, 8, 8, .winograd(m: 4)),
    Convolution(32, 32, 6, 6, .winograd(m: 2)),
    Convolution(32, 32, 7, 7, .winograd(m: 4)),
    Convolution(32, 64, 16, 16, .winograd(m: 4), bf16: false),
    Convolution(64, 64, 56, 56, .winograd(m: 4), bf16: false),
    Convolution(64, 128, 5, 5, .winograd(m: 2)),
    Convolution(128, 128, 28, 28, .winograd(m: 4), bf16: false),
    Convolution(256, 256, 14, 14, .winograd(m: 4), bf16: false),
    Convolution(256, 256, 4, 4, .winograd(m: 2)),
    Convolution(512, 512, 7, 7, .winograd(m: 2)),
    Convolution(512, 512, 4, 4, .product(.float)),
    Convolution(4, 46, 207, 208, .product(.float)),
    Convolution(4, 46, 104, 208, .winograd(m: 4)),
  ]

  @Test(arguments: convolutions)
  private func threeByThree(layer: Convolution) {
    let (selection, direct) = (layer.selection(), layer.selection(allowsWinograd: false))
    func algorithm(_ selection: Selection, _ operands: ProductKernel.Operands) -> Algorithm {
      selection.algorithm(operands, height: layer.height, width: layer.width)
    }
    #expect(algorithm(selection, .float) == layer.algorithm)
    #expect(algorithm(selection, .bfloat) == .product(.bfloat))
    #expect(algorithm(selection, .integer) == .product(.integer))
    #expect(algorithm(direct, .float) == .product(.float))
    #expect(
      selection.prefersBFloat(height: layer.height, width: layer.width) == layer.prefersBFloat)
    #expect(direct.prefersBFloat(height: layer.height, width: layer.width))
  }

  /// Windows, strides, dilations and groups for which there is no faster algorithm than products,
  /// on a size where 3×3 has one.
  @Test(arguments: [
    Window(), Window(height: 3), Window(width: 3), Window(height: 5, width: 5),
    Window(height: 3, width: 3, strideY: 2, strideX: 2),
    Window(height: 3, width: 3, strideX: 2), Window(height: 3, width: 3, dilationY: 2),
  ])
  func otherWindows(window: Window) {
    let selection = Selection(window, inputs: 64, outputs: 64, allowsWinograd: true)
    for operands in [.float, .bfloat, .integer] as [ProductKernel.Operands] {
      #expect(selection.algorithm(operands, height: 28, width: 28) == .product(operands))
    }
    #expect(selection.prefersBFloat(height: 28, width: 28))
  }

  @Test func groups() {
    func selection(_ groups: Int, _ inputs: Int, _ outputs: Int) -> Selection {
      Selection(
        Window(height: 3, width: 3), groups: groups, inputs: inputs, outputs: outputs,
        allowsWinograd: true)
    }
    for operands in [.float, .bfloat, .integer] as [ProductKernel.Operands] {
      func algorithm(_ selection: Selection) -> Algorithm {
        selection.algorithm(operands, height: 28, width: 28)
      }
      #expect(algorithm(selection(64, 64, 64)) == .depthwise(operands))
      // Two results for each channel.
      #expect(algorithm(selection(64, 64, 128)) == .product(operands))
      #expect(algorithm(selection(2, 64, 64)) == .product(operands))
    }
    #expect(selection(64, 64, 64).isDepthwise)
    #expect(!selection(1, 1, 1).isDepthwise && !selection(64, 64, 128).isDepthwise)
    // Words hold two bf16 numbers, which belong to one group.
    #expect(selection(2, 64, 64).prefersBFloat(height: 28, width: 28))
    #expect(!selection(2, 66, 64).prefersBFloat(height: 28, width: 28))
    #expect(!selection(2, 64, 66).prefersBFloat(height: 28, width: 28))
  }

  @Test func fourBits() {
    func operands(_ window: Window, _ group: Int, _ readsBytes: Bool) -> GroupwiseKernel.Operands? {
      Selection.groupwise(window, group: group, readsBytes: readsBytes)
    }
    #expect(operands(Window(), 32, false) == .float)
    #expect(operands(Window(), 32, true) == .bytes)
    #expect(operands(Window(), 1 << 18, true) == .bytes)
    // The sum of one group may not fit int32.
    #expect(operands(Window(), 1 << 18 + 8, true) == .float)
    // After a flattened image.
    #expect(operands(Window(height: 1, width: 2), 32, true) == nil)
    #expect(operands(Window(height: 7, width: 7), 32, false) == nil)
  }

  /// A layer of each kind: 3×3, 1×1, depthwise, of two groups, fully connected.
  private static let layers: Graph = {
    let pads: Attribute = .ints([1, 1, 1, 1])
    return model(
      [value("x", .float32, .symbolic("N"), .fixed(32), .fixed(16), .fixed(16))],
      [
        node("Conv", ["x", "w1"], "a", ["pads": pads]), node("Conv", ["a", "w2"], "b"),
        node("Conv", ["b", "w3"], "c", ["pads": pads, "group": .int(16)]),
        node("Conv", ["c", "w4"], "d", ["strides": .ints([5, 5]), "group": .int(2)]),
        node("Flatten", ["d"], "e"), node("Gemm", ["e", "w5"], "y", ["transB": .int(1)]),
      ],
      [
        "w1": floats([64, 32, 3, 3]), "w2": floats([16, 64, 1, 1], seed: 2),
        "w3": floats([16, 1, 3, 3], seed: 3), "w4": floats([8, 8, 3, 3], seed: 4),
        "w5": floats([10, 72], seed: 5),
      ], outputs: [value("y", .float32, .symbolic("N"), .fixed(10))])
  }()

  @Test(arguments: [1, 3], [1, 2])
  func sessionsRunTheChoice(batch: Int, threads: Int) throws {
    let x = ["x": floats([batch, 32, 16, 16])]
    func kinds(_ precision: Precision) throws -> [Computation.Kind] {
      let session = try Session(
        Self.layers, threads: Threads(count: threads), precision: precision)
      return try session.computations(x).map(\.kind)
    }
    let isTiled = Selection.isWinogradEnabled
    #expect(
      try kinds(.fp32) == [
        .layout, .weighted(isTiled ? .winograd(m: 4) : .product(.float)),
        .weighted(.product(.float)), .weighted(.depthwise(.float)), .weighted(.product(.float)),
        .weighted(.product(.float)), .layout,
      ])
    let first: [Computation.Kind] =
      isTiled ? [.weighted(.winograd(m: 4)), .f32ToBF16] : [.weighted(.product(.bfloat))]
    #expect(
      try kinds(.bf16) == [.layout] + first + [
        .weighted(.product(.bfloat)), .weighted(.depthwise(.bfloat)),
        .weighted(.product(.bfloat)), .weighted(.product(.bfloat)), .layout,
      ])
  }

  /// Layers between bytes.
  @Test func quantizedLayersAreIntegerProducts() throws {
    let pads: Attribute = .ints([1, 1, 1, 1])
    var nodes = [
      node("QuantizeLinear", ["x", "s", "z"], "q"),
      node("DequantizeLinear", ["q", "s", "z"], "d"),
    ]
    for name in ["v", "w"] { nodes.append(node("DequantizeLinear", [name, "s"], "\(name)d")) }
    nodes += [
      node("Conv", ["d", "vd"], "a", ["pads": pads]),
      node("QuantizeLinear", ["a", "t", "z"], "aq"),
      node("DequantizeLinear", ["aq", "t", "z"], "ad"),
      node("Conv", ["ad", "wd"], "y", ["pads": pads, "group": .int(64)]),
    ]
    let graph = model(
      [value("x", .float32, .symbolic("N"), .fixed(32), .fixed(16), .fixed(16))], nodes,
      [
        "s": scalar(0.01), "t": scalar(0.1), "z": .uint8(Tensor([], [128])),
        "v": bytes([64, 32, 3, 3]), "w": bytes([64, 1, 3, 3]),
      ], outputs: [value("y", .float32, .symbolic("N"), .fixed(64), .fixed(16), .fixed(16))])
    let kinds = try Session(graph, threads: .serial)
      .computations(["x": floats([2, 32, 16, 16])]).map(\.kind)
    #expect(
      kinds == [
        .layout, .weighted(.product(.integer)), .weighted(.depthwise(.integer)), .layout,
      ])
  }

  // MARK: Display

  @Test func descriptions() {
    let texts = [
      Computation(.weighted(.winograd(m: 4)), "f32 avx2", isPooled: true),
      Computation(.weighted(.product(.bfloat)), "bf16 avx512"),
      Computation(.weighted(.depthwise(.bfloat)), "avx512"),
      Computation(.weighted(.depthwise(.integer)), "avx2"),
      Computation(.weighted(.groupwise(.bytes)), "u8u4 avx2"), Computation(.binary(.add), "avx2"),
      Computation(.reference),
    ].map(\.description)
    #expect(
      texts == [
        "winograd 4x4 f32 avx2, pool", "bf16 avx512", "depthwise bf16 avx512", "depthwise avx2",
        "u8u4 avx2", "add avx2", "reference",
      ])
  }

  @Test func operandsOfComputations() {
    func operands(_ kind: Computation.Kind) -> ProductKernel.Operands? {
      Computation(kind).operands
    }
    #expect(operands(.weighted(.product(.bfloat))) == .bfloat)
    #expect(operands(.weighted(.depthwise(.integer))) == .integer)
    #expect(operands(.weighted(.winograd(m: 2))) == .float)
    #expect(operands(.weighted(.groupwise(.float))) == .float)
    #expect(operands(.weighted(.groupwise(.bytes))) == .integer)
    #expect(operands(.attention) == nil && operands(.reference) == nil)
  }
}
