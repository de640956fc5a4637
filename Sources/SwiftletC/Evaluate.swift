// SPDX-License-Identifier: Apache-2.0

// Functions have their names in C.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

public import CSwiftletABI
import SwiftletCompress
import SwiftletCore
import SwiftletData
import SwiftletFormats
import SwiftletGraph
import SwiftletRuntime

@c @implementation
public func swiftlet_evaluate(
  _ model: UnsafePointer<CChar>?, _ data: UnsafePointer<CChar>?,
  _ options: UnsafePointer<swiftlet_evaluate_options>?, _ progress: swiftlet_progress?,
  _ context: UnsafeMutableRawPointer?, _ result: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
) -> swiftlet_status {
  call {
    let callbacks = unsafe Callbacks(progress, context)
    let target = try unsafe Arguments.target(result, "result")
    let model = try unsafe Arguments.text(model, "model")
    // The first version of the struct ended with `output_count`.
    let options =
      try unsafe Options.read(options, "options", first: 88) ?? swiftlet_evaluate_options()
    let threads = try unsafe Arguments.threads(options.threads)
    let precision = try unsafe Precision(options.precision)
    let batch = unsafe options.batch
    guard 0...65536 ~= batch else {
      throw Refusal.usage("options.batch is \(batch)", fix: "use 0 to 65536")
    }
    let metric = try unsafe Metric.read(options.metric, options.own_metric, callbacks)
    let outputs = try unsafe Arguments.texts(
      options.outputs, options.output_count, "options.outputs")
    func text(_ pointer: UnsafePointer<CChar>?, _ name: String) throws -> String? {
      try unsafe pointer.map { try unsafe Arguments.text($0, "options.\(name)") }
    }
    let preprocess = try unsafe text(options.preprocess, "preprocess")
    let source = try unsafe DataSettings(
      dataDirectory: options.data_directory, skipDamaged: options.skip_damaged,
      loaderMemory: options.loader_memory, extents: options.extents,
      extentCount: options.extent_count, threads: threads, callbacks)
    let path = try unsafe text(options.original, "original")
    guard
      let given = try unsafe GivenData.read(
        data, options.samples, ("data", "options.samples"), callbacks)
    else { throw Refusal.usage("data is NULL", fix: "give data or options.samples") }

    let judgement = try source.withLoaderMemory {
      let samples = try source.load(given, .test)
      guard metric != nil || samples.hasLabels else {
        throw SwiftletError(
          .badInput, "the data have no labels, so that accuracy cannot be measured",
          at: samples.name,
          fix: "choose a metric, such as agreement or cosine with the original model")
      }
      var graph = try source.read(model)
      var original = try path.map { try source.read($0) }
      if preprocess == nil, let reference = original {
        _ = Preprocessing.adopt(from: reference, into: &graph, images: samples)
      }
      try locating(model) { try graph.prepare(preprocess, for: samples) }
      if var reference = original, let path, !Preprocessing.isStored(in: reference) {
        try locating(path) {
          if preprocess != nil
            || !Preprocessing.adopt(from: graph, into: &reference, images: samples)
          {
            try reference.prepare(preprocess, for: samples)
          }
        }
        original = reference
      }
      return try locating(model) {
        try Judge(
          metric, on: samples, fixed: given.fixed, original: original, like: graph,
          outputs: outputs,
          options: Judge.Options(
            threads: threads, precision: precision, batch: batch == 0 ? 250 : Int(batch),
            progress: callbacks.handler)
        ).judge(graph)
      }
    }
    try callbacks.check()
    unsafe target.pointee = copyForC(try JSON.text(judgement, leftOut: source.damaged))
  }
}
