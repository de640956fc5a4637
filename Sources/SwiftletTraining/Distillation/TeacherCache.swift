// SPDX-License-Identifier: Apache-2.0

import Glibc
import OrderedCollections
public import SwiftletCore
public import SwiftletData
import SwiftletFiles
import SwiftletFormats
public import SwiftletGraph

/// A teacher's answers to all training images, in a file.
///
/// Named by hashes of the teacher, the images, the preprocessing and the requested values, so
/// answers computed for anything else are never read. Useless for augmented images, which never
/// repeat.
public struct TeacherCache: Sendable {
  private let folder: String
  /// Larger answers are not stored: the answers are held in memory during training. In bytes.
  private let limit: Int
  private static let keyName = "swiftlet.teacher"
  private static let probeSize = 256

  /// Files in `folder`, which is made where it is missing, of at most `limit` bytes each.
  public init(folder: String, limit: Int = 1 << 30) {
    self.folder = folder
    self.limit = limit
  }

  /// Lets the teacher answer from the file: an existing one, or a new one if creating it saves
  /// time.
  ///
  /// It does if running the teacher once, writing the answers and looking them up in every epoch
  /// takes less time than running the teacher in every epoch, as measured on some images.
  ///
  /// - Returns: The decision and its reason, for display.
  /// - Throws: `io` if the folder cannot be written; errors of the teacher. A damaged file is
  ///   recreated.
  public func serve(
    _ outputs: inout TeacherOutputs, _ teacher: Graph, _ data: ImageDataset, epochs: Int,
    threads: Threads, progress: Progress.Handler? = nil
  ) throws -> String {
    let entry = try Entry(folder, teacher, data, outputs.names, progress)
    let (key, path) = (entry.key, entry.path)
    if let rows = Self.read(path, key, outputs.names, data.count) {
      outputs.use(rows)
      return "the teacher's answers were read from \(path)"
    }
    func batch(_ range: Range<Int>) throws -> [Tensor<Float>] {
      try outputs.run(entry.feed.tensor(Array(range), threads: threads))
    }
    let probe = 0..<min(Self.probeSize, data.count)
    let sample = try batch(probe)
    let bytes = sample.reduce(0) { $0 + 4 * $1.shape.count } * data.count / probe.count
    guard bytes <= limit else {
      return "the teacher runs in every epoch: its answers take \(bytes >> 20) MB"
    }
    try OutputFolder.create(folder)
    let run = try Self.seconds { _ = try batch(probe) }
    let write = try Self.seconds { try Self.write(sample, outputs.names, key, "\(path).probe") }
    unsafe unlink("\(path).probe")
    let look = Self.seconds { _ = sample.map { $0.rows(Array(probe)) } }
    guard run + write + Double(epochs) * look < Double(epochs) * run else {
      return "the teacher runs in every epoch: a file does not pay off in \(epochs) epoch(s)"
    }
    try Self.fill(entry, &outputs, data, threads: threads, progress: progress)
    return
      "the teacher's answers are cached in \(path): \(bytes >> 10) kB, "
      + "\(Int(run / max(look, 1e-9))) times as fast as running it"
  }

  /// Computes and stores the answers to all images unconditionally, and lets the teacher answer
  /// from them.
  ///
  /// - Returns: The file.
  package func keep(
    _ outputs: inout TeacherOutputs, _ teacher: Graph, _ data: ImageDataset, threads: Threads
  ) throws -> String {
    let entry = try Entry(folder, teacher, data, outputs.names, nil)
    try OutputFolder.create(folder)
    try Self.fill(entry, &outputs, data, threads: threads, progress: nil)
    return entry.path
  }

  /// The file for a teacher and its images.
  private struct Entry {
    let feed: InputFeed
    let key, path: String

    init(
      _ folder: String, _ teacher: Graph, _ data: ImageDataset, _ names: [String],
      _ progress: Progress.Handler?
    ) throws {
      feed = try InputFeed(data, for: teacher)
      key = Digest.sha256(
        "\(Digest.sha256(try ONNXFile.encode(teacher))) "
          + "\(try Digest.sha256(data, progress: progress)) "
          + "\(feed.preprocessing.map { "\($0)" } ?? "arrays") \(names)")
      path = "\(folder)/teacher-\(key.prefix(16)).safetensors"
    }
  }

  private static func fill(
    _ entry: Entry, _ outputs: inout TeacherOutputs, _ data: ImageDataset, threads: Threads,
    progress: Progress.Handler?
  ) throws {
    let teacher = outputs
    let whole = try entry.feed.loading(Array(0..<data.count), threads: threads) { loader in
      try rows(
        data.count, { try teacher.run(loader.tensor($0, threads: threads)) }, progress)
    }
    try write(whole, outputs.names, entry.key, entry.path)
    outputs.use(whole)
  }

  /// The answers to all images.
  private static func rows(
    _ count: Int, _ batch: (Range<Int>) throws -> [Tensor<Float>], _ progress: Progress.Handler?
  ) throws -> [Tensor<Float>] {
    var whole: [Tensor<Float>] = []
    for start in stride(from: 0, to: count, by: probeSize) {
      let range = start..<min(start + probeSize, count)
      let parts = try batch(range)
      if whole.isEmpty {
        whole = parts.map { Tensor(zeros: $0.shape.replacing(axis: 0, with: count)) }
      }
      for (index, part) in parts.enumerated() {
        let packed = part.contiguous()
        var target = whole[index].mutableSpan
        target.copy(packed.span, to: start * (packed.shape.count / range.count))
      }
      try progress?(Progress("teacher", completed: range.upperBound, total: count))
    }
    return whole
  }

  private static func write(
    _ rows: [Tensor<Float>], _ names: [String], _ key: String, _ path: String
  ) throws {
    let tensors = OrderedDictionary(
      uniqueKeysWithValues: zip(names, rows.map(AnyTensor.init)))
    try Safetensors(tensors: tensors, metadata: [keyName: key]).write(to: path)
  }

  /// The stored answers; `nil` if there are none, or the file is damaged or belongs to something
  /// else.
  private static func read(
    _ path: String, _ key: String, _ names: [String], _ count: Int
  ) -> [Tensor<Float>]? {
    guard InputFile.exists(path), let file = try? Safetensors(reading: path),
      file.metadata[keyName] == key
    else { return nil }
    let rows = names.compactMap { name -> Tensor<Float>? in
      guard let tensor: Tensor<Float> = file.tensors[name]?.typed(), tensor.shape.rank >= 1,
        tensor.shape[0] == count
      else { return nil }
      return tensor.contiguous()
    }
    return rows.count == names.count ? rows : nil
  }

  private static func seconds(_ body: () throws -> Void) rethrows -> Double {
    let clock = ContinuousClock()
    let start = clock.now
    try body()
    return start.duration(to: clock.now) / .seconds(1)
  }
}
