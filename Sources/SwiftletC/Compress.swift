// SPDX-License-Identifier: Apache-2.0

// Functions have their names in C.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

public import CSwiftletABI
import SwiftletCompress
import SwiftletCore
import SwiftletData
import SwiftletFiles
import SwiftletFormats
import SwiftletGraph

@c @implementation
public func swiftlet_compress(
  _ model: UnsafePointer<CChar>?, _ recipe: UnsafePointer<CChar>?, _ data: UnsafePointer<CChar>?,
  _ options: UnsafePointer<swiftlet_compress_options>?, _ progress: swiftlet_progress?,
  _ context: UnsafeMutableRawPointer?, _ output: UnsafePointer<CChar>?,
  _ report: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
) -> swiftlet_status {
  call {
    let model = try unsafe Arguments.text(model, "model")
    let recipe = try unsafe Recipe(parsing: Arguments.text(recipe, "recipe"))
    let data = try unsafe DataSpec(parsing: Arguments.text(data, "data"))
    let output = try unsafe Arguments.text(output, "output")
    let settings = try unsafe CompressSettings(options)
    try AtomicFile.checkWritable(output)
    let listener = unsafe progress.map { unsafe Listener($0, context) }
    let parts = try DataParts(
      data, seed: settings.seed, dataDirectory: settings.dataDirectory)
    let compression = CompressionContext(
      original: try ONNXFile.read(model), training: parts.training, validation: parts.validation,
      threads: settings.threads, seed: settings.seed, progress: listener?.handler)
    let goals = Goals(maxDrop: settings.maxDrop.map(Goals.Drop.absolute))
    let result = try locating(model) { try Compressor(compression, goals: goals).run(recipe) }
    let document = try JSON.text(
      CompressionReport(
        result, model: model, output: output, threads: settings.threads.count, data: parts))
    try ONNXFile.write(result.graph, to: output)
    if let report = unsafe report { unsafe report.pointee = copyForC(document) }
  }
}

/// The validated `swiftlet_compress_options`.
private struct CompressSettings {
  var threads = Threads.available
  var seed: UInt64 = 0
  var dataDirectory: String?
  /// `nil` applies the recipe unchanged.
  var maxDrop: Double?

  init(_ options: UnsafePointer<swiftlet_compress_options>?) throws {
    guard let options = try unsafe Options.read(options, "options") else {
      return
    }
    threads = try unsafe Arguments.threads(options.threads)
    seed = unsafe options.seed
    if let folder = unsafe options.data_directory {
      dataDirectory = try unsafe Arguments.text(folder, "options.data_directory")
    }
    let drop = unsafe options.max_drop
    guard 0...100 ~= drop else {
      throw Refusal.usage("options.max_drop is \(drop)", fix: "use 0 to 100")
    }
    if drop > 0 { maxDrop = drop }
  }
}

/// Passes progress on to C.
///
/// `@unchecked Sendable`: the caller must guard what `context` points to. Calls do not overlap.
@safe
private struct Listener: @unchecked Sendable {
  private let function: swiftlet_progress
  private let context: UnsafeMutableRawPointer?

  init(_ function: @escaping swiftlet_progress, _ context: UnsafeMutableRawPointer?) {
    unsafe (self.function, self.context) = (function, context)
  }

  var handler: Progress.Handler {
    { progress in
      let (done, total) = (UInt64(max(0, progress.completed)), UInt64(max(0, progress.total ?? 0)))
      let answer = unsafe progress.task.withCString { task in
        guard let remark = progress.remark else {
          return unsafe function(task, done, total, nil, context)
        }
        return unsafe remark.withCString { unsafe function(task, done, total, $0, context) }
      }
      if answer != 0 { throw CancellationError() }
    }
  }
}
