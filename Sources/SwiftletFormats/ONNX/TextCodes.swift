// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import OrderedCollections
import SwiftletCore
import SwiftletGraph
import SwiftletONNXSchema

/// Replaces strings by numbers: there are no string tensors, and models use strings only as labels
/// and categories.
///
/// The code of a string is its index in the order of first appearance in the file. The strings are
/// stored as metadata.
final class TextCodes {
  /// The metadata key of a JSON list of strings.
  static let key = "swiftlet.texts"
  private(set) var texts: OrderedSet<String> = []

  /// Continues the strings of a file that was already written with codes.
  init(_ known: String?) {
    guard let known, let texts = try? JSONDecoder().decode([String].self, from: Data(known.utf8))
    else { return }
    self.texts = OrderedSet(texts)
  }

  func code(_ text: String) -> Int { texts.append(text).index }

  /// The metadata; `nil` if there are no strings.
  var metadata: String? {
    guard !texts.isEmpty, let data = try? JSONEncoder().encode(Array(texts)) else { return nil }
    return String(decoding: data, as: UTF8.self)
  }

  /// The codes of a constant of strings.
  ///
  /// - Throws: `badInput` if their number does not match the shape, or an element is not a string.
  func tensor(_ proto: ONNX_TensorProto) throws -> AnyTensor {
    try locating("tensor '\(proto.name)'") {
      let shape = try Shape(checking: proto.dims.map(Int.init))
      guard proto.stringData.count == shape.count else {
        throw SwiftletError(
          .badInput, "\(proto.stringData.count) strings do not match shape \(shape)")
      }
      let codes = try proto.stringData.map { data -> Int64 in
        guard let text = String(validating: data, as: UTF8.self) else {
          throw SwiftletError(.badInput, "an element is not valid text")
        }
        return Int64(code(text))
      }
      return .int64(Tensor(shape, codes))
    }
  }

  /// Attributes of `ai.onnx.ml` that list strings, and those that list numbers instead.
  private static let lists = [
    "cats_strings": "cats_int64s", "keys_strings": "keys_int64s", "values_strings": "values_int64s",
    "classes_strings": "classes_strings",
  ]

  /// Replaces strings by codes in the attributes of an operator of `ai.onnx.ml`.
  func replaceTexts(of node: inout Node) throws {
    // The label attributes of linear and vector machines have other names than those of trees.
    let labels = node.opType.hasPrefix("Linear") || node.opType.hasPrefix("SVM")
    var names = Self.lists
    names["classlabels_strings"] = labels ? "classlabels_ints" : "classlabels_int64s"
    var isLabelled = false
    for (texts, numbers) in names {
      guard let values = try node.strings(texts) else { continue }
      node.attributes[texts] = nil
      guard !values.isEmpty else { continue }
      node.attributes[numbers] = .ints(values.map(code))
      isLabelled = isLabelled || texts == "values_strings"
    }
    if node.opType == "LabelEncoder", isLabelled {
      node.attributes["default_int64"] = .int(
        code(try node.string("default_string", default: "_Unused")))
    }
    node.attributes["default_string"] = nil
  }
}
