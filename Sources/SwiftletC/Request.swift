// SPDX-License-Identifier: Apache-2.0

internal import CSwiftletABI
import SwiftletCore
import SwiftletGraph
import SwiftletRuntime
import Synchronization

/// The object of a request's handle: memory bound to a model's inputs, and the results of a run.
///
/// `@unchecked Sendable`: ``isBusy`` guards its state.
@safe
final class Request: @unchecked Sendable {
  private let model: Model
  private let isBusy = Atomic(false)
  /// By input index. They hold the tensors over bound memory, so no computation considers itself
  /// the only holder and overwrites one.
  private var bindings: [Binding?]
  /// The memory of all bindings.
  private var boundMemory: [UnsafeRawBufferPointer] = unsafe []
  /// The inputs of each run, once all are bound; `nil` if they must be created for the run.
  private var bound: [AnyTensor]?
  /// The session, prepared for the bound shapes.
  private var prepared: Session.Prepared?
  private var results: [AnyTensor] = []
  /// The destinations of copied results.
  private var targets: [Target] = []
  private var shown: [TensorForC?] = []

  /// Borrowed memory of the caller.
  @safe
  private struct Binding {
    let dtype: DType
    let shape: Shape
    let memory: UnsafeRawBufferPointer
    /// The tensor over the memory; `nil` if elements are copied for each run.
    let tensor: AnyTensor?
  }

  /// The caller's memory for a result.
  @safe
  private struct Target {
    let index: Int
    let memory: UnsafeMutableRawBufferPointer
  }

  init(_ model: Model) {
    self.model = model
    bindings = [Binding?](repeating: nil, count: model.inputs.count)
  }

  /// Marks the request as in use permanently, unless it is currently in use.
  func retire() -> Bool {
    isBusy.compareExchange(expected: false, desired: true, ordering: .acquiring).exchanged
  }

  /// Runs `body` while nobody else uses the request.
  @inline(__always)
  func use(_ body: () throws -> Void) throws {
    guard retire() else { throw Self.busy }
    defer { isBusy.store(false, ordering: .releasing) }
    try body()
  }

  static var busy: Refusal {
    Refusal(
      status: SWIFTLET_BUSY,
      error: SwiftletError(
        .badInput, "the request is in use", fix: "use a separate request in each thread"))
  }

  // MARK: Inputs

  func bind(_ name: String, _ dtype: DType, _ shape: Shape, _ memory: UnsafeRawBufferPointer) throws
  {
    guard let index = model.inputs.firstIndex(where: { $0.name == name }) else {
      let known = model.inputs.map { "'\($0.name)'" }.joined(separator: ", ")
      throw SwiftletError(.badInput, "the model has no input '\(name)'", fix: "it has \(known)")
    }
    try locating("input '\(name)'") {
      let info = model.inputs[index]
      guard info.dtype == dtype, info.accepts(shape) else {
        throw SwiftletError(
          .badInput,
          "\(dtype) \(shape) is bound to an input of \(info.dtype) \(info.shapeDescription)")
      }
      guard let byteCount = dtype.packedByteCount(shape.count), byteCount == memory.count else {
        throw Refusal.usage("\(memory.count) bytes are bound as \(dtype) \(shape)")
      }
      bindings[index] = try unsafe binding(dtype, shape, memory)
    }
    (bound, prepared) = (nil, nil)
    unsafe boundMemory = bindings.compactMap { unsafe $0?.memory }
  }

  private func binding(
    _ dtype: DType, _ shape: Shape, _ memory: UnsafeRawBufferPointer
  ) throws -> Binding {
    unsafe Binding(
      dtype: dtype, shape: shape, memory: memory,
      tensor: try AnyTensor.borrowing(memory, dtype, shape))
  }

  private func tensors() throws -> [AnyTensor] {
    if let bound { return bound }
    let tensors = try zip(model.inputs, bindings).map { info, binding in
      guard let binding else {
        throw SwiftletError(.badInput, "nothing is bound to input '\(info.name)'")
      }
      return unsafe binding.tensor
        ?? AnyTensor(
          binding.dtype, binding.shape, bytes: Span<UInt8>(_unsafeBytes: binding.memory))
    }
    if bindings.allSatisfy({ $0?.tensor != nil }) { bound = tensors }
    return tensors
  }

  // MARK: Runs

  func run() throws {
    results = []
    if !shown.isEmpty { shown = [] }
    let tensors = try tensors()
    if prepared == nil { prepared = try model.session.prepared(tensors.map(\.shape)) }
    var fresh = try prepared!.run(tensors)
    for index in fresh.indices { makeOwned(&fresh[index]) }
    if !targets.isEmpty { try copy(fresh) }
    results = fresh
  }

  /// Copies results to the caller's memory: all or none.
  private func copy(_ results: [AnyTensor]) throws {
    for target in targets {
      let (index, size) = unsafe (target.index, target.memory.count)
      guard size == results[index].byteCount else {
        throw SwiftletError(
          .badInput, "the result has \(results[index].byteCount) bytes, not \(size)",
          at: "output '\(model.session.outputNames[index])'",
          fix: "bind memory of that size")
      }
    }
    for target in targets {
      let result = results[target.index]
      // An empty result has nothing to copy.
      guard unsafe target.memory.count > 0 else { continue }
      let packed = TensorForC.packed(result)
      withExtendedLifetime((result, packed)) {
        unsafe target.memory.copyMemory(
          from: UnsafeRawBufferPointer(
            start: packed?.base ?? result.unsafeStart, count: target.memory.count))
      }
    }
  }

  /// Packs the result, and moves it out of the caller's memory.
  private func makeOwned(_ result: inout AnyTensor) {
    result = result.contiguous
    if unsafe boundMemory.contains(where: { unsafe result.lies(in: $0) }) { result = result.copied }
  }

  /// - Parameter memory: `nil` to stop copying.
  func bindOutput(_ index: Int, _ memory: UnsafeMutableRawBufferPointer?) throws {
    let count = model.outputDescriptions.count
    guard 0..<count ~= index else {
      throw Refusal.usage("output \(index) of \(count) does not exist")
    }
    targets.removeAll { $0.index == index }
    if let memory = unsafe memory { targets.append(unsafe Target(index: index, memory: memory)) }
  }

  func profile(runs: Int) throws -> [LayerProfile] {
    let tensors = try tensors()
    let named = zip(model.inputs, tensors).map { ($0.name, $1) }
    return try model.session.profile(Dictionary(uniqueKeysWithValues: named), runs: runs)
  }

  // MARK: Outputs

  func output(_ index: Int) throws -> swiftlet_tensor {
    guard !results.isEmpty else {
      throw Refusal.usage("there are no results", fix: "run the request first")
    }
    guard results.indices ~= index else {
      throw Refusal.usage("output \(index) of \(results.count) does not exist")
    }
    if shown.isEmpty { shown = [TensorForC?](repeating: nil, count: results.count) }
    let result = shown[index] ?? TensorForC(results[index])
    shown[index] = result
    return unsafe result.value
  }
}
