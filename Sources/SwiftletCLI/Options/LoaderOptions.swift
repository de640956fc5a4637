// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Swiftlet

/// Options for commands that read data.
struct LoaderOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Memory for decoded pictures. Default: 512M.", valueName: "size"))
  var loaderMemory: ByteCount?

  func validate() throws {
    guard let loaderMemory else { return }
    try check("--loader-memory", loaderMemory.value, 1...Int.max)
    LoaderMemory.bytes = loaderMemory.value
  }
}
