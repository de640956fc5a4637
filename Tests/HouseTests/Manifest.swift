// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

/// What Package.swift says of its targets, read as text.
struct Manifest {
  struct Target {
    let name: String
    /// The number of the heading that it stands under; `nil` below the floors.
    let floor: Int?
    /// From the root of the repository.
    let folder: String
    /// The modules that it declares, those of other packages included.
    let dependencies: Set<String>
  }

  let targets: [Target]

  init() throws {
    let text = try ArchitectureTests.text("Package.swift")
    let products = Dictionary(
      uniqueKeysWithValues: text.matches(
        of: /let (\w+) = Target\.Dependency\.product\(\s*name: "(\w+)"/
      ).map { (String($0.output.1), String($0.output.2)) })
    let start = try #require(text.range(of: "\n  targets: [\n"))
    var targets: [Target] = []
    var floor: Int?
    var chunk = ""
    for line in text[start.upperBound...].split(separator: "\n") {
      // A target begins at the depth of the list; deeper, a `.target(…)` is what another depends
      // on.
      let begins = line.contains(/^ {4}\.?\w*([tT]arget|tests|systemLibrary)\(/)
      let heading = line.firstMatch(of: /^ {4}\/\/ MARK: (?:Floor (\d+))?/)
      if begins || heading != nil, !chunk.isEmpty {
        targets.append(Target(chunk, floor, products))
        chunk = ""
      }
      if let heading { floor = heading.output.1.flatMap { Int($0) } }
      if begins || !chunk.isEmpty, !line.contains(/^ *\/\//) { chunk += line + "\n" }
    }
    if !chunk.isEmpty { targets.append(Target(chunk, floor, products)) }
    self.targets = targets
  }
}

extension Manifest.Target {
  /// - Parameter products: The modules of other packages by what the manifest calls them.
  fileprivate init(_ text: String, _ floor: Int?, _ products: [String: String]) {
    var literals = text.matches(of: /"([^"]*)"/).map { String($0.output.1) }
    let first = literals.removeFirst()
    let isTest = text.hasPrefix("    .testTarget(")
    if text.hasPrefix("    tests(") {
      name = "\(first)Tests"
      literals += [first, "_SwiftletTestSupport"]
    } else {
      name = first
    }
    let path = text.firstMatch(of: /path: "([^"]*)"/).map { String($0.output.1) }
    let words = text.matches(of: /\b\w+\b/).compactMap { products[String($0.output)] }
    self.floor = floor
    folder = path ?? "\(isTest || name != first ? "Tests" : "Sources")/\(name)"
    dependencies = Set(literals + words)
  }
}
