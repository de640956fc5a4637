// SPDX-License-Identifier: Apache-2.0

// Times a loader's work: reads all JPEGs of a folder over and over, decodes them, resizes them to a
// square and writes them into batches of 32. Prints how many pictures that is in a second.
//
//   ImageBenchmark FOLDER [--threads N] [--seconds S] [--side 224] [--numbers u8|fp32] [--scaled]
//
// With --numbers u8 a batch is N×H×W×C, with fp32 it is N×C×H×W, of ImageNet's mean and deviation.
// With --scaled, pictures are decoded at the least part of their size that is enough.

import FoundationEssentials
import Glibc
import Swiftlet

var options = ["--threads": "1", "--seconds": "3", "--side": "224", "--numbers": "u8"]
var arguments = CommandLine.arguments.dropFirst()
var folder: String?
var isScaled = false
while let argument = arguments.popFirst() {
  if argument == "--scaled" {
    isScaled = true
  } else if options[argument] != nil, let value = arguments.popFirst() {
    options[argument] = value
  } else {
    folder = argument
  }
}
guard let folder, let threads = Int(options["--threads"]!), threads > 0,
  let seconds = Double(options["--seconds"]!), let side = Int(options["--side"]!), side > 0
else {
  print(
    "usage: ImageBenchmark FOLDER [--threads N] [--seconds S] [--side P] [--numbers u8|fp32]"
      + " [--scaled]")
  exit(64)
}
let paths = try FileManager.default.contentsOfDirectory(atPath: folder)
  .filter { $0.hasSuffix(".jpg") }.sorted().map { "\(folder)/\($0)" }
guard !paths.isEmpty else {
  print("ImageBenchmark: there are no .jpg files (\(folder)): name a folder that has some")
  exit(2)
}

let loader = Loader(
  paths: paths, size: Image.Size(width: side, height: side), isScaled: isScaled,
  isFloat: options["--numbers"] == "fp32")
_ = loader.run(threads: threads, seconds: min(1, seconds / 4))
print(loader.run(threads: threads, seconds: seconds))
