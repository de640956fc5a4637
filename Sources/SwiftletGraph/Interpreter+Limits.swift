// SPDX-License-Identifier: Apache-2.0

import SwiftletCore

extension Interpreter {
  /// Inference keeps elements of small values up to this many bytes.
  static let knownBytesLimit = 64 << 20

  /// - Throws: `outOfMemory` if the constants of the graph exceed ``MemoryLimit``.
  func checkConstants() throws {
    guard constants.values.reduce(0, { $0 + $1.byteCount }) <= MemoryLimit.bytes else {
      throw SwiftletError(
        .outOfMemory, "the constants exceed the limit of \(MemoryLimit.bytes) bytes",
        mend: "allow more with --max-memory")
    }
  }

  /// Checks, before memory is allocated, that the values alive at any of the first `known` steps
  /// fit into the remaining budget and into the available memory. Constants and inputs are counted,
  /// captured values are not.
  func checkPeak(_ infos: [TensorInfo?], known: Int, _ budget: RunBudget) throws {
    let own = constants.values.reduce(0) { $0 + $1.byteCount }
    var (given, peak) = (0, 0)
    try forEachStep(steps[..<known], infos) { step, alive in
      guard let step else {
        given = alive
        return try budget.check(own + alive)
      }
      try locating(step.label) { try budget.check(own + alive) }
      peak = max(peak, alive - given)
    }
    try MemoryLimit.requireAvailable(Double(peak), for: "the values of the run")
  }

  /// Checks that the results have the element types that the model declares.
  func checkResults(_ infos: [TensorInfo?]) throws {
    for (declared, output) in zip(declaredOutputs, outputs) {
      guard let info = infos[output.slot], declared.dtype != info.dtype else { continue }
      throw SwiftletError(
        .badInput,
        "output '\(declared.name)' is \(info.dtype), but the model declares \(declared.dtype)")
    }
  }

  /// Checks that a symbol has the same extent in all inputs. A question mark, which some exporters
  /// write for all unknown extents, is not a symbol.
  func checkSymbols(_ shapes: [String: Shape]) throws {
    var seen: [String: (extent: Int, input: String)] = [:]
    for (info, _) in inputs {
      guard let shape = shapes[info.name] else { continue }
      for case (.symbolic(let symbol), let extent) in zip(info.dimensions, shape.dimensions)
      where !symbol.isEmpty && symbol != "?" {
        let known = seen[symbol] ?? (extent, info.name)
        guard known.extent == extent else {
          throw SwiftletError(
            .badInput,
            "'\(symbol)' is \(extent) in input '\(info.name)' and \(known.extent) in "
              + "'\(known.input)'",
            mend: "give inputs of matching shapes, \(info.name) as \(info.shapeDescription)")
        }
        seen[symbol] = known
      }
    }
  }
}
