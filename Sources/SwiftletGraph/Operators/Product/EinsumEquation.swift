// SPDX-License-Identifier: Apache-2.0

import SwiftletCore

/// The equation of an `Einsum`, such as `bij,bjk->bik`: labels for the axes of each operand and of
/// the result.
struct EinsumEquation: Sendable {
  /// A letter or, for the axes covered by an ellipsis, their position from its end: −1, −2, ….
  typealias Label = Int

  private let operands: [Term]
  /// `nil`: the labels that occur once, in order.
  private let result: Term?

  /// Labels before and after an ellipsis.
  private struct Term: Sendable {
    var before: [Label] = []
    var after: [Label]?

    init(_ text: some StringProtocol) throws {
      let parts = text.split(separator: "...", omittingEmptySubsequences: false)
      let letters = parts.map { $0.unicodeScalars.map { Int($0.value) } }
      let valid = parts.allSatisfy { $0.allSatisfy { $0.isASCII && $0.isLetter } }
      guard valid, letters.count <= 2 else {
        throw SwiftletError(.badInput, "Einsum cannot read '\(text)'")
      }
      before = letters[0]
      after = letters.count == 2 ? letters[1] : nil
    }

    /// The labels of all axes, `hidden` of which are covered by the ellipsis.
    func labels(hidden: Int) -> [Label] { before + (after.map { Array(-hidden..<0) + $0 } ?? []) }
    var count: Int { before.count + (after?.count ?? 0) }
  }

  /// - Throws: `badInput` if the equation is invalid.
  init(_ text: String) throws {
    let sides = text.filter { $0 != " " }.split(separator: "->", omittingEmptySubsequences: false)
    guard 1...2 ~= sides.count else {
      throw SwiftletError(.badInput, "Einsum cannot read '\(text)'")
    }
    operands = try sides[0].split(separator: ",", omittingEmptySubsequences: false).map {
      try Term($0)
    }
    result = sides.count == 2 ? try Term(sides[1]) : nil
  }

  /// An equation with labels for all axes.
  struct Labels {
    var operands: [[Label]]
    var result: [Label]
    var extents: [Label: Int]
  }

  /// The labels for operands of the given shapes.
  ///
  /// - Throws: `badInput` if the shapes do not match the equation or each other.
  func labels(_ shapes: [Shape]) throws -> Labels {
    guard shapes.count == operands.count else {
      throw SwiftletError(
        .badInput,
        "the equation of Einsum is for \(operands.count) operands, but there are \(shapes.count)")
    }
    var labelled: [[Label]] = []
    var extents: [Label: Int] = [:]
    for (term, shape) in zip(operands, shapes) {
      let hidden = shape.rank - term.count
      guard hidden == 0 || hidden > 0 && term.after != nil else {
        throw SwiftletError(
          .badInput, "\(term.count) labels of Einsum do not match an operand of shape \(shape)")
      }
      labelled.append(term.labels(hidden: hidden))
      for (label, extent) in zip(labelled[labelled.count - 1], shape.dimensions) {
        let known = extents[label] ?? extent
        guard known == extent || known == 1 || extent == 1 else {
          throw SwiftletError(
            .badInput, "a label of Einsum stands for two extents, \(known) and \(extent)")
        }
        extents[label] = known == 1 ? extent : known
      }
    }
    let hidden = extents.keys.filter { $0 < 0 }.sorted()
    let all = labelled.flatMap { $0 }
    let once = extents.keys.filter { label in
      label > 0 && all.count { $0 == label } == 1
    }
    let result = result?.labels(hidden: hidden.count) ?? hidden + once.sorted()
    guard Set(result).count == result.count, result.allSatisfy({ extents[$0] != nil }) else {
      throw SwiftletError(
        .badInput, "a label of the result of Einsum occurs twice, or in no operand")
    }
    return Labels(operands: labelled, result: result, extents: extents)
  }
}
