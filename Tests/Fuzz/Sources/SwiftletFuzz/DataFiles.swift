// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Swiftlet

/// Files that describe preprocessing and files of samples, which are read from a folder, as users
/// give them.
struct DataFiles {
  private let folder: String

  /// Files in a folder of this process.
  init() throws {
    let parent = FileManager.default.temporaryDirectory.path
    folder = "\(parent)/swiftlet-fuzz-\(ProcessInfo.processInfo.processIdentifier)"
    try FileManager.default.createDirectory(
      atPath: "\(folder)/shards", withIntermediateDirectories: true)
  }

  /// Replaces a file.
  private func put(_ bytes: [UInt8], _ name: String) throws -> String {
    let path = "\(folder)/\(name)"
    try Data(bytes).write(to: URL(fileURLWithPath: path))
    return path
  }

  // MARK: Preprocessing

  /// Inputs for pictures: of any size and of fixed ones, in both orders of axes.
  private static let pictureModels: [Graph] = [
    identity(.float32, [.symbolic("N"), .fixed(3), .symbolic("height"), .symbolic("width")]),
    identity(.float32, [.symbolic("N"), .fixed(3), .fixed(8), .fixed(8)]),
    identity(.uint8, [.symbolic("N"), .fixed(6), .fixed(8), .fixed(3)]),
    identity(.float32, [.symbolic("N"), .fixed(1), .fixed(8), .fixed(8)]),
  ]

  /// Two images of 5×7 pixels.
  private static let pictures: [ImageDataset] = [1, 3].map { channels in
    let pixels = (0..<70 * channels).map { UInt8(truncatingIfNeeded: $0 * 37) }
    return try! ImageDataset(
      name: "pictures", images: Tensor([2, channels, 5, 7], pixels), labels: [], classCount: 0)
  }

  /// Reads a description for several models, stores it in them, and prepares pictures by it if that
  /// is little work.
  func describe(_ bytes: [UInt8]) throws {
    let path = try put(bytes, "preprocessing")
    for var graph in Self.pictureModels {
      for pictures in Self.pictures {
        guard let made = try? Preprocessing(reading: path, for: graph, images: pictures) else {
          continue
        }
        made.store(in: &graph)
        let feed = try InputFeed(pictures, for: graph)
        precondition(feed.preprocessing == made)
        let sides = [
          made.height, made.width, made.shorterSide ?? 0, made.box?.width ?? 0,
          made.box?.height ?? 0,
        ]
        guard sides.allSatisfy({ $0 <= 256 }) else { continue }
        let batch = try feed.inputs([1, 0], threads: .serial)
        precondition(batch["x"]?.shape == made.shape(batch: 2))
      }
    }
  }

  // MARK: Samples

  /// Inputs for samples of several kinds.
  private static let sampleModels: [Graph] = [
    identity(.float32, [.symbolic("N"), .symbolic("length")]),
    identity(.int64, [.symbolic("N")]),
    identity(.float32, [.symbolic("N"), .fixed(3), .symbolic("height"), .symbolic("width")]),
    identity(.float32, [.fixed(2), .fixed(3)]),
  ]

  /// Reads an array file by rows, and as data: alone, and twice as the files of a folder.
  func readRows(_ bytes: [UInt8]) throws {
    let kind =
      bytes.starts(with: [0x50, 0x4B])
      ? "npz" : bytes.starts(with: [0x93]) ? "npy" : "safetensors"
    let path = try put(bytes, "x.\(kind)")
    var specs = kind == "npy" ? ["npy:\(path)", "npy:\(path),\(path)"] : ["npz:\(path)"]
    specs.append("inputs:\(path)[50%]")
    if kind != "npy" {
      for other in ["npz", "safetensors"] where other != kind {
        for index in 0..<2 {
          try? FileManager.default.removeItem(atPath: "\(folder)/shards/\(index).\(other)")
        }
      }
      for index in 0..<2 { _ = try put(bytes, "shards/\(index).\(kind)") }
      specs += ["npz:\(folder)/shards:test", "inputs:\(folder)/shards"]
      compareShards()
    }
    compareRows(of: path)
    for spec in specs { try? useData(DataSpec(parsing: spec)) }
  }

  /// Rows are those of the array as a whole, by either reader.
  private func compareRows(of path: String) {
    guard let arrays = try? ArrayFile.open(path) else { return }
    let wholes = try? ArrayFile.read(path)
    for (name, array) in arrays {
      guard let whole = try? array.whole() else { continue }
      if let other = wholes?[name] { precondition(NPY.encode(other) == NPY.encode(whole)) }
      guard array.shape.rank > 0, array.count > 0 else { continue }
      if let ends = try? array.rows([array.count - 1, 0]) {
        precondition(ends.dtype == whole.dtype && ends.shape[0] == 2)
      }
      var rows = 0
      try? array.forEachPart(bytes: 64) { part, range in
        precondition(part.shape[0] == range.count && range.lowerBound == rows)
        rows = range.upperBound
      }
      precondition(rows == array.count)
    }
  }

  /// A folder has the rows of all its files.
  private func compareShards() {
    guard let arrays = try? ArrayFile.open("\(folder)/shards") else { return }
    for array in arrays.values where array.shape.rank > 0 && array.count > 1 {
      guard let rows = try? array.rows([0, array.count / 2]) else { continue }
      precondition(rows.dtype == array.dtype)
    }
  }

  /// Loads samples, divides them, and makes inputs of models of them.
  private func useData(_ spec: DataSpec) throws {
    _ = try spec.hasLabels()
    let data = try spec.load(defaultPart: .train)
    if let parts = try? DataParts(spec, split: 0.5, seed: 1) {
      precondition(parts.training.count + parts.validation.count == data.count)
    }
    for graph in Self.sampleModels {
      guard let feed = try? InputFeed(data, for: graph), feed.count > 0 else { continue }
      let batch = [Int](repeating: feed.count - 1, count: feed.fixedBatch ?? 1)
      _ = try? feed.inputs(batch, threads: .serial)
    }
  }

  private static func identity(_ dtype: DType, _ dimensions: [Dimension]) -> Graph {
    Graph(
      name: "identity", nodes: [Node("Identity", name: "y", inputs: ["x"], outputs: ["y"])],
      initializers: [:], inputs: [ValueInfo("x", dtype, dimensions)],
      outputs: [ValueInfo("y", dtype, dimensions)])
  }
}
