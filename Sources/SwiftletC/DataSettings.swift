// SPDX-License-Identifier: Apache-2.0

internal import CSwiftletABI
import Logging
import SwiftletCore
import SwiftletData
import SwiftletFormats
import SwiftletGraph

/// What the options of a call say about reading its data and its models.
struct DataSettings {
  /// The first place to look for fashion-mnist.
  let dataDirectory: String?
  /// What leaves out pictures that cannot be decoded; `nil` if they are errors.
  let damaged: DamagedPictures?
  private let loaderMemory: Int?
  private let extents: [(name: String, extent: Int)]

  private static let largestExtent: Int64 = 1 << 24

  /// - Parameters: The fields of the options with these names.
  /// - Throws: A ``Refusal`` for numbers out of range.
  init(
    dataDirectory: UnsafePointer<CChar>?, skipDamaged: Int32, loaderMemory: UInt64,
    extents: UnsafePointer<swiftlet_extent>?, extentCount: Int, threads: Threads,
    _ callbacks: Callbacks
  ) throws {
    self.dataDirectory = try unsafe dataDirectory.map {
      try unsafe Arguments.text($0, "options.data_directory")
    }
    guard let memory = Int(exactly: loaderMemory) else {
      throw Refusal.usage(
        "options.loader_memory is \(loaderMemory)", fix: "use at most \(Int.max) bytes")
    }
    self.loaderMemory = memory == 0 ? nil : memory
    damaged =
      skipDamaged == 0
      ? nil
      : DamagedPictures(threads: threads, progress: callbacks.handler) { warning in
        Logger.swiftlet("data").warning("\(warning)")
      }
    guard let extents = unsafe extents else {
      guard extentCount == 0 else {
        throw Refusal.usage("options.extents is NULL, but there are \(extentCount)")
      }
      self.extents = []
      return
    }
    let count = try Arguments.extent(Int64(extentCount), "options.extent_count")
    self.extents = try (0..<count).map { index in
      let (given, place) = unsafe (extents[index], "options.extents[\(index)]")
      let name = try unsafe Arguments.text(given.name, "\(place).name")
      guard unsafe 1...Self.largestExtent ~= given.size else {
        throw unsafe Refusal.usage(
          "\(place).size, of '\(name)', is \(given.size)", fix: "use 1 to \(Self.largestExtent)")
      }
      return (name, unsafe Int(given.size))
    }
  }

  /// Reads the samples of one part, without damaged pictures if they are to be left out.
  func load(_ data: GivenData, _ part: DataSpec.Part) throws -> ImageDataset {
    switch data {
    case .named(let spec):
      return try spec.load(defaultPart: part, dataDirectory: dataDirectory, leavingOut: damaged)
    case .own(let samples):
      guard damaged == nil else {
        throw Refusal.usage(
          "options.skip_damaged is for pictures in files, not for samples of the program",
          fix: "set it to 0")
      }
      return samples.data
    }
  }

  /// Reads a model and sets the extents that were given.
  ///
  /// - Throws: As `ONNXFile.read`; `badInput` for an extent that the model does not leave open.
  func read(_ model: String) throws -> Graph {
    var graph = try ONNXFile.read(model)
    graph.extents = try locating(model) {
      try graph.openExtents(extents, at: "options.extents")
    }
    return graph
  }

  /// Does the work of the call within its memory for decoded pictures.
  func withLoaderMemory<Result>(_ body: () throws -> Result) rethrows -> Result {
    try LoaderMemory.bounded(by: loaderMemory, body)
  }
}
