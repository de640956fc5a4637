// swift-tools-version: 6.2
// SPDX-License-Identifier: Apache-2.0
import PackageDescription

func program(_ name: String) -> Target {
  .executableTarget(name: name, dependencies: [.product(name: "Swiftlet", package: "swiftlet")])
}

let package = Package(
  name: "programs",
  dependencies: [.package(name: "swiftlet", path: "../..")],
  targets: [
    // A short example of each part of the library.
    program("Tour"),
    // The programs of the tutorials: docs/catalog.py cuts them into steps.
    program("RunAModel"),
    program("MakeAModelSmaller"),
  ]
)
