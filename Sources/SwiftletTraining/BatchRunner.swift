// SPDX-License-Identifier: Apache-2.0

package import SwiftletCore
import SwiftletGraph
package import SwiftletRuntime

/// Runs a model of one input on images in the model's batch size: a model that takes a fixed number
/// runs repeatedly, and the last images are repeated to fill a batch.
package struct BatchRunner: Sendable {
  private let session: Session
  private let input: ValueInfo

  /// - Throws: `unsupported` unless the model has exactly one input.
  package init(_ session: Session) throws {
    let inputs = session.inputs
    guard inputs.count == 1 else {
      throw SwiftletError(
        .unsupported, "the model has \(inputs.count) inputs, but must have one, a batch of images")
    }
    (self.session, input) = (session, inputs[0])
  }

  /// Values by name, one row per image.
  /// - Throws: As ``Session/run(_:)``; `unsupported` naming a value of a fixed-batch model that
  ///   does not have one row per image; `numerical` or `badInput` if one is not fp32.
  package func run(_ images: Tensor<Float>) throws -> [String: Tensor<Float>] {
    let count = images.shape[0]
    guard let batch = input.fixedBatch, batch != count, batch > 0 else {
      return try values(of: images)
    }
    let packed = images.contiguous()
    var parts: [String: [Tensor<Float>]] = [:]
    for start in stride(from: 0, to: count, by: batch) {
      let rows = (start..<start + batch).map { min($0, count - 1) }
      let left = min(batch, count - start)
      for (name, value) in try values(of: packed.rows(rows)) {
        guard value.shape.rank > 0, value.shape[0] == batch else {
          throw SwiftletError(
            .unsupported,
            "'\(name)' is \(value.shape) for \(batch) images: it must have one row per image")
        }
        parts[name, default: []].append(value.contiguous().rows(Array(0..<left)))
      }
    }
    return parts.mapValues { Tensor(joining: $0) }
  }

  private func values(of images: Tensor<Float>) throws -> [String: Tensor<Float>] {
    let results = try session.run([input.name: AnyTensor(images)])
    return try Dictionary(
      uniqueKeysWithValues: results.map { name, value in
        (name, try locating("value '\(name)'") { try value.require() })
      })
  }
}
