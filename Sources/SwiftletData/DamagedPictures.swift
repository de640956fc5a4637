// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore
import Synchronization

/// Leaves pictures that cannot be decoded out of data sets, and keeps a record of them.
public final class DamagedPictures: Sendable {
  /// A picture that was left out.
  public struct Picture: Sendable, Hashable {
    /// The path of its file.
    public let path: String
    /// Why it cannot be decoded.
    public let reason: String
  }

  private let threads: Threads
  private let progress: Progress.Handler?
  private let warn: @Sendable (String) -> Void
  private let found = Mutex<[Picture]>([])

  /// - Parameters:
  ///   - threads: For decoding.
  ///   - progress: Called as pictures are checked; throws to cancel.
  ///   - warn: Receives the first pictures that are left out of each data set, and their number,
  ///     a sentence each.
  public init(
    threads: Threads = .available, progress: Progress.Handler? = nil,
    warn: @escaping @Sendable (String) -> Void = { _ in }
  ) {
    (self.threads, self.progress, self.warn) = (threads, progress, warn)
  }

  /// The pictures left out so far, each once, in the order of their data sets.
  public var pictures: [Picture] { found.withLock { $0 } }

  /// The data set without pictures that cannot be decoded. Every picture is decoded once.
  ///
  /// - Throws: `badInput` if the data set's pictures are not in files, if none of them can be
  ///   decoded, or none of a class; `outOfMemory` if the machine has no memory for one.
  public func removed(from images: ImageDataset) throws -> ImageDataset {
    guard case .files(let files) = images.pixels else {
      throw SwiftletError(
        .badInput, "--skip-damaged is for pictures in files", at: images.name, fix: "leave it out")
    }
    var (kept, damaged) = ([Int](), [Int: SwiftletError]())
    let step = 8 * threads.count
    for start in stride(from: 0, to: images.count, by: step) {
      try progress?(Progress("checking pictures", completed: start, total: images.count))
      let errors = try threads.map(min(step, images.count - start)) { offset in
        try files.damage(at: start + offset)
      }
      for (index, error) in zip(start..., errors) {
        if let error { damaged[index] = error } else { kept.append(index) }
      }
    }
    let lost = damaged.sorted { $0.key < $1.key }.map { index, error in
      (index: index, picture: Picture(path: files.paths[index], reason: error.what))
    }
    guard let first = lost.first else { return images }
    guard !kept.isEmpty else {
      throw Self.nothingLeft("none of the \(images.count) pictures", first.picture, images)
    }
    let result = images.subset(kept)
    let classes = Set(result.labels)
    if images.hasLabels, let one = lost.first(where: { !classes.contains(images.labels[$0.index]) })
    {
      let label = images.labels[one.index]
      throw Self.nothingLeft(
        "no picture of class \(images.classNames.map { "'\($0[label])'" } ?? "\(label)")",
        one.picture, images)
    }
    for one in lost.prefix(3) { warn("left out \(one.picture.path): \(one.picture.reason)") }
    warn(
      "left out \(lost.count) of the \(images.count) pictures of \(images.name), which cannot be "
        + "decoded")
    found.withLock { found in
      let known = Set(found.map(\.path))
      found += lost.map(\.picture).filter { !known.contains($0.path) }
    }
    return result
  }

  private static func nothingLeft(
    _ what: String, _ first: Picture, _ images: ImageDataset
  ) -> SwiftletError {
    SwiftletError(
      .badInput, "\(what) can be decoded: \(first.path): \(first.reason)", at: images.name,
      fix: "check the paths, or get fresh copies")
  }
}

/// A result, with the number of pictures that were left out as `damaged` if that was asked for.
package struct ResultWithDamage<Value: Encodable>: Encodable {
  private let value: Value
  private let damaged: Int?

  package init(_ value: Value, _ damaged: DamagedPictures?) {
    (self.value, self.damaged) = (value, damaged?.pictures.count)
  }

  private enum CodingKeys: CodingKey { case damaged }

  package func encode(to encoder: any Encoder) throws {
    try value.encode(to: encoder)
    guard let damaged else { return }
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(damaged, forKey: .damaged)
  }
}
