// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
import SwiftletFormats
import SwiftletGraph

/// Arrays for inputs of a model, divided into samples.
struct SampleArrays: Sendable {
  /// Arrays that are the same for all samples, or whose samples are not along the first axis: by
  /// input name, in the element types of the inputs.
  private let arrays: [String: AnyTensor]
  /// Arrays with a row for each sample, which are read when they are needed.
  private let rows: [String: (array: StoredArray, input: ValueInfo)]
  private let places: [String: SampleLayout.Place]
  /// Inputs that are filled with one number, in the shape for each batch.
  private let filled: [ValueInfo]
  private let numbers: [String: Double]
  private let symbol: String?
  let count: Int
  /// As ``SampleLayout/batch``.
  let batch: Int?
  /// Elements of one sample over all inputs.
  let elements: Int

  /// Matches arrays to inputs.
  ///
  /// - Parameters:
  ///   - given: Arrays by input name.
  ///   - main: The name of the one for the only input that is not fixed, whatever that is called.
  ///   - inputs: The inputs that get arrays or fixed values.
  ///   - symbol: The name of the batch in the model's shapes.
  ///   - fixed: Inputs that are the same for all samples.
  ///   - pictures: The number of samples, if they are pictures for another input.
  /// - Throws: `badInput` if an array is missing or does not match its input, or if numbers of
  ///   samples differ.
  init(
    _ given: [String: StoredArray], main: String = "", for inputs: [ValueInfo], symbol: String?,
    fixed: [String: FixedInput], pictures: Int? = nil
  ) throws {
    self.symbol = symbol
    let only = inputs.count { fixed[$0.name] == nil } == 1 ? given[main] : nil
    var stored: [String: StoredArray] = [:]
    var (arrays, numbers, filled): ([String: AnyTensor], [String: Double], [ValueInfo]) = (
      [:], [:], []
    )
    var sampled: [ValueInfo] = []
    var constants: [ValueInfo] = []
    for input in inputs {
      switch fixed[input.name] {
      case .array(let array)?:
        arrays[input.name] = try array.fitting(input)
        constants.append(input)
      case .numbers(let values)?:
        if values.count == 1, !input.dimensions.allSatisfy(\.isFixed) {
          numbers[input.name] = values[0]
          filled.append(input)
        } else {
          arrays[input.name] = try Self.constant(values, input)
          constants.append(input)
        }
      case nil:
        guard let array = given[input.name] ?? only else {
          throw Self.missing(input, given)
        }
        stored[input.name] = try array.withoutRepetition(input)
        sampled.append(input)
      }
    }
    let layout = try SampleLayout(stored.mapValues(\.shape), sampled)
    var rows: [String: (array: StoredArray, input: ValueInfo)] = [:]
    for input in sampled {
      let array = stored[input.name]!
      switch layout.places[input.name] {
      case .along(0)?, .each?: rows[input.name] = (try array.fittingIfSmall(input), input)
      default: arrays[input.name] = try array.whole().fitting(input)
      }
    }
    self.rows = rows
    var places = Dictionary(uniqueKeysWithValues: layout.places.map { ($0.key, $0.value) })
    let hasSamples = places.values.contains { $0 != .constant }
    for input in constants {
      let fixed = FixedArray(
        input, arrays[input.name]!, symbol: symbol,
        samples: pictures ?? (hasSamples ? layout.count : nil), hasRows: pictures == nil,
        batch: layout.batch)
      (arrays[input.name], places[input.name]) = try fixed.placed
    }
    (self.arrays, self.numbers, self.filled, self.places) = (arrays, numbers, filled, places)
    (count, batch) = (layout.count, layout.batch)
    var elements = 0
    for input in sampled where layout.places[input.name] != .constant {
      elements += stored[input.name]!.shape.count / max(1, layout.count)
    }
    self.elements = elements
    for input in filled { _ = try shape(of: input, samples: 1) }
  }

  private static func missing(
    _ input: ValueInfo, _ given: [String: StoredArray]
  ) -> SwiftletError {
    let names = given.keys.filter { !$0.isEmpty }.sorted().joined(separator: ", ")
    let remark =
      given.isEmpty ? "there are none" : names.isEmpty ? "it has no name" : "there are \(names)"
    return SwiftletError(
      .badInput, "there is no array '\(input.name)'",
      fix: "\(remark); name arrays after the model's inputs, or use --fixed \(input.name)=VALUE")
  }

  /// An array with one number for all elements, or with one for each element.
  private static func constant(_ numbers: [Double], _ input: ValueInfo) throws -> AnyTensor {
    var dimensions = input.dimensions
    let open = dimensions.indices.filter { !dimensions[$0].isFixed }
    // The number of values determines the length of a vector.
    if open.count == 1, dimensions.count == 1 { dimensions[0] = .fixed(numbers.count) }
    let shape = try ValueInfo(input.name, .float64, dimensions).shape(batch: 1)
    guard numbers.count == 1 || shape.count == numbers.count else {
      throw SwiftletError(
        .badInput,
        "\(numbers.count) numbers are fixed for '\(input.name)', which takes "
          + input.shapeDescription,
        fix: "use one number for all elements, or one for each of them")
    }
    let values = numbers.count == 1 ? Array(repeating: numbers[0], count: shape.count) : numbers
    return try AnyTensor.float64(Tensor(shape, values)).fitting(input)
  }

  private func shape(of input: ValueInfo, samples: Int) throws -> Shape {
    for case .symbolic(let name) in input.dimensions where name != symbol {
      throw SwiftletError(
        .badInput,
        "one number does not determine the shape of '\(input.name)', \(input.shapeDescription)",
        fix: "use --fixed \(input.name)=FILE.npy")
    }
    return try input.shape(batch: samples)
  }

  private func rows(of name: String, _ samples: [Int]) throws -> AnyTensor {
    let (array, input) = rows[name]!
    return try array.rows(samples).fitting(input)
  }

  /// The inputs for some samples, in order.
  ///
  /// - Precondition: It is a single sample if an array has ``SampleLayout/Place/each``.
  /// - Throws: The errors of reading arrays in files; `badInput` if the model's element type cannot
  ///   hold their numbers.
  func inputs(_ samples: [Int]) throws -> [String: AnyTensor] {
    var result = arrays
    for (name, place) in places {
      switch place {
      case .along(0) where rows[name] != nil: result[name] = try rows(of: name, samples)
      case .along(let axis): result[name] = arrays[name]!.indices(samples, along: axis)
      case .each: result[name] = try rows(of: name, [samples[0]]).row(0)
      case .repeated(let axis):
        result[name] = arrays[name]!.repeated(samples.count, along: axis)
      case .constant: break
      }
    }
    for input in filled {
      let shape = try shape(of: input, samples: samples.count)
      result[input.name] = try AnyTensor.float64(
        Tensor(shape, repeating: numbers[input.name]!)
      ).fitting(input)
    }
    return result
  }
}

extension Dimension {
  fileprivate var isFixed: Bool { if case .fixed = self { true } else { false } }
}

extension AnyTensor {
  /// The array in the element type of an input, if that type can hold its numbers: integers as
  /// floats and vice versa, and fp64 rounded to fp32.
  ///
  /// - Throws: `badInput` if numbers would change.
  fileprivate func fitting(_ input: ValueInfo) throws -> AnyTensor {
    let target = input.dtype
    if dtype == target { return self }
    let fitting = converted(to: target)
    let isKept: Bool =
      switch (self, fitting) {
      case (.float64(let double), .float32(let single)):
        zip(double.elements, single.elements).allSatisfy { $1.isFinite || !$0.isFinite }
      case (.bool, _), (_, .bool): false
      default: fitting.converted(to: dtype).holdsSameNumbers(as: self)
      }
    guard isKept else {
      throw SwiftletError(
        .badInput,
        "array '\(input.name)' is \(dtype), and the model's \(target) cannot hold its elements",
        fix: "convert it first, for example with NumPy's array.astype('\(target)')")
    }
    return fitting
  }

  /// Whether all elements are equal, where NaN equals NaN.
  private func holdsSameNumbers(as other: AnyTensor) -> Bool {
    guard case .float32(let a) = self, case .float32(let b) = other else { return self == other }
    return zip(a.elements, b.elements).allSatisfy { $0 == $1 || $0.isNaN && $1.isNaN }
  }

  /// The elements at some indices of one axis, in order.
  fileprivate func indices(_ indices: [Int], along axis: Int) -> AnyTensor {
    func opened<Element: TensorElement>(_: Element.Type) -> AnyTensor {
      let tensor = typed(as: Element.self)!
      let (first, count) = (indices.first ?? 0, indices.count)
      if indices.elementsEqual(first..<first + count) {
        let part = tensor.slice(axis: axis, range: first..<first + count)
        // Slices of the first axis are contiguous already.
        return AnyTensor(axis == 0 ? part : part.contiguous())
      }
      let shape = tensor.shape.replacing(axis: axis, with: count)
      let (outer, inner) = (shape.count(of: 0..<axis), shape.count(of: axis + 1..<shape.rank))
      var result = Tensor<Element>(uninitialized: shape)
      let packed = tensor.contiguous()
      let source = packed.span
      var target = result.mutableSpan
      for block in 0..<outer {
        for (position, index) in indices.enumerated() {
          let start = (block * tensor.shape[axis] + index) * inner
          target.copy(
            source.extracting(start..<start + inner), to: (block * count + position) * inner)
        }
      }
      return AnyTensor(result)
    }
    return opened(dtype.elementType)
  }

  /// The elements at one index of the first axis.
  fileprivate func row(_ index: Int) -> AnyTensor {
    func opened<Element: TensorElement>(_: Element.Type) -> AnyTensor {
      let part = typed(as: Element.self)!.slice(axis: 0, range: index..<index + 1)
      return AnyTensor(part.contiguous().reshaped(to: Shape(Array(shape.dimensions.dropFirst()))))
    }
    return opened(dtype.elementType)
  }
}

extension StoredArray {
  /// The input itself, if the array repeats the same one for each sample.
  fileprivate func withoutRepetition(_ input: ValueInfo) throws -> StoredArray {
    // Rows without elements take no bytes: a file may claim any number of them.
    guard input.isShaped, shape.rank == input.dimensions.count + 1, 1...1 << 20 ~= shape[0],
      shape.count < 1 << 20, case let all = try whole(), case let first = all.row(0),
      (1..<shape[0]).allSatisfy({ all.row($0) == first })
    else { return self }
    return StoredArray(first)
  }

  /// The array in the element type of an input if it is small: its numbers are converted only once,
  /// and checked before any work starts.
  fileprivate func fittingIfSmall(_ input: ValueInfo) throws -> StoredArray {
    dtype == input.dtype || byteCount > 64 << 20
      ? self : StoredArray(try whole().fitting(input))
  }
}
