// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

/// What the documentation says about the repository.
struct DocumentationTests {
  private static let root = ArchitectureTests.root
  private static let catalog = "Sources/Swiftlet/Swiftlet.docc"

  /// Paths that stand for others: `Operators/FAMILY/NAME.swift`, `Tests/*.swift`.
  private static func isPattern(_ path: String) -> Bool {
    path.contains(/\*|…|NAME|FAMILY|KIND|FILE/)
  }

  /// Files move, and what points to them has to follow. A path is code that begins with a folder of
  /// the repository.
  @Test(arguments: [
    "CONTRIBUTING.md", "docs/architecture.md", "docs/runtime.md", "docs/security.md",
  ])
  func pathsExist(document: String) throws {
    let text = try ArchitectureTests.text(document)
    let paths = text.matches(
      of: #/`((?:Sources|Tests|CShims|Packaging|examples|scripts|docs)/[^` ]+)`/#
    ).map { String($0.output.1) }.filter { !Self.isPattern($0) }
    #expect(!paths.isEmpty, "\(document) has no path any more: leave it out here")
    for path in paths {
      #expect(
        FileManager.default.fileExists(atPath: Self.root.appending(path: path).path()),
        "\(document) names \(path)")
    }
  }

  @Test func everyEssayIsOnTheLandingPage() throws {
    let page = try ArchitectureTests.text("\(Self.catalog)/Swiftlet.md")
    let topics = try #require(page.range(of: "## Topics"))
    let listed = page[topics.upperBound...].matches(of: /- <doc:([a-z-]+)>/).map {
      String($0.output.1)
    }
    let essays = try FileManager.default.contentsOfDirectory(
      atPath: Self.root.appending(path: "docs").path()
    ).filter { $0.hasSuffix(".md") }.map { String($0.dropLast(3)) }
    #expect(listed.sorted() == (essays + ["examples"]).sorted())
  }

  /// docs/catalog.py cuts the programs at their numbered comments; the tutorial shows each part.
  @Test(arguments: ["RunAModel", "MakeAModelSmaller"])
  func tutorialsShowEveryStep(name: String) throws {
    let program = try ArchitectureTests.text("examples/SwiftPackage/Sources/\(name)/main.swift")
    let tutorial = try ArchitectureTests.text("\(Self.catalog)/Tutorials/\(name).tutorial")
    let steps = program.matches(of: #/(?m)^// (\d+)\. /#).map { String($0.output.1) }
    let shown = tutorial.matches(of: /file: "(\w+)-(\d+)\.swift"/)
    #expect(steps.count > 1 && shown.map { String($0.output.2) } == steps)
    #expect(shown.allSatisfy { $0.output.1 == name })
  }

  /// docs/architecture.md promises that `grep -rl '"ReduceMean"'` finds an operator: names are
  /// literals. Those of the conformance tests are in the operators, or in what reading converts.
  @Test func operatorsAreFoundByTheirNames() throws {
    var sources = ""
    for folder in ["Operators", "Rewrites"] {
      let path = Self.root.appending(path: "Sources/SwiftletGraph/\(folder)")
      let files = try #require(
        FileManager.default.enumerator(at: path, includingPropertiesForKeys: nil))
      for case let file as URL in files where file.pathExtension == "swift" {
        sources += try String(contentsOf: file, encoding: .utf8)
      }
    }
    let rows = try ArchitectureTests.text("docs/conformance.md").matches(
      of: #/(?m)^\| (\w+) \| (\d+) \|/#)
    let passing = rows.filter { $0.output.2 != "0" }.map { String($0.output.1) }
    #expect(passing.count > 100)
    for name in passing { #expect(sources.contains("\"\(name)\""), "\(name)") }
  }

  /// Names from earlier versions still work, but what the project shows uses the names of today.
  /// docs/settings.md lists them: "(also `lr` `--lr`)".
  @Test func optionsHaveTheirNamesOfToday() throws {
    let reference = try ArchitectureTests.text("docs/settings.md")
    let retired = Set(
      reference.matches(of: /\(also ([^)]*)\)/).flatMap { match in
        match.output.1.matches(of: /`--([a-z0-9-]+)`/).map { String($0.output.1) }
      })
    #expect(retired.isSuperset(of: ["lr", "mixed", "plain", "dynamic", "calibration-size"]))
    var texts = ["README.md"]
    for folder in ["docs", "examples", "Benchmarks", Self.catalog] {
      let path = Self.root.appending(path: folder).path()
      let files = try #require(FileManager.default.enumerator(atPath: path))
      for case let file as String in files {
        let name = file.split(separator: "/").last ?? ""
        let kind = String(name.split(separator: ".").last ?? "")
        if name.hasPrefix(".") {
          files.skipDescendants()
        } else if ["md", "sh", "py", "swift", "c", "cpp", "tutorial", "yaml"].contains(kind) {
          texts.append("\(folder)/\(file)")
        }
      }
    }
    #expect(texts.count > 50)
    for text in texts where text != "docs/settings.md" {
      let used = try ArchitectureTests.text(text).matches(of: /(?:^|[^\w-])--([a-z0-9-]+)/)
      let old = used.map { String($0.output.1) }.filter(retired.contains)
      #expect(old.isEmpty, "\(text) uses --\(old.first ?? ""): see docs/settings.md")
    }
  }
}
