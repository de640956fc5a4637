// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

/// Kernels are called by one rule: CONTRIBUTING.md, "Naming kernels".
struct KernelNameTests {
  private static let folder = "CShims/CSwiftletKernels"

  /// Folders with a list of kernels.
  private static func families() throws -> [String] {
    try FileManager.default.contentsOfDirectory(
      atPath: ArchitectureTests.root.appending(path: folder).path
    ).filter {
      FileManager.default.fileExists(
        atPath: ArchitectureTests.root.appending(path: "\(folder)/\($0)/\($0).def").path)
    }
  }

  /// The kernels in a family's list: `["u8s7", "avx2"]` or `["avx2"]`.
  private static func kernels(_ family: String) throws -> [[String]] {
    try ArchitectureTests.text("\(folder)/\(family)/\(family).def")
      .matches(of: #/(?m)^SWL_KERNEL\(([^)]*)\)$/#).map {
        $0.output.1.split(separator: ", ").map(String.init)
      }
  }

  /// The words in code font after a phrase in CONTRIBUTING.md, up to another one.
  private static func words(after start: String, until end: String) throws -> Set<String> {
    let text = try ArchitectureTests.text("CONTRIBUTING.md")
    let from = try #require(text.range(of: start)).upperBound
    let to = try #require(text.range(of: end, range: from..<text.endIndex)).lowerBound
    return Set(text[from..<to].matches(of: #/`(\w+)`/#).map { String($0.output.1) })
  }

  @Test func everyFamilyIsDocumented() throws {
    #expect(
      try Set(Self.families()) == Self.words(after: "- `family` is one word", until: "\n- "))
  }

  @Test(arguments: try families())
  func everyKernelIsWhereItsNameSays(family: String) throws {
    let kernels = try Self.kernels(family)
    #expect(kernels.contains { $0.last == "scalar" })
    let files = try FileManager.default.contentsOfDirectory(
      atPath: ArchitectureTests.root.appending(path: "\(Self.folder)/\(family)").path
    ).filter { $0.hasSuffix(".c") && !["table.c", "driver.c"].contains($0) }
    #expect(Set(files) == Set(kernels.map { $0.joined(separator: "_") + ".c" }))
    for kernel in kernels {
      let file = "\(family)/\(kernel.joined(separator: "_")).c"
      let source = try ArchitectureTests.text("\(Self.folder)/\(file)")
      let types = kernel.dropLast().map { "_\($0)" }.joined()
      let symbol = "swl_\(family)\(types)__\(kernel.last!)"
      let definitions = source.matches(of: #/(?m)^const \w+ (\w+) = /#).map { String($0.output.1) }
      #expect(definitions == [symbol], "\(file)")
      // The name that users see.
      let head = kernel.count == 1 ? "SWL_HEAD" : "SWL_TYPED_HEAD"
      #expect(source.contains("\(head)(\(kernel.joined(separator: ", ")))"), "\(file)")
    }
  }

  /// Step 2 of "Adding a kernel", another family.
  @Test(arguments: try families())
  func everyFamilyHasAHeader(family: String) throws {
    let header = "swiftlet_\(family)_kernels.h"
    let all = try ArchitectureTests.text("\(Self.folder)/include/swiftlet_kernels.h")
    #expect(all.contains("#include \"\(header)\""))
    let table = try ArchitectureTests.text("\(Self.folder)/include/\(header)")
    #expect(table.contains("} swl_\(family)_kernel;"))
  }

  @Test func everyInstructionSetIsDocumented() throws {
    let listed = try ArchitectureTests.text("\(Self.folder)/kernel.h")
      .matches(of: #/(?m)^#define SWL_NEEDS_(\w+) /#).map { String($0.output.1) }
    let used = try Self.families().flatMap { try Self.kernels($0).map { $0.last! } }
    #expect(Set(listed) == Set(used))
    #expect(try Self.words(after: "`kernel.h` has the list", until: ". ") == Set(listed))
  }
}
