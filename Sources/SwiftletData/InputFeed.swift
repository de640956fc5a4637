// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore
public import SwiftletGraph

/// Turns samples of a data set into the inputs of a model: pictures by its preprocessing, arrays as
/// they are, inputs with fixed values alike for all samples.
///
/// Everything that runs a model on data reads them through this.
public struct InputFeed: Sendable {
  /// How pictures become the model's input; `nil` for arrays.
  public let preprocessing: Preprocessing?
  /// Number of samples.
  public let count: Int
  /// The number of samples that the model takes per run; `nil` if it takes any.
  public let fixedBatch: Int?
  /// Elements of one sample over all inputs.
  package let elements: Int
  private let data: ImageDataset
  /// The input that takes the pictures.
  private let input: ValueInfo?
  private let arrays: SampleArrays
  private let chosen: [Int]?

  /// Matches data to a model.
  ///
  /// - Parameters:
  ///   - data: The samples.
  ///   - graph: The model.
  ///   - fixed: Inputs that have the same value in every run, by name.
  /// - Throws: `badInput` or `unsupported` if the model does not take such samples, or has no input
  ///   that is named in `fixed`.
  public init(
    _ data: ImageDataset, for graph: Graph, fixed: [String: FixedInput] = [:]
  ) throws {
    let inputs = graph.dataInputs
    for name in fixed.keys.sorted() where !inputs.contains(where: { $0.name == name }) {
      throw SwiftletError(
        .badInput, "the model has no input '\(name)' to fix",
        fix: "use one of " + inputs.map(\.name).joined(separator: ", "))
    }
    self.data = data
    let symbol = OpenExtents.batchSymbol(inputs)
    guard case .arrays(let given) = data.pixels else {
      let preprocessing = try Preprocessing.stored(in: graph, images: data)
      let input = try Preprocessing.imageInput(of: graph)
      guard fixed[input.name] == nil else {
        throw SwiftletError(
          .badInput, "input '\(input.name)' is fixed, but takes the images", at: data.name,
          fix: "fix other inputs only")
      }
      (self.preprocessing, self.input, chosen) = (preprocessing, input, nil)
      arrays = try SampleArrays(
        [:], for: inputs.filter { $0.name != input.name }, symbol: symbol, fixed: fixed,
        pictures: data.count)
      count = data.count
      fixedBatch = input.fixedBatch
      elements = preprocessing.shape(batch: 1).count
      try checkBatch()
      return
    }
    (preprocessing, input, chosen) = (nil, nil, given.chosen)
    let samples = try SampleArrays(
      given.arrays, main: given.main, for: inputs, symbol: symbol, fixed: fixed)
    arrays = samples
    count = given.chosen?.count ?? samples.count
    if let odd = given.chosen?.first(where: { $0 >= samples.count }) {
      throw SwiftletError(
        .badInput, "there is no sample \(odd): the model's inputs get \(samples.count)",
        at: data.name, fix: "use the same number of samples in all arrays")
    }
    guard !data.hasLabels || count == data.count else {
      throw SwiftletError(
        .badInput, "the model's inputs get \(count) samples, but there are \(data.count) labels",
        at: data.name, fix: "put samples along the first axis of the arrays")
    }
    fixedBatch = samples.batch
    elements = samples.elements
    guard elements > 0 || count <= 1 << 20 else {
      throw SwiftletError(
        .badInput, "the \(count) samples have no elements", at: data.name,
        fix: "give arrays with elements")
    }
    try checkBatch()
  }

  /// - Throws: `unsupported` if the model takes no samples.
  private func checkBatch() throws {
    guard fixedBatch != 0 else {
      throw SwiftletError(
        .unsupported, "the model takes 0 samples at once",
        fix: "export it with an open batch (dynamic_axes of torch.onnx.export)")
    }
  }

  /// The inputs for some samples, by name.
  ///
  /// - Parameters:
  ///   - indices: The samples, in order. A model with a fixed batch takes exactly that many.
  ///   - moves: How each picture is augmented; `nil` leaves all as they are.
  ///   - threads: For decoding and conversion.
  /// - Throws: For pictures in files, `io`, `badInput` or `unsupported` naming the first that
  ///   cannot be decoded.
  public func inputs(
    _ indices: [Int], moves: [Augmentation.Move]? = nil, threads: Threads
  ) throws -> [String: AnyTensor] {
    try inputs(indices) { try $0.batch(data, indices, moves: moves, threads: threads) }
  }

  /// As ``inputs(_:moves:threads:)``, with pictures that `batch` makes.
  func inputs(
    _ indices: [Int], pictures batch: (Preprocessing) throws -> Tensor<Float>
  ) throws -> [String: AnyTensor] {
    guard let preprocessing, let input else {
      return try arrays.inputs(chosen.map { own in indices.map { own[$0] } } ?? indices)
    }
    var result = try arrays.inputs(indices)
    let numbers = try batch(preprocessing)
    // The conversion to integers cuts fractions off.
    result[input.name] = AnyTensor(input.dtype.isFloat ? numbers : numbers.map { $0.rounded() })
      .converted(to: input.dtype)
    return result
  }

  /// Pictures in files, and what makes them the model's input; `nil` for data in memory.
  var pictures: (preprocessing: Preprocessing, files: ImageFiles)? {
    guard let preprocessing, case .files(let files) = data.pixels else { return nil }
    return (preprocessing, files)
  }

  /// The samples as the tensor that training starts from.
  ///
  /// - Throws: As ``inputs(_:moves:threads:)``; `unsupported` if the model has several inputs, or
  ///   one that is not fp32.
  package func tensor(
    _ indices: [Int], moves: [Augmentation.Move]? = nil, threads: Threads
  ) throws -> Tensor<Float> {
    try Self.single(try inputs(indices, moves: moves, threads: threads))
  }

  /// The only input, in fp32.
  ///
  /// - Throws: `unsupported` if there are several, or one that is not fp32.
  static func single(_ all: [String: AnyTensor]) throws -> Tensor<Float> {
    guard all.count == 1, case .float32(let tensor)? = all.values.first else {
      throw SwiftletError(
        .unsupported, "training needs a model with a single input, in fp32",
        fix: "train a part of it that has one")
    }
    return tensor
  }

  /// The sizes that the samples give to the open dimensions of the model's inputs, by name.
  ///
  /// - Throws: The errors of reading the first sample.
  package func extents(of graph: Graph) throws -> [String: Int] {
    OpenExtents.of(graph.dataInputs, shapes: try shapes(batch: 1))
  }

  /// The shapes of the inputs for a batch of samples, by name.
  ///
  /// - Throws: The errors of reading the first sample.
  package func shapes(batch: Int) throws -> [String: Shape] {
    guard let preprocessing, let input else {
      let batch = [Int](repeating: 0, count: count == 0 ? 0 : fixedBatch ?? batch)
      return try inputs(batch, threads: .serial).mapValues(\.shape)
    }
    var shapes = try arrays.inputs([Int](repeating: 0, count: batch)).mapValues(\.shape)
    shapes[input.name] = preprocessing.shape(batch: batch)
    return shapes
  }
}
