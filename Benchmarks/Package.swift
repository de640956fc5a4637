// swift-tools-version: 6.2
// SPDX-License-Identifier: Apache-2.0
import PackageDescription

// The benchmarks in Swift; `make bench-kernels`, `bench-linalg`, `bench-images` and `bench-loader`
// in the folder above build and run them. A package of its own, so that users of the library do
// not resolve it.

// They time what is below the public interface. Declarations with `package` access are visible to
// code that is compiled under the library's package name, which SwiftPM takes from the name of its
// folder; `packageAccess: false` keeps it from adding this package's.
let library = Context.packageDirectory.split(separator: "/").dropLast().last.map(String.init) ?? ""
let packageName = String(library.lowercased().map { $0.isLetter || $0.isNumber ? $0 : "_" })

let settings: [SwiftSetting] = [
  .strictMemorySafety(),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("ExistentialAny"),
  .treatAllWarnings(as: .error),
  .unsafeFlags(["-package-name", packageName]),
]

let package = Package(
  name: "SwiftletBenchmarks",
  traits: [
    .trait(name: "OpenBLAS", description: "Time OpenBLAS and LAPACKE beside our own kernels."),
    .default(enabledTraits: ["OpenBLAS"]),
  ],
  dependencies: [
    .package(
      name: "swiftlet", path: "..",
      traits: [.trait(name: "OpenBLAS", condition: .when(traits: ["OpenBLAS"])), "Images"])
  ],
  targets: [
    .executableTarget(
      name: "LinalgBenchmark", dependencies: [.product(name: "Swiftlet", package: "swiftlet")],
      path: "Linalg", packageAccess: false, swiftSettings: settings),
    .executableTarget(
      name: "KernelBenchmark", dependencies: [.product(name: "Swiftlet", package: "swiftlet")],
      path: "Kernels", packageAccess: false, swiftSettings: settings),
    .executableTarget(
      name: "ImageBenchmark", dependencies: [.product(name: "Swiftlet", package: "swiftlet")],
      path: "Images", packageAccess: false, swiftSettings: settings),
    .executableTarget(
      name: "LoaderBenchmark", dependencies: [.product(name: "Swiftlet", package: "swiftlet")],
      path: "Loader", packageAccess: false, swiftSettings: settings),
  ],
  swiftLanguageModes: [.v6]
)
