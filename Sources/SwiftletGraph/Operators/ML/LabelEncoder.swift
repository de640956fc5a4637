// SPDX-License-Identifier: Apache-2.0

import SwiftletCore

/// Each element replaced by the value that belongs to it in a list of keys, or by a default.
///
/// Keys and values are integers or floats; strings became integers when the file was read. A NaN
/// key matches NaN.
///
/// - Source: ONNX `ai.onnx.ml`, `LabelEncoder`, versions 1 to 4.
struct LabelEncoder: Operator {
  static let opType = "LabelEncoder"
  private let places: [Int64: Int]
  private let floatPlaces: [Float: Int]
  private let notANumber: Int?
  private let values: AnyTensor
  private let fallback: AnyTensor

  init(_ node: Node, opset: Int) throws {
    if let classes = try node.ints("classes_strings") {
      // Version 1: indices become classes.
      let keys = classes.indices.map(Int64.init)
      places = Dictionary(uniqueKeysWithValues: zip(keys, classes.indices))
      (floatPlaces, notANumber) = ([:], nil)
      values = .int64(Tensor([classes.count], classes.map(Int64.init)))
      fallback = .int64(Tensor([], [Int64(try node.int("default_int64", default: -1))]))
      return
    }
    let keys = try Self.list(node, "keys")
    values = try Self.list(node, "values")
    guard keys.shape == values.shape, keys.shape.rank == 1, keys.shape.count > 0 else {
      throw SwiftletError(
        .badInput,
        "LabelEncoder has keys \(keys.shape) and values \(values.shape), which must be lists of "
          + "the same length")
    }
    var places: [Int64: Int] = [:]
    var floatPlaces: [Float: Int] = [:]
    var notANumber: Int?
    if keys.dtype.isFloat {
      for (index, key) in try keys.converted(to: .float32).require(Float.self).elements.enumerated()
      {
        if key.isNaN {
          notANumber = notANumber ?? index
        } else if floatPlaces[key] == nil {
          floatPlaces[key] = index
        }
      }
    } else {
      for (index, key) in keys.integers.enumerated() where places[Int64(key)] == nil {
        places[Int64(key)] = index
      }
    }
    (self.places, self.floatPlaces, self.notANumber) = (places, floatPlaces, notANumber)
    if case .tensor(let value) = node.attributes["default_tensor"] {
      guard value.shape.count == 1, value.dtype == values.dtype else {
        throw SwiftletError(
          .badInput,
          "the default of LabelEncoder is \(value.dtype) \(value.shape), but must be one "
            + "\(values.dtype)")
      }
      fallback = value
    } else if values.dtype.isFloat {
      fallback = AnyTensor.float32(Tensor([], [try node.float("default_float", default: -0.0)]))
        .converted(to: values.dtype)
    } else {
      fallback = AnyTensor.int64(Tensor([], [Int64(try node.int("default_int64", default: -1))]))
        .converted(to: values.dtype)
    }
  }

  /// The keys or values, as listed by one of the attributes.
  private static func list(_ node: Node, _ role: String) throws -> AnyTensor {
    if let values = try node.ints("\(role)_int64s") {
      return .int64(Tensor([values.count], values.map(Int64.init)))
    }
    if let values = try node.floats("\(role)_floats") {
      return .float32(Tensor([values.count], values))
    }
    guard case .tensor(let value) = node.attributes["\(role)_tensor"], value.dtype.isNumber else {
      throw SwiftletError(.badInput, "LabelEncoder has no \(role)")
    }
    return value
  }

  func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    let x = try required(inputs, 0, "input", where: \.isNumber)
    let takesFloats = places.isEmpty
    guard takesFloats == x.dtype.isFloat else {
      throw mismatch("the keys are not of type \(x.dtype)")
    }
    return [TensorInfo(values.dtype, x.shape)]
  }

  func forward(_ inputs: inout [AnyTensor?], _ context: ExecutionContext) throws -> [AnyTensor] {
    let x = inputs[0]!
    let found: [Int?]
    if places.isEmpty {
      found = try x.converted(to: .float32).require(Float.self).elements.map {
        $0.isNaN ? notANumber : floatPlaces[$0]
      }
    } else {
      found = x.integers.map { places[Int64($0)] }
    }
    func opened<T: TensorElement>(_: T.Type) throws -> AnyTensor {
      let list = try values.require(T.self).elements
      let other = try fallback.require(T.self).elements[0]
      return AnyTensor(Tensor(x.shape, found.map { $0.map { list[$0] } ?? other }))
    }
    return [try opened(values.dtype.elementType)]
  }
}
