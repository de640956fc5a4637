import FoundationEssentials
import OrderedCollections
import SwiftletCore
import SwiftletGraph
import SwiftletONNXSchema

/// Numbers in the place of texts: there are no tensors of texts, and models have them as labels and
/// categories only.
///
/// Each text of a model has the number of its place in the order in which the file has them. The
/// texts are kept as metadata.
final class TextCodes {
  /// The key of the metadata: a JSON list of texts.
  static let key = "swiftlet.texts"
  private(set) var texts: OrderedSet<String> = []

  /// Continues the texts of a file that was written with numbers already.
  init(_ known: String?) {
    guard let known, let texts = try? JSONDecoder().decode([String].self, from: Data(known.utf8))
    else { return }
    self.texts = OrderedSet(texts)
  }

  func code(_ text: String) -> Int { texts.append(text).index }

  /// The metadata; `nil` if there are no texts.
  var metadata: String? {
    guard !texts.isEmpty, let data = try? JSONEncoder().encode(Array(texts)) else { return nil }
    return String(decoding: data, as: UTF8.self)
  }

  /// The numbers of a constant of texts.
  ///
  /// - Throws: `badInput` if there are not as many as its shape says, or they are no texts.
  func tensor(_ proto: ONNX_TensorProto) throws -> AnyTensor {
    try locating("tensor '\(proto.name)'") {
      let shape = try Shape(checking: proto.dims.map(Int.init))
      guard proto.stringData.count == shape.count else {
        throw SwiftletError(.badInput, "\(proto.stringData.count) texts for shape \(shape)")
      }
      let codes = try proto.stringData.map { data -> Int64 in
        guard let text = String(validating: data, as: UTF8.self) else {
          throw SwiftletError(.badInput, "an element is no text")
        }
        return Int64(code(text))
      }
      return .int64(Tensor(shape, codes))
    }
  }

  /// Attributes of `ai.onnx.ml` that list texts, and those that list numbers in their place.
  private static let lists = [
    "cats_strings": "cats_int64s", "keys_strings": "keys_int64s", "values_strings": "values_int64s",
    "classes_strings": "classes_strings",
  ]

  /// Replaces texts by numbers in the attributes of an operator of `ai.onnx.ml`.
  func replaceTexts(of node: inout Node) throws {
    // The labels of linear and vector machines have another name than those of trees.
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
