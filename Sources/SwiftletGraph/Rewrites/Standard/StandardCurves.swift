// SPDX-License-Identifier: Apache-2.0

import SwiftletCore

extension StandardExpansion {
  /// onnxruntime's `Gelu`, `BiasGelu`, `FastGelu` and `QuickGelu`.
  mutating func expandCurve(_ node: Node) throws -> Bool {
    switch node.opType {
    case "Gelu": gelu(input(node, 0), to: node.outputs[0])
    case "BiasGelu":
      gelu(emit("Add", [input(node, 0), input(node, 1)]), to: node.outputs[0])
    case "FastGelu":
      let x = has(node, 1) ? emit("Add", [input(node, 0), input(node, 1)]) : input(node, 0)
      fastGelu(x, to: node.outputs[0])
    case "QuickGelu":
      let alpha = try node.float("alpha", default: 1.702)
      let x = input(node, 0)
      let gate = emit("Sigmoid", [alpha == 1 ? x : emit("Mul", [x, number(alpha)])])
      emit("Mul", [x, gate], to: node.outputs[0])
    default: return false
    }
    return true
  }

  /// x · (1 + erf(x / √2)) / 2.
  private mutating func gelu(_ x: String, to output: String) {
    if result.opset >= 20 {
      emit("Gelu", [x], to: output)
      return
    }
    let curve = emit("Erf", [emit("Mul", [x, number(Float(0.5).squareRoot())])])
    let sum = emit("Add", [curve, number(1)])
    emit("Mul", [emit("Mul", [x, sum]), number(0.5)], to: output)
  }

  /// x · (1 + tanh(√(2/π) · (x + 0.044715 x³))) / 2.
  private mutating func fastGelu(_ x: String, to output: String) {
    if result.opset >= 20 {
      emit("Gelu", [x], ["approximate": .string("tanh")], to: output)
      return
    }
    let cube = emit("Mul", [emit("Mul", [x, x]), x])
    let inner = emit("Add", [x, emit("Mul", [cube, number(0.044715)])])
    let curve = emit("Tanh", [emit("Mul", [inner, number(0.797_884_56)])])
    let sum = emit("Add", [curve, number(1)])
    emit("Mul", [emit("Mul", [x, sum]), number(0.5)], to: output)
  }

  /// The activation that a fused layer names, applied to a value.
  ///
  /// - Returns: `false` if it is unknown.
  mutating func activation(
    _ name: String, _ parameters: [Float], of x: String, to output: String
  ) -> Bool {
    func parameter(_ index: Int, _ name: String) -> [String: Attribute] {
      index < parameters.count ? [name: .float(parameters[index])] : [:]
    }
    switch name {
    case "": emit("Identity", [x], to: output)
    case "Relu", "Tanh", "Sigmoid", "Softsign", "Softplus": emit(name, [x], to: output)
    case "LeakyRelu", "Elu", "ThresholdedRelu", "Celu":
      emit(name, [x], parameter(0, "alpha"), to: output)
    case "HardSigmoid":
      emit(name, [x], parameter(0, "alpha").merging(parameter(1, "beta")) { $1 }, to: output)
    case "Clip":
      guard parameters.count == 2 else { return false }
      if result.opset >= 11 {
        emit("Clip", [x, number(parameters[0]), number(parameters[1])], to: output)
      } else {
        emit(
          "Clip", [x], ["min": .float(parameters[0]), "max": .float(parameters[1])], to: output)
      }
    case "HardSwish":
      let gate = emit("HardSigmoid", [x], ["alpha": .float(1 / 6), "beta": .float(0.5)])
      emit("Mul", [x, gate], to: output)
    default: return false
    }
    return true
  }

  /// Experimental operators of ONNX's first operator sets.
  static let experimental: Set<String> = [
    "Affine", "Crop", "ImageScaler", "ParametricSoftplus", "Scale", "ScaledTanh",
  ]

  mutating func expandExperimental(_ node: Node) throws -> Bool {
    let (x, y) = (input(node, 0), node.outputs[0])
    guard node.domain.isEmpty, node.inputs.count == 1 else { return false }
    func value(_ name: String, _ fallback: Float) throws -> Float {
      try node.float(name, default: fallback)
    }
    switch node.opType {
    case "Affine":
      let scaled = emit("Mul", [x, number(try value("alpha", 1))])
      emit("Add", [scaled, number(try value("beta", 0))], to: y)
    case "Scale": emit("Mul", [x, number(try value("scale", 1))], to: y)
    case "ScaledTanh":
      let curve = emit("Tanh", [emit("Mul", [x, number(try value("beta", 0.5))])])
      emit("Mul", [curve, number(try value("alpha", 0.5))], to: y)
    case "ParametricSoftplus":
      let curve = emit("Softplus", [emit("Mul", [x, number(try value("beta", 1))])])
      emit("Mul", [curve, number(try value("alpha", 1))], to: y)
    case "ImageScaler":
      let scaled = emit("Mul", [x, number(try value("scale", 1))])
      let bias = try node.floats("bias") ?? [0]
      let addend = constant(.float32(Tensor([bias.count, 1, 1], bias)), "\(y).bias")
      emit("Add", [scaled, addend], to: y)
    case "Crop":
      // Left, top, right and bottom borders; a scale is a height and a width relative to them.
      guard let border = try node.ints("border"), border.count == 4 else { return false }
      let scale = try node.ints("scale")
      guard border.allSatisfy({ 0...1 << 30 ~= $0 }), scale.map({ $0.count == 2 }) ?? true else {
        return false
      }
      let ends =
        scale.map { [border[1] + $0[0], border[0] + $0[1]] }
        ?? [
          border[3] == 0 ? Int(Int32.max) : -border[3],
          border[2] == 0 ? Int(Int32.max) : -border[2],
        ]
      let starts = [border[1], border[0]]
      if result.opset >= 10 {
        emit("Slice", [x, list(starts), list(ends), list([2, 3])], to: y)
      } else {
        emit(
          "Slice", [x],
          ["starts": .ints(starts), "ends": .ints(ends), "axes": .ints([2, 3])], to: y)
      }
    default: return false
    }
    return true
  }
}
