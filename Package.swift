// swift-tools-version: 6.2
// SPDX-License-Identifier: Apache-2.0
import PackageDescription

// Imports point down only: a target may name targets of a lower floor, or an earlier
// target of its own floor. docs/architecture.md says what belongs where, and a test compares.

#if arch(x86_64)
  let avx2: [SwiftSetting] = [
    .define("SWIFTLET_AVX2"), .unsafeFlags(["-Xcc", "-mavx2", "-Xcc", "-mfma"]),
  ]
#else
  let avx2: [SwiftSetting] = []
#endif

let settings: [SwiftSetting] = [
  .strictMemorySafety(),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("ExistentialAny"),
  .enableExperimentalFeature("Lifetimes"),
  .treatAllWarnings(as: .error),
]

func target(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
  .target(name: name, dependencies: dependencies, swiftSettings: settings)
}

func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
  .testTarget(
    name: "\(name)Tests",
    dependencies: [.byName(name: name), "_SwiftletTestSupport"] + dependencies,
    swiftSettings: settings)
}

let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let realModule = Target.Dependency.product(name: "RealModule", package: "swift-numerics")
let ordered = Target.Dependency.product(name: "OrderedCollections", package: "swift-collections")
let protobuf = Target.Dependency.product(name: "SwiftProtobuf", package: "swift-protobuf")
let argumentParser = Target.Dependency.product(
  name: "ArgumentParser", package: "swift-argument-parser")

let package = Package(
  name: "swiftlet",
  products: [
    .library(name: "Swiftlet", targets: ["Swiftlet"]),
    .executable(name: "swiftlet", targets: ["SwiftletCLI"]),
    // `make library` turns it into libswiftlet.so; the name is the command's already.
    .library(name: "SwiftletC", type: .dynamic, targets: ["SwiftletC"]),
  ],
  traits: [
    .trait(name: "OpenBLAS", description: "Multiply and factorise with OpenBLAS and LAPACKE."),
    .trait(name: "Images", description: "Decode JPEG, PNG and WebP with the system's libraries."),
    .trait(
      name: "PureSwift",
      description: "Need neither OpenBLAS nor the image libraries: `--traits PureSwift`."),
    .default(enabledTraits: ["OpenBLAS", "Images"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser.git", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-log.git", from: "1.16.2"),
    .package(url: "https://github.com/apple/swift-numerics.git", from: "1.1.1"),
    .package(url: "https://github.com/apple/swift-collections.git", from: "1.6.0"),
    .package(url: "https://github.com/apple/swift-protobuf.git", from: "1.39.0"),
  ],
  targets: [
    // MARK: Floor 0: C
    .systemLibrary(
      name: "COpenBLAS", path: "CShims/COpenBLAS", pkgConfig: "openblas",
      providers: [.apt(["libopenblas-dev", "liblapacke-dev"])]),
    .systemLibrary(
      name: "CCrypto", path: "CShims/CCrypto", pkgConfig: "libcrypto",
      providers: [.apt(["libssl-dev"])]),
    .systemLibrary(
      name: "CZlib", path: "CShims/CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
    .systemLibrary(
      name: "CLibYAML", path: "CShims/CLibYAML", pkgConfig: "yaml-0.1",
      providers: [.apt(["libyaml-dev"])]),
    .systemLibrary(
      name: "CJPEG", path: "CShims/CJPEG", pkgConfig: "libjpeg",
      providers: [.apt(["libjpeg-dev"])]),
    .systemLibrary(
      name: "CPNG", path: "CShims/CPNG", pkgConfig: "libpng", providers: [.apt(["libpng-dev"])]),
    .systemLibrary(
      name: "CWebP", path: "CShims/CWebP", pkgConfig: "libwebp",
      providers: [.apt(["libwebp-dev"])]),
    .target(
      name: "CSwiftletImages",
      dependencies: [
        .target(name: "CJPEG", condition: .when(traits: ["Images"])),
        .target(name: "CPNG", condition: .when(traits: ["Images"])),
      ], path: "CShims/CSwiftletImages",
      cSettings: [
        .define("SWIFTLET_IMAGES", .when(traits: ["Images"])), .treatAllWarnings(as: .error),
      ]),
    .target(
      name: "CSwiftletKernels", path: "CShims/CSwiftletKernels",
      cSettings: [.treatAllWarnings(as: .error)]),
    .target(
      name: "CSwiftletABI", path: "CShims/CSwiftletABI",
      cSettings: [.treatAllWarnings(as: .error)]),
    .target(
      name: "CSwiftletGate", path: "CShims/CSwiftletGate",
      cSettings: [.treatAllWarnings(as: .error)]),

    // MARK: Floor 1: tensors; pictures and numbers as text
    target("SwiftletCore", [logging, realModule]),
    target("SwiftletCharts", []),

    // MARK: Floor 2: files; the only importers of C numerics
    target("SwiftletFiles", ["SwiftletCore", "CCrypto"]),
    target(
      "SwiftletImages",
      [
        "SwiftletCore", "SwiftletFiles", "CSwiftletImages",
        .target(name: "CWebP", condition: .when(traits: ["Images"])),
      ]),
    target("SwiftletKernels", ["SwiftletCore", "CSwiftletKernels", realModule]),
    target("SwiftletDense", ["SwiftletCore"]),
    // Links to the sources of SwiftletDense, for processors with AVX2 and FMA.
    .target(
      name: "SwiftletDenseAVX2", dependencies: ["SwiftletCore"],
      swiftSettings: settings + avx2),
    target(
      "SwiftletBLAS",
      [
        "SwiftletCore", "SwiftletKernels", "SwiftletDense", "SwiftletDenseAVX2", "CSwiftletGate",
        logging,
        .target(name: "COpenBLAS", condition: .when(traits: ["OpenBLAS"])),
      ]),

    // MARK: Floor 3: linear algebra; the graph and its operators
    target("SwiftletLinalg", ["SwiftletCore", "SwiftletBLAS", logging, realModule]),
    target(
      "SwiftletGraph",
      ["SwiftletCore", "SwiftletBLAS", "SwiftletKernels", ordered, realModule]),

    // MARK: Floor 4: files, execution, learning
    // Generated code does not spell out `unsafe`, so it is kept apart.
    .target(
      name: "SwiftletONNXSchema", dependencies: [protobuf],
      exclude: ["onnx.proto", "generate.sh"], swiftSettings: [.treatAllWarnings(as: .error)]),
    target(
      "SwiftletFormats",
      [
        "SwiftletCore", "SwiftletFiles", "SwiftletGraph", "SwiftletONNXSchema", "CZlib", "CLibYAML",
        protobuf, ordered,
      ]),
    target(
      "SwiftletData",
      [
        "SwiftletCore", "SwiftletFiles", "SwiftletImages", "SwiftletGraph", "SwiftletFormats",
        ordered,
      ]),
    target("SwiftletRuntime", ["SwiftletCore", "SwiftletKernels", "SwiftletGraph", ordered]),
    target(
      "SwiftletTraining",
      [
        "SwiftletCore", "SwiftletCharts", "SwiftletFiles", "SwiftletKernels", "SwiftletGraph",
        "SwiftletFormats", "SwiftletData", "SwiftletRuntime", ordered, realModule, logging,
      ]),

    // MARK: Floor 5: compression
    target(
      "SwiftletCompress",
      [
        "SwiftletCore", "SwiftletCharts", "SwiftletFiles", "SwiftletBLAS", "SwiftletKernels",
        "SwiftletLinalg", "SwiftletGraph", "SwiftletFormats", "SwiftletData", "SwiftletRuntime",
        "SwiftletTraining", ordered, realModule, logging,
      ]),

    // MARK: Floor 6: umbrella
    target(
      "Swiftlet",
      [
        "SwiftletCore", "SwiftletCharts", "SwiftletFiles", "SwiftletImages", "SwiftletBLAS",
        "SwiftletKernels", "SwiftletLinalg", "SwiftletGraph", "SwiftletFormats", "SwiftletData",
        "SwiftletRuntime", "SwiftletTraining", "SwiftletCompress",
      ]),

    // MARK: Floor 7: products
    .executableTarget(
      name: "SwiftletCLI", dependencies: ["Swiftlet", argumentParser, logging, ordered],
      swiftSettings: settings),

    .target(
      name: "SwiftletC",
      dependencies: [
        "CSwiftletABI", "SwiftletCore", "SwiftletFiles", "SwiftletBLAS", "SwiftletKernels",
        "SwiftletLinalg", "SwiftletGraph", "SwiftletFormats", "SwiftletData", "SwiftletRuntime",
        "SwiftletTraining", "SwiftletCompress", logging,
      ], exclude: ["exports.map"], swiftSettings: settings),

    // MARK: Examples
    .executableTarget(
      name: "CompressExample", dependencies: ["Swiftlet"], path: "examples/Compress",
      swiftSettings: settings),
    .executableTarget(
      name: "LinalgExample", dependencies: ["Swiftlet"], path: "examples/Linalg",
      swiftSettings: settings),

    // MARK: Tests
    .testTarget(name: "HouseTests", swiftSettings: settings),
    .target(
      name: "_SwiftletTestSupport", dependencies: ["SwiftletCore", "CZlib"],
      path: "Tests/_SwiftletTestSupport", swiftSettings: settings),
    tests("SwiftletCore", []),
    tests("SwiftletCharts", []),
    tests("SwiftletFiles", ["SwiftletCore"]),
    // The pictures are read from their folder, and need not be copied.
    .testTarget(
      name: "SwiftletImagesTests",
      dependencies: ["SwiftletImages", "SwiftletCore", "SwiftletFiles", "_SwiftletTestSupport"],
      exclude: ["Fixtures"], swiftSettings: settings),
    tests("SwiftletBLAS", ["SwiftletCore"]),
    tests("SwiftletKernels", ["SwiftletCore"]),
    tests("SwiftletLinalg", ["SwiftletCore", "SwiftletBLAS"]),
    tests("SwiftletGraph", ["SwiftletCore", ordered, realModule]),
    tests("SwiftletFormats", ["SwiftletCore", "SwiftletFiles", "SwiftletGraph", ordered]),
    tests(
      "SwiftletData",
      [
        "SwiftletCore", "SwiftletFiles", "SwiftletImages", "SwiftletGraph", "SwiftletFormats",
        ordered,
      ]),
    tests("SwiftletRuntime", ["SwiftletCore", "SwiftletKernels", "SwiftletGraph", ordered]),
    tests(
      "SwiftletTraining",
      [
        "SwiftletCore", "SwiftletFiles", "SwiftletGraph", "SwiftletFormats", "SwiftletData",
        "SwiftletRuntime", ordered,
      ]),
    tests(
      "SwiftletCompress",
      [
        "SwiftletCore", "SwiftletFiles", "SwiftletKernels", "SwiftletGraph", "SwiftletFormats",
        "SwiftletData", "SwiftletRuntime", "SwiftletTraining", "SwiftletLinalg", ordered,
        realModule,
      ]),
    // Calls C throughout: every line of it would be marked unsafe.
    .testTarget(
      name: "SwiftletCTests",
      dependencies: [
        "SwiftletC", "CSwiftletABI", "SwiftletCore", "SwiftletFiles", "SwiftletFormats",
        "SwiftletGraph", "SwiftletRuntime", "SwiftletTraining", "_SwiftletTestSupport", ordered,
      ], swiftSettings: Array(settings.dropFirst())),
    tests(
      "SwiftletCLI",
      [
        "SwiftletCore", "SwiftletFiles", "SwiftletBLAS", "SwiftletCompress", "SwiftletFormats",
        "SwiftletGraph", "SwiftletTraining", ordered,
      ]),
  ],
  swiftLanguageModes: [.v6]
)
