// swift-tools-version: 6.2
// SPDX-License-Identifier: Apache-2.0
import PackageDescription

// Fuzzing of the parsers with libFuzzer; `make fuzz` in the folder above builds and runs it. A
// package of its own, because everything in it and below it is built with sanitizers.
let package = Package(
  name: "SwiftletFuzz",
  dependencies: [.package(name: "swiftlet", path: "../..")],
  targets: [
    .target(name: "CFuzzMain"),
    .executableTarget(
      name: "SwiftletFuzz",
      dependencies: ["CFuzzMain", .product(name: "Swiftlet", package: "swiftlet")],
      // The fuzzer brings the main function; gold cannot link what sanitizers make of Swift.
      swiftSettings: [.unsafeFlags(["-parse-as-library"])],
      linkerSettings: [.unsafeFlags(["-use-ld=lld"])]),
  ],
  swiftLanguageModes: [.v6]
)
