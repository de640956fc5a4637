// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Swiftlet

/// Options for fixed inputs, and for the outputs to judge by.
struct SampleOptions: ParsableArguments {
  @Option(
    parsing: .singleValue,
    help: ArgumentHelp(
      "Input that is the same for all samples: an npy file, or numbers separated by commas; may be "
        + "repeated.",
      valueName: "input=file|value"))
  var fixed: [FixedArgument] = []

  @Option(
    parsing: .singleValue,
    help: ArgumentHelp(
      "Output to judge by; may be repeated. Default: all; with labels, the one that fits the "
        + "classes.",
      valueName: "output"))
  var judgedOutput: [String] = []

  /// Reads the fixed inputs.
  ///
  /// - Throws: `badInput` for a file that cannot be read, or an input that is given twice.
  func fixedInputs() throws -> [String: FixedInput] {
    var inputs: [String: FixedInput] = [:]
    for argument in fixed {
      guard inputs.updateValue(try argument.input(), forKey: argument.name) == nil else {
        throw SwiftletError(.badInput, "input '\(argument.name)' is given twice", at: "--fixed")
      }
    }
    return inputs
  }
}

/// An argument of `--fixed`: `rate=16000`, `size=640,480` or `state=zeros.npy`.
struct FixedArgument: ExpressibleByArgument {
  let name: String
  private let value: String
  /// The argument as given.
  let text: String

  init?(argument: String) {
    text = argument
    guard let equals = argument.lastIndex(of: "="), equals > argument.startIndex else { return nil }
    name = String(argument[..<equals])
    value = String(argument[argument.index(after: equals)...])
    if value.isEmpty { return nil }
  }

  /// The numbers; `nil` if the value is a path.
  private var numbers: [Double]? {
    let parts = value.split(separator: ",", omittingEmptySubsequences: false)
    let numbers = parts.compactMap { Double($0) }
    return numbers.count == parts.count ? numbers : nil
  }

  /// The path of an npy file; `nil` if the value is numbers.
  var file: String? { numbers == nil ? value : nil }

  func input() throws -> FixedInput {
    if let numbers { return .numbers(numbers) }
    return .array(try NPY.read(value))
  }
}
