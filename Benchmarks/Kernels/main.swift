// SPDX-License-Identifier: Apache-2.0

// Times the product kernels on one core: matrix products of 1024³ and the layers of the seed CNN
// and of ResNet-18, each beside the peak that the same kernel reaches on operands in the
// first-level cache, and fp32 beside OpenBLAS. All candidates take turns in one run; times are
// medians.
//
//   KernelBenchmark [--seconds 1] [--json FILE]

import FoundationEssentials
import Glibc
import Swiftlet

var options: [String: String] = [:]
var arguments = CommandLine.arguments.dropFirst()
while let flag = arguments.popFirst() {
  guard ["--seconds", "--json"].contains(flag), let value = arguments.popFirst() else {
    print("usage: KernelBenchmark [--seconds S] [--json FILE]")
    exit(64)
  }
  options[flag] = value
}

print(
  "\(CPU.model), \(Backend.configuration), core \(Backend.core), \(ISA.current.rawValue), 1 thread")
let kernels: [ProductKernel] =
  [.float, .bfloat, .integer]
  + (ProductKernel.sevenBitInteger.needsSevenBitWeights ? [.sevenBitInteger] : [])
let cases = ProductCase.all.flatMap { shape in
  kernels.map { ProductCandidate($0, shape) as any Candidate }
    + (shape.isMatrix ? [BLASCandidate(shape)] : [])
}
let rows = measure(cases, seconds: options["--seconds"].flatMap(Double.init) ?? 1)
for row in rows { print(row.line) }
if let path = options["--json"] {
  let report = Report(
    cpu: CPU.model, blas: Backend.configuration, core: Backend.core, isa: ISA.current.rawValue,
    rows: rows)
  let encoder = JSONEncoder()
  encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
  try encoder.encode(report).write(to: URL(filePath: path))
}
