// SPDX-License-Identifier: Apache-2.0

// Runs the examples of this folder, one for each part of the library. Those that need a folder for
// files, or train, run if a folder is given.
// swift run -c release --package-path examples/SwiftPackage Tour [FOLDER]
import Foundation
import Swiftlet

try tensors()
try factorizations()
guard let folder = CommandLine.arguments.dropFirst().first else { exit(0) }

try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
// The network has to learn a little for the rest to make sense, but no more than that.
let images = try DataSpec(parsing: "fashion-mnist:train[0..<3000]").load(defaultPart: .train)
let (training, validation) = try images.split(0.8, seed: 1)

try arrayFiles(in: folder)
try graphs(in: folder)
let seed = try train(training, validation, in: folder)
let small = try pruneAndDistill(seed, training, validation)
try quantizeWithoutLabels(seed, training)
try compare(["seed": seed, "small": small], on: validation, in: folder)
