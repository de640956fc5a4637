// SPDX-License-Identifier: Apache-2.0

import Glibc
import SwiftletCore
import SwiftletGraph
import Testing
import _SwiftletTestSupport

/// Recurrent layers against plain loops over time, batch and units.
struct RecurrentTests {
  struct Case: Sendable, CustomStringConvertible {
    let opType: String
    var direction = "forward"
    var isBatchFirst = false
    var hasLengths = false
    var hasStates = false
    var hasPeepholes = false
    var flag: String?
    var clip: Float?
    var description: String {
      "\(opType) \(direction) \(isBatchFirst) \(hasLengths) \(hasStates) \(hasPeepholes) "
        + "\(flag ?? "") \(clip ?? 0)"
    }
  }

  private static let cases: [Case] =
    ["RNN", "GRU", "LSTM"].flatMap { opType in
      [
        Case(opType: opType),
        Case(opType: opType, direction: "reverse", hasStates: true),
        Case(opType: opType, direction: "bidirectional", hasLengths: true, hasStates: true),
        Case(
          opType: opType, direction: "bidirectional", isBatchFirst: true, hasLengths: true,
          hasStates: true),
        Case(opType: opType, clip: 0.3),
      ]
    } + [
      Case(opType: "GRU", direction: "bidirectional", flag: "linear_before_reset"),
      Case(opType: "LSTM", direction: "bidirectional", hasStates: true, hasPeepholes: true),
      Case(opType: "LSTM", hasPeepholes: true, flag: "input_forget", clip: 0.5),
    ]

  private let length = 5
  private let batch = 3
  private let input = 4
  private let hidden = 2
  private let lengths = [5, 0, 3]

  /// The states after one step, by the formulas of ONNX.
  private func step(
    _ test: Case, _ x: [Float], _ h: [Float], _ c: [Float], _ w: (Int, Int) -> Float,
    _ r: (Int, Int) -> Float, _ b: (Int) -> Float, _ p: (Int) -> Float
  ) -> (h: [Float], c: [Float]) {
    let gates = ["RNN": 1, "GRU": 3, "LSTM": 4][test.opType]!
    func limited(_ value: Float) -> Float {
      test.clip.map { max(-$0, min($0, value)) } ?? value
    }
    func sigmoid(_ value: Float) -> Float { 1 / (1 + expf(-limited(value))) }
    func tanh(_ value: Float) -> Float { tanhf(limited(value)) }
    func given(_ row: Int) -> Float {
      (0..<input).reduce(b(row)) { $0 + x[$1] * w(row, $1) }
    }
    func recurrent(_ row: Int, _ states: [Float]) -> Float {
      (0..<hidden).reduce(b(gates * hidden + row)) { $0 + states[$1] * r(row, $1) }
    }
    var (newH, newC) = (h, c)
    for i in 0..<hidden {
      switch test.opType {
      case "RNN": newH[i] = tanh(given(i) + recurrent(i, h))
      case "GRU":
        let z = sigmoid(given(i) + recurrent(i, h))
        func reset(_ j: Int) -> Float {
          sigmoid(given(hidden + j) + recurrent(hidden + j, h))
        }
        let row = 2 * hidden + i
        let candidate =
          test.flag != nil
          ? tanh(given(row) + reset(i) * recurrent(row, h))
          : tanh(given(row) + recurrent(row, (0..<hidden).map { reset($0) * h[$0] }))
        newH[i] = (1 - z) * candidate + z * h[i]
      default:
        let gateI = sigmoid(given(i) + recurrent(i, h) + p(i) * c[i])
        let rowF = 2 * hidden + i
        let gateF =
          test.flag != nil
          ? 1 - gateI : sigmoid(given(rowF) + recurrent(rowF, h) + p(2 * hidden + i) * c[i])
        let rowC = 3 * hidden + i
        newC[i] = gateF * c[i] + gateI * tanh(given(rowC) + recurrent(rowC, h))
        let rowO = hidden + i
        let gateO = sigmoid(given(rowO) + recurrent(rowO, h) + p(hidden + i) * newC[i])
        newH[i] = gateO * tanhf(newC[i])
      }
    }
    return (newH, newC)
  }

  @Test(arguments: cases)
  func followsItsFormulas(test: Case) throws {
    var generator = RandomGenerator(seed: 7)
    func random(_ extents: [Int]) -> Tensor<Float> {
      let shape = Shape(extents)
      return Tensor(shape, (0..<shape.count).map { _ in Float(generator.uniform() * 2 - 1) })
    }
    let gates = ["RNN": 1, "GRU": 3, "LSTM": 4][test.opType]!
    let reversed = ["forward": [false], "reverse": [true]][test.direction] ?? [false, true]
    let directions = reversed.count
    let x = random([length, batch, input])
    let (w, r) = (
      random([directions, gates * hidden, input]), random([directions, gates * hidden, hidden])
    )
    let b = random([directions, 2 * gates * hidden])
    let (h0, c0) = (random([directions, batch, hidden]), random([directions, batch, hidden]))
    let p = random([directions, 3 * hidden])

    let isLSTM = test.opType == "LSTM"
    var all = Tensor<Float>(zeros: [length, directions, batch, hidden])
    var (lastH, lastC) = (h0, c0)
    for (d, isReversed) in reversed.enumerated() {
      for n in 0..<batch {
        let count = test.hasLengths ? lengths[n] : length
        var h = (0..<hidden).map { test.hasStates ? h0[d, n, $0] : 0 }
        var c = (0..<hidden).map { test.hasStates ? c0[d, n, $0] : 0 }
        for t in isReversed ? Array((0..<count).reversed()) : Array(0..<count) {
          (h, c) = step(
            test, (0..<input).map { x[t, n, $0] }, h, c, { w[d, $0, $1] }, { r[d, $0, $1] },
            { b[d, $0] }, { test.hasPeepholes ? p[d, $0] : 0 })
          for i in 0..<hidden { all[t, d, n, i] = h[i] }
        }
        for i in 0..<hidden { (lastH[d, n, i], lastC[d, n, i]) = (h[i], c[i]) }
      }
    }

    func ordered(_ tensor: Tensor<Float>, _ axes: [Int]) -> AnyTensor {
      AnyTensor(test.isBatchFirst ? tensor.permuted(to: axes).contiguous() : tensor)
    }
    var attributes: [String: Attribute] = [
      "direction": .string(test.direction), "hidden_size": .int(hidden),
      "layout": .int(test.isBatchFirst ? 1 : 0),
    ]
    if let flag = test.flag { attributes[flag] = .int(1) }
    if let clip = test.clip { attributes["clip"] = .float(clip) }
    var inputs: [AnyTensor?] = [
      ordered(x, [1, 0, 2]), AnyTensor(w), AnyTensor(r), AnyTensor(b),
      test.hasLengths ? .int32(Tensor([batch], lengths.map(Int32.init))) : nil,
      test.hasStates ? ordered(h0, [1, 0, 2]) : nil,
    ]
    if isLSTM {
      inputs += [
        test.hasStates ? ordered(c0, [1, 0, 2]) : nil, test.hasPeepholes ? AnyTensor(p) : nil,
      ]
    }
    let results = try compute(test.opType, inputs, attributes, outputs: isLSTM ? 3 : 2)
    let expected = [
      ordered(all, [2, 0, 1, 3]), ordered(lastH, [1, 0, 2]), ordered(lastC, [1, 0, 2]),
    ]
    for (result, expected) in zip(results, expected) {
      #expect(result.shape == expected.shape)
      let pairs = zip(
        try result.require(Float.self).elements, try expected.require(Float.self).elements)
      #expect(pairs.allSatisfy { abs($0 - $1) < 1e-5 })
    }
  }

  /// The whole input and the states of each step are rounded as `DynamicQuantizeLinear` rounds
  /// them: steps of an `LSTM`, one by one, on such inputs.
  @Test(arguments: [false, true])
  func quantizedLSTMRoundsInputsAndStates(isPerChannel: Bool) throws {
    var generator = RandomGenerator(seed: 11)
    func random(_ shape: Shape) -> Tensor<Float> {
      Tensor(shape, (0..<shape.count).map { _ in Float(generator.uniform() * 2 - 1) })
    }
    func rounded(_ tensor: AnyTensor) throws -> AnyTensor {
      let codes = try compute("DynamicQuantizeLinear", [tensor], outputs: 3)
      return try compute("DequantizeLinear", codes)[0]
    }
    let channels = 4 * hidden
    func codes(_ depth: Int) -> Tensor<UInt8> {
      Tensor(
        [1, depth, channels], (0..<depth * channels).map { _ in UInt8(generator.uniform() * 256) })
    }
    let (x, b, p) = (
      random([length, batch, input]), random([1, 2 * channels]), random([1, 3 * hidden])
    )
    let (w, r) = (codes(input), codes(hidden))
    let shape: Shape = isPerChannel ? [1, channels] : [1]
    let scales = (0..<2).map { k in
      Tensor<Float>(shape, (0..<shape.count).map { 0.004 + 0.001 * Float($0 + k) })
    }
    let zeros = (0..<2).map { k in
      Tensor<UInt8>(shape, (0..<shape.count).map { UInt8(120 + 3 * $0 + k) })
    }
    let hiddenSize: [String: Attribute] = ["hidden_size": .int(hidden)]
    let node = Node(
      "DynamicQuantizeLSTM", name: "n", domain: "com.microsoft", inputs: [],
      outputs: ["y", "h", "c"], attributes: hiddenSize)
    let op = try OperatorRegistry.make(node, opset: 17)
    var operands: [AnyTensor?] = [
      .float32(x), .uint8(w), .uint8(r), .float32(b), nil, nil, nil, .float32(p),
      .float32(scales[0]), .uint8(zeros[0]), .float32(scales[1]), .uint8(zeros[1]),
    ]
    let infos = try op.infer(operands.map { $0.map(TensorInfo.init) })
    let results = try op.forward(&operands, ExecutionContext())
    #expect(results.map(TensorInfo.init) == infos)

    let weights = [w, r].enumerated().map { k, codes in
      var plain = Tensor<Float>(zeros: [1, channels, codes.shape[1]])
      for i in 0..<codes.shape[1] {
        for o in 0..<channels {
          let place = isPerChannel ? o : 0
          let zero = Float(zeros[k].elements[place])
          plain[0, o, i] = (Float(codes[0, i, o]) - zero) * scales[k].elements[place]
        }
      }
      return AnyTensor(plain)
    }
    let seen = try rounded(.float32(x)).require(Float.self)
    var states: [AnyTensor] = [Tensor<Float>(zeros: [1, batch, hidden])].map(AnyTensor.init)
    states.append(states[0])
    for t in 0..<length {
      let step = seen.slice(axis: 0, range: t..<t + 1).contiguous()
      states = Array(
        try compute(
          "LSTM",
          [
            .float32(step), weights[0], weights[1], .float32(b), nil, try rounded(states[0]),
            states[1], .float32(p),
          ], hiddenSize, outputs: 3)[1...])
      let own = try results[0].require(Float.self).slice(axis: 0, range: t..<t + 1)
      let pairs = zip(own.contiguous().elements, try states[0].require(Float.self).elements)
      #expect(pairs.allSatisfy { abs($0 - $1) < 1e-5 })
    }
    operands[8] = .float32(Tensor([3], [1, 1, 1]))
    #expect(throws: SwiftletError.self) { try op.infer(operands.map { $0.map(TensorInfo.init) }) }
  }

  private static let (x, w, r) = (count([2, 1, 3]), count([1, 4, 3]), count([1, 4, 4]))
  private static let refusals: [Refusal] = [
    Refusal("RNN", [x, w]),
    Refusal("RNN", [x, w, count([1, 4, 3])]),
    Refusal("RNN", [x, w, r], ["hidden_size": .int(3)]),
    Refusal("RNN", [x, w, r], ["direction": .string("bidirectional")]),
    Refusal("RNN", [x, w, r, count([1, 4])]),
    Refusal("RNN", [x, w, r, nil, .int32(Tensor([1], [3]))]),
    Refusal("RNN", [x, w, r, nil, .int32(Tensor([2], [1, 1]))]),
    Refusal("RNN", [x, w, r, nil, nil, count([1, 2, 4])]),
    Refusal("LSTM", [x, w, r]),
    Refusal("GRU", [count([2, 1]), w, r]),
    Refusal("GRU", [ints([2, 1, 3], [1, 2, 3, 4, 5, 6]), w, r]),
    Refusal("RNN", [x, count([1, 0, 3]), count([1, 0, 0])]),
    Refusal("RNN", [x, w, r], ["activations": .strings(["NoSuch"])]),
  ]

  @Test(arguments: refusals)
  func refuses(test: Refusal) { test.check() }

  @Test func parametersGoToTheActivationsThatHaveThem() throws {
    let y = try compute(
      "RNN", [floats([1, 1, 1], [-2]), floats([1, 1, 1], [1]), floats([1, 1, 1], [0])],
      ["activations": .strings(["leakyrelu"]), "activation_alpha": .floats([0.25])])
    #expect(y[0] == floats([1, 1, 1, 1], [-0.5]))
  }

  /// No steps, and no sequences.
  @Test(arguments: [[0, 2, 3], [2, 0, 3], [2, 1, 0]])
  func emptyInputsAreFine(extents: [Int]) throws {
    let results = try compute(
      "LSTM",
      [
        AnyTensor(Tensor<Float>(zeros: Shape(extents))),
        AnyTensor(Tensor<Float>(zeros: [1, 8, extents[2]])),
        AnyTensor(Tensor<Float>(zeros: [1, 8, 2])),
      ], outputs: 3)
    #expect(results[0].shape == [extents[0], 1, extents[1], 2])
  }
}
