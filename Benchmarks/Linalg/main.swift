import SwiftletCore
import SwiftletBLAS
import Swiftlet
let only = CommandLine.arguments.dropFirst().first
func bench(_ name: String, _ c: [(String, () throws -> Double)], rounds: Int) throws {
  if let only, !name.contains(only) { return }
  var t = [[Double]](repeating: [], count: c.count)
  for r in 0...rounds { for (i, x) in c.enumerated() { let s = try x.1(); if r > 0 { t[i].append(s) } } }
  let med = t.map { $0.sorted()[$0.count / 2] }
  print(name, zip(c, med).map { "\($0.0) \(Double(Int($1 * 1e8)) / 1e5) ms x\(Double(Int($1 / med[0] * 1000)) / 1000)" }.joined(separator: " | "))
}
var ws = Workspace<Double>()
var g = RandomGenerator(seed: 1)
for n in [8, 32, 128, 256, 512, 1024] {
  let a = Tensor<Double>([n, n], normalUsing: &g)
  var sym = a
  for i in 0..<n { for j in 0..<i { sym[i, j] = a[j, i] } }
  let f: Tensor<Float> = a.converted()
  let rounds = n < 64 ? 201 : n < 512 ? 15 : 5
  func err(_ s: SVD<Double>) -> Double { let r = s.reconstructed(); var e = 0.0; for i in 0..<a.count { e = max(e, abs(r.span[i] - a.span[i])) }; return e / (Double(n) * s.singularValues[0] * 2.2e-16) }
  print(n, "ratio swift", err(try SVD(a, method: .swift)), "gesdd", err(try SVD(a, method: .gesdd)))
  try bench("svd f64 \(n)", [
    ("LAPACKE", { Baseline.gesdd(a) }),
    ("gesdd", { try seconds { _ = try SVD(a, method: .gesdd) } }),
    ("reuse", { try seconds { _ = try SVD(a, method: .gesdd, workspace: &ws) } }),
    ("swift", { try seconds { _ = try SVD(a, method: .swift) } })], rounds: rounds)
  try bench("svd f32 \(n)", [
    ("LAPACKE", { Baseline.gesdd(f) }),
    ("gesdd", { try seconds { _ = try SVD(f, method: .gesdd) } }),
    ("swift", { try seconds { _ = try SVD(f, method: .swift) } })], rounds: rounds)
  try bench("eig f64 \(n)", [
    ("LAPACKE", { Baseline.syevd(sym) }),
    ("syevd", { try seconds { _ = try SymmetricEigen(sym, backend: .lapack) } }),
    ("swift", { try seconds { _ = try SymmetricEigen(sym, backend: .swift) } })], rounds: rounds)
  try bench("qr f64 \(n)", [
    ("LAPACKE", { Baseline.geqrf(a) }),
    ("lapack", { try seconds { _ = try QR(a, backend: .lapack) } }),
    ("swift", { try seconds { _ = try QR(a, backend: .swift) } })], rounds: rounds)
}

for n in [64, 128, 256, 512, 1024, 2048] {
  let a = Tensor<Double>([n, n], normalUsing: &g)
  let f: Tensor<Float> = a.converted()
  func tier<T: BLASElement>(_ k: DenseKernels<T>, _ a: Tensor<T>) -> Double {
    var c = Tensor<T>(zeros: [n, n])
    var s = Tensor<T>(zeros: [k.gemmScratch(n, n, n)])
    var cs = c.mutableSpan, ss = s.mutableSpan
    return unsafe cs.withUnsafeMutableBufferPointer { c in unsafe ss.withUnsafeMutableBufferPointer { s in unsafe a.span.withUnsafeBufferPointer { a in
      seconds { unsafe k.gemm(n, n, n, 1, a.baseAddress!, n, 1, a.baseAddress!, n, 1, c.baseAddress!, n, s.baseAddress!) } } } }
  }
  try bench("gemm f64 \(n)", [("OpenBLAS", { Baseline.gemm(a) }), ("matmul", { seconds { _ = matmul(a, a) } })] + Double._routines.kernelTiers.map { k in (k.name, { tier(k, a) }) }, rounds: 9)
  try bench("gemm f32 \(n)", [("OpenBLAS", { Baseline.gemm(f) }), ("matmul", { seconds { _ = matmul(f, f) } })] + Float._routines.kernelTiers.map { k in (k.name, { tier(k, f) }) }, rounds: 9)
}
