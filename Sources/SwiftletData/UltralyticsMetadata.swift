// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletGraph
import SwiftletImages

/// What Ultralytics' exports specify in their metadata: `task`, `imgsz`, `stride`, `names`
/// (ultralytics/engine/exporter.py), of models that its own `LetterBox` and
/// `classify_transforms` feed.
enum UltralyticsMetadata {
  /// The preprocessing of an export; `nil` if the model is none, or of a task that is not known.
  static func plan(of graph: Graph) -> PreprocessingPlan? {
    guard ["stride", "names", "imgsz"].allSatisfy({ graph.metadata[$0] != nil }),
      let task = graph.metadata["task"], let size = size(graph.metadata["imgsz"] ?? "")
    else { return nil }
    var plan = PreprocessingPlan()
    // Of an export with fixed extents, these count; of others, what the user asks for.
    if graph.extents.isEmpty, let input = try? Preprocessing.imageInput(of: graph),
      input.dimensions.dropFirst(2).contains(where: {
        if case .symbolic = $0 { true } else { false }
      })
    {
      plan.size = (size, "imgsz")
    }
    plan.numbers = Preprocessing.Numbers(0, 1, 1)
    plan.yieldsToIntegers = true
    plan.antialias = false
    switch task {
    case "classify":
      plan.resizing = size.width == size.height ? .shorter(.model) : .exact(.model)
      plan.antialias = true
    // Its predictor stretches pictures.
    case "detect" where graph.metadata["head"] == "RTDETRDecoder":
      plan.resizing = .exact(.model)
    case "detect", "segment", "pose", "obb":
      plan.resizing = .letterbox(.model)
      plan.border = [114]
    default: return nil
    }
    return plan
  }

  /// `[640, 640]`: height and width.
  private static func size(_ text: String) -> Image.Size? {
    guard text.hasPrefix("["), text.hasSuffix("]") else { return nil }
    let numbers = text.dropFirst().dropLast().split(separator: ",").map {
      Int($0.drop { $0 == " " })
    }
    guard numbers.count == 2, let height = numbers[0], let width = numbers[1], height > 0,
      width > 0
    else { return nil }
    return Image.Size(width: width, height: height)
  }
}
