// SPDX-License-Identifier: Apache-2.0

// Times matrix products and factorisations: LAPACKE and CBLAS called directly, Swiftlet on LAPACK,
// and Swiftlet's own algorithms. All candidates of a case take turns, so that a busy machine slows
// all of them alike; times are medians. Every result is checked before it is timed.
//
//   LinalgBenchmark [--sizes 64,256] [--only svd] [--seconds 1] [--json FILE] [--svg FILE]

import Glibc
import Swiftlet

var options: [String: String] = [:]
var arguments = CommandLine.arguments.dropFirst()
while let flag = arguments.popFirst() {
  guard ["--sizes", "--only", "--seconds", "--json", "--svg"].contains(flag),
    let value = arguments.popFirst()
  else {
    print(
      "usage: LinalgBenchmark [--sizes N,…] [--only NAME] [--seconds S] [--json FILE] [--svg FILE]")
    exit(64)
  }
  options[flag] = value
}
let sizes =
  options["--sizes"]?.split(separator: ",").compactMap { Int($0) } ?? [8, 32, 128, 256, 512, 1024]
let runner = Runner(
  only: options["--only"], secondsPerCase: options["--seconds"].flatMap(Double.init) ?? 1)

for size in sizes {
  try runner.products(size, Double.self, baseline: Baseline.gemm)
  try runner.products(size, Float.self, baseline: Baseline.gemm)
  try runner.singularValues(size, size, Double.self, baseline: Baseline.gesdd)
  try runner.singularValues(size, size, Float.self, baseline: Baseline.gesdd)
  try runner.eigenvalues(size)
  try runner.qr(size, size)
}
if options["--sizes"] == nil {
  try runner.singularValues(2048, 256, Double.self, baseline: Baseline.gesdd)
  try runner.qr(2048, 256)
  try runner.randomized(4096, 1024, rank: 64)
}
if let path = options["--json"] { try runner.writeJSON(path) }
if let path = options["--svg"] { try runner.writePicture(path) }
