// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Swiftlet

/// An extent with its name: `sequence=128`.
struct NamedExtent: ExpressibleByArgument {
  let name: String
  let extent: Int

  init?(argument: String) {
    let parts = argument.split(separator: "=", omittingEmptySubsequences: false)
    guard parts.count == 2, !parts[0].isEmpty, let extent = Int(parts[1]) else { return nil }
    (name, self.extent) = (String(parts[0]), extent)
  }

  /// - Throws: A usage error for a size that is not in 1...2²⁴.
  func check() throws { try SwiftletCLI.check("--extent \(name)", extent, 1...(1 << 24)) }
}

/// Options for the symbolic extents of a model.
struct ExtentOptions<Scope: DataScope>: ParsableArguments {
  @Option(
    parsing: .singleValue,
    help: ArgumentHelp(
      "Size of an open dimension, named by its symbol or as INPUT[AXIS]; may be repeated. Default: "
        + "\(Scope.extents).",
      valueName: "name=number"))
  var extent: [NamedExtent] = []

  func validate() throws { for extent in extent { try extent.check() } }

  /// The given extents, by the model's names.
  ///
  /// - Throws: `badInput` for an extent that the model does not leave open.
  func extents(for graph: Graph) throws -> [String: Int] {
    try graph.openExtents(extent.map { ($0.name, $0.extent) }, at: "--extent")
  }

  /// Reads a model and sets the given extents.
  ///
  /// - Throws: The errors of `ONNXFile.read`; `badInput` for an extent that the model does not
  ///   leave open.
  func read(_ model: String) throws -> Graph {
    var graph = try ONNXFile.read(model)
    graph.extents = try locating(model) { try extents(for: graph) }
    return graph
  }
}
