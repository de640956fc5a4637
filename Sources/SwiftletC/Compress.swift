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
    let callbacks = unsafe Callbacks(progress, context)
    let model = try unsafe Arguments.text(model, "model")
    let options = try unsafe CompressSettings.read(options)
    let settings = try unsafe CompressSettings(recipe, options, callbacks)
    let data = try unsafe GivenData.read(
      data, options.samples, ("data", "options.samples"), callbacks)
    let output = try unsafe Arguments.text(output, "output")
    for path in [output, settings.report].compactMap({ $0 }) { try AtomicFile.checkWritable(path) }
    let graph = try settings.source.read(model)
    let compression = CompressCall(
      model: model, original: graph, output: output, settings: settings, callbacks: callbacks)
    let document = try settings.source.withLoaderMemory {
      if let data, try settings.countsClasses(of: graph, data) {
        try compression.labelled(data)
      } else {
        try compression.unlabelled(data)
      }
    }
    if let report = unsafe report { unsafe report.pointee = copyForC(document) }
  }
}

/// A compression: each method writes the files and returns the report.
private struct CompressCall {
  /// The path of the model.
  let model: String
  let original: Graph
  let output: String
  let settings: CompressSettings
  let callbacks: Callbacks

  func labelled(_ data: GivenData) throws -> String {
    guard data.fixed.isEmpty, settings.outputs.count < 2 else {
      throw SwiftletError(
        .unsupported,
        "steps that train take neither arrays that are the same for all samples nor several "
          + "outputs to judge by", fix: "leave them out, or choose steps that do not train")
    }
    let parts = try parts(data)
    guard parts.validation.hasLabels else {
      throw SwiftletError(
        .badInput, "the data have labels, but those to judge on have none",
        at: parts.validation.name, fix: "give labels for both, or for none")
    }
    var graph = original
    try locating(model) { try graph.prepare(settings.preprocess, for: parts.validation) }
    var context = CompressionContext(
      original: graph, training: parts.training, validation: parts.validation,
      threads: settings.threads, seed: settings.seed, outputs: settings.outputs,
      progress: callbacks.handler)
    context.fileBytes = try ONNXFile.byteCount(model)
    context.metric = settings.metric
    let compressor = Compressor(context, goals: settings.goals)
    let result = try locating(model) {
      settings.isPreset
        ? try compressor.run(preset: settings.recipe)
        : try compressor.run(compressor.mixing(settings.recipe))
    }
    var report = CompressionReport(
      result, model: model, output: output, threads: settings.threads.count, data: parts)
    report.damaged = settings.source.damaged?.pictures.count
    try write(result.graph, page: report.html)
    return try JSON.text(report)
  }

  private func parts(_ data: GivenData) throws -> DataParts {
    let source = settings.source
    if case .named(let spec) = data {
      switch settings.judge {
      case nil:
        return try DataParts(
          spec, split: settings.split, seed: settings.seed, dataDirectory: source.dataDirectory,
          leavingOut: source.damaged, progress: callbacks.handler)
      case .named(let judge)?:
        return try DataParts(
          spec, judge: judge, seed: settings.seed, dataDirectory: source.dataDirectory,
          leavingOut: source.damaged, progress: callbacks.handler)
      case .own?: break
      }
    }
    return try DataParts(
      source.load(data, .train), judging: settings.judge.map { try source.load($0, .test) },
      split: settings.split, seed: settings.seed, progress: callbacks.handler)
  }

  /// - Parameter data: `nil` for a compression that only changes weights.
  func unlabelled(_ data: GivenData?) throws -> String {
    guard data != nil || settings.preprocess == nil else {
      throw SwiftletError(
        .unsupported, "preprocess needs pictures", fix: "leave it out, or give data")
    }
    guard data != nil || settings.source.damaged == nil else {
      throw Refusal.usage(
        "options.skip_damaged is set without data", fix: "leave it out, or give data")
    }
    var graph = original
    var context: CompressionContext
    if let data {
      let samples = try settings.source.load(data, .train)
      let judging = try settings.judge.map { try settings.source.load($0, .test) }
      if let judging, judging.hasLabels, !samples.hasLabels, settings.metric?.ignoresLabels != true
      {
        throw SwiftletError(
          .badInput, "the data have no labels, but those to judge on have", at: judging.name,
          fix: "give labels for both, or for none")
      }
      try locating(model) { try graph.prepare(settings.preprocess, for: samples) }
      context = CompressionContext(
        original: graph, samples: samples, fixed: data.fixed, judging: judging,
        share: settings.split, threads: settings.threads, seed: settings.seed,
        outputs: settings.outputs, progress: callbacks.handler)
      context.metric = settings.metric ?? (samples.hasLabels ? .top1 : nil)
    } else {
      context = CompressionContext(
        original: graph, threads: settings.threads, seed: settings.seed,
        progress: callbacks.handler)
    }
    context.fileBytes = try ONNXFile.byteCount(model)
    let compressor = Compressor(context, goals: settings.goals)
    let result = try locating(model) {
      settings.isPreset
        ? try compressor.runUnlabelled(preset: settings.recipe)
        : try compressor.runUnlabelled(compressor.mixing(settings.recipe))
    }
    var report = UnlabelledReport(
      result, model: model, output: output, threads: settings.threads.count)
    report.damaged = settings.source.damaged?.pictures.count
    try write(result.graph, page: report.html)
    return try JSON.text(report)
  }

  /// Writes the model and, if it is asked for, the page.
  private func write(_ graph: Graph, page: @autoclosure () -> String) throws {
    try callbacks.check()
    try ONNXFile.write(graph, to: output)
    if let path = settings.report { try AtomicFile.write(page(), to: path) }
  }
}
