// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import OrderedCollections
import SwiftletCore
public import SwiftletGraph

extension Preprocessing {
  /// The key in the model's metadata.
  public static let metadataKey = "swiftlet.preprocessing"

  /// The preprocessing stored in the model's metadata, or else one that suits its input.
  ///
  /// - Throws: `badInput` if the metadata are damaged or do not match the model's input; as
  ///   `init(for:images:scaling:)`.
  public static func stored(in graph: Graph, images: ImageDataset) throws -> Preprocessing {
    guard let text = graph.metadata[metadataKey] else {
      return try Preprocessing(for: graph, images: images)
    }
    guard let value = try? JSONDecoder().decode(Preprocessing.self, from: Data(text.utf8)) else {
      throw SwiftletError(.badInput, "the model's metadata '\(metadataKey)' are damaged")
    }
    try value.checkChannels(images)
    let shape = value.shape(batch: 1)
    guard let input = try? imageInput(of: graph),
      zip(input.dimensions, shape.dimensions).dropFirst().allSatisfy({ declared, extent in
        if case .fixed(let own) = declared { own == extent } else { true }
      }), value.fits(input)
    else {
      throw SwiftletError(
        .badInput, "the model's metadata '\(metadataKey)' do not match its input")
    }
    let own = OpenExtents.of(graph.dataInputs, shapes: [input.name: shape])
    if let (name, extent) = graph.extents.first(where: { own[$0.key] ?? $0.value != $0.value }) {
      throw SwiftletError(
        .badInput, "\(name)=\(extent): the model was trained with \(name)=\(own[name] ?? 0)",
        fix: "leave that extent to the model's metadata '\(metadataKey)'")
    }
    try checkSize(input, shape)
    return value
  }

  /// Whether the model specifies how images become its input; otherwise that is guessed.
  public static func isStored(in graph: Graph) -> Bool {
    graph.metadata[metadataKey] != nil || UltralyticsMetadata.plan(of: graph) != nil
  }

  /// Stores the preprocessing of another model, if a model has none and its input takes such
  /// pixels: models that are compared see the same ones.
  ///
  /// - Returns: Whether it has been stored.
  public static func adopt(
    from other: Graph, into graph: inout Graph, images: ImageDataset
  ) -> Bool {
    if case .arrays = images.pixels { return false }
    guard !isStored(in: graph), isStored(in: other),
      let preprocessing = try? stored(in: other, images: images)
    else { return false }
    var candidate = graph
    preprocessing.store(in: &candidate)
    guard (try? stored(in: candidate, images: images)) != nil else { return false }
    graph = candidate
    return true
  }

  /// Writes this into the model's metadata.
  public func store(in graph: inout Graph) {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys]
    // Encoding plain numbers cannot fail: they have been checked to be finite.
    guard let data = try? encoder.encode(self) else { return }
    graph.metadata[Self.metadataKey] = String(decoding: data, as: UTF8.self)
  }

  /// - Throws: `badInput` if a batch of the size that evaluation uses would be too large.
  static func checkSize(_ input: ValueInfo, _ shape: Shape) throws {
    let batch = input.fixedBatch ?? 256
    let extents = shape.replacing(axis: 0, with: batch).dimensions
    _ = try ValueInfo(input.name, input.dtype, extents.map(Dimension.fixed)).shape(batch: batch)
  }

  /// - Throws: `unsupported` or `badInput` if the model's channels are not those of the images.
  func checkChannels(_ images: ImageDataset) throws {
    let isPicture = channels == 1 || channels == 3
    guard let found = images.imageExtents?.channels else {
      guard isPicture else {
        throw SwiftletError(
          .unsupported, "the model takes images of \(channels) channels; pictures have 3, or 1",
          at: images.name, fix: "give arrays with inputs:FILE.npz")
      }
      return
    }
    guard found == channels || found == 1, isDirect || isPicture else {
      throw SwiftletError(
        .badInput, "the model takes images of \(channels) channels, the data have \(found)",
        at: images.name)
    }
  }
}
