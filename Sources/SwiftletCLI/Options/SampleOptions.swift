// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Swiftlet

/// How samples reach a model, and which of its answers count.
struct SampleOptions: ParsableArguments {
  @Option(
    parsing: .singleValue,
    help: ArgumentHelp(
      "Input that is the same for all samples: an npy file, a number, or numbers separated by commas; may be repeated.",
      valueName: "input=file|value"))
  var fixed: [FixedArgument] = []

  @Option(
    parsing: .singleValue,
    help: ArgumentHelp(
      "Output to judge the model by; may be repeated. Default: all; with labels, the one that fits the classes.",
      valueName: "output"))
  var judgedOutput: [String] = []

  /// How many samples judge answers, and how many were calibrated with, for a person.
  ///
  /// `repeated` of those that judge are the same as some that were calibrated with.
  static func division(
    judging: Int, calibrating: Int, isHeldBack: Bool, repeated: Int = 0
  ) -> String {
    func count(_ number: Int) -> String { "\(number) sample\(number == 1 ? "" : "s")" }
    if !isHeldBack {
      return "on \(count(judging)) that it was calibrated with: give more to see how it does on "
        + "others"
    }
    guard calibrating > 0 else { return "on \(count(judging))" }
    guard repeated == 0 else {
      return
        "on \(count(judging)), of which \(repeated) repeat some of the \(calibrating) that it was "
        + "calibrated with"
    }
    return "on \(count(judging)) that nothing was calibrated with, after calibration with "
      + (calibrating == 1 ? "another one" : "\(calibrating) others")
  }

  /// - Throws: `badInput` naming a file that cannot be read, or an input that is given twice.
  func fixedInputs() throws -> [String: FixedInput] {
    var inputs: [String: FixedInput] = [:]
    for argument in fixed {
      guard inputs.updateValue(try argument.input(), forKey: argument.name) == nil else {
        throw SwiftletError(.badInput, "input '\(argument.name)' is fixed twice", at: "--fixed")
      }
    }
    return inputs
  }
}

/// `rate=16000`, `size=640,480` or `state=zeros.npy`.
struct FixedArgument: ExpressibleByArgument {
  let name: String
  private let value: String
  /// What was given.
  let text: String

  init?(argument: String) {
    text = argument
    guard let equals = argument.lastIndex(of: "="), equals > argument.startIndex else { return nil }
    name = String(argument[..<equals])
    value = String(argument[argument.index(after: equals)...])
    if value.isEmpty { return nil }
  }

  /// Where every part of the value is a number.
  private var numbers: [Double]? {
    let parts = value.split(separator: ",", omittingEmptySubsequences: false)
    let numbers = parts.compactMap { Double($0) }
    return numbers.count == parts.count ? numbers : nil
  }

  /// The path of an npy file, if that is what was given.
  var file: String? { numbers == nil ? value : nil }

  func input() throws -> FixedInput {
    if let numbers { return .numbers(numbers) }
    return .array(try NPY.read(value))
  }
}
