// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Glibc
import Swiftlet

/// One way to compute something. `run` does its own timing and returns seconds.
struct Candidate {
  let name: String
  let run: () throws -> Double
}

/// What was measured of one candidate in one case.
struct Row: Encodable {
  let operation, dtype, candidate: String
  let m, n, runs: Int
  let medianSeconds, fastestSeconds: Double
  /// Time relative to the first candidate of the case.
  let relative: Double
  /// LAPACK's test ratio of the result, or the error relative to the best possible one.
  let check: Double?
}

private struct Report: Encodable {
  let cpu, blas, core, isa: String
  let threads = 1
  let rows: [Row]
}

final class Runner {
  private let only: String?
  private let secondsPerCase: Double
  private var rows: [Row] = []

  init(only: String?, secondsPerCase: Double) {
    self.only = only
    self.secondsPerCase = secondsPerCase
    print(
      "\(CPU.model), \(Backend.configuration), core \(Backend.core), "
        + "\(ISA.current.rawValue), 1 thread")
  }

  // MARK: Cases

  func products<T: BLASElement>(
    _ n: Int, _: T.Type, baseline: @escaping (Tensor<T>) -> Double
  ) throws {
    let a = random(n, n, T.self)
    var candidates = baselines([Candidate(name: "CBLAS") { baseline(a) }])
    candidates.append(Candidate(name: "matmul") { seconds { _ = matrixProduct(a, a) } })
    candidates += T._routines.kernelTiers.map { kernels in
      Candidate(name: "Swift \(kernels.name)") { Self.product(a, kernels) }
    }
    try measure("gemm", T.self, n, n, candidates, checks: [:])
  }

  /// a · a by the kernels of one instruction set.
  private static func product<T: BLASElement>(
    _ a: Tensor<T>, _ kernels: DenseKernels<T>
  ) -> Double {
    let n = a.shape[0]
    var c = Tensor<T>(zeros: [n, n])
    var scratch = Tensor<T>(zeros: [kernels.gemmScratch(n, n, n)])
    var target = c.mutableSpan
    var buffer = scratch.mutableSpan
    return unsafe target.withUnsafeMutableBufferPointer { c in
      unsafe buffer.withUnsafeMutableBufferPointer { scratch in
        unsafe a.span.withUnsafeBufferPointer { a in
          seconds {
            unsafe kernels.gemm(
              n, n, n, 1, a.baseAddress!, n, 1, a.baseAddress!, n, 1, c.baseAddress!, n,
              scratch.baseAddress!)
          }
        }
      }
    }
  }

  func singularValues<T: BLASElement>(
    _ m: Int, _ n: Int, _: T.Type, baseline: @escaping (Tensor<T>) -> Double
  ) throws {
    let a = random(m, n, T.self)
    var checks: [String: Double] = [:]
    var candidates = baselines([Candidate(name: "LAPACKE gesdd") { baseline(a) }])
    // gesvd is tens of times slower at 1024: timed at small sizes only. Jacobi as well.
    let methods = SVD<T>.Method.allCases.filter {
      $0.isAvailable && (m <= 256 || $0 != .gesvd && $0 != .jacobi)
    }
    for method in methods {
      checks[method.rawValue] = try SVD(a, method: method).testRatios(a).reconstruction
      candidates.append(
        Candidate(name: method.rawValue) { try seconds { _ = try SVD(a, method: method) } })
    }
    if LAPACK.isInstalled {
      var workspace = Workspace<T>()
      candidates.append(
        Candidate(name: "gesdd, workspace kept") {
          try seconds { _ = try SVD(a, method: .gesdd, workspace: &workspace) }
        })
    }
    try measure("svd", T.self, m, n, candidates, checks: checks)
  }

  func eigenvalues(_ n: Int) throws {
    var a = random(n, n, Double.self)
    for i in 0..<n {
      for j in 0..<i { a[i, j] = a[j, i] }
    }
    let matrix = a
    var checks: [String: Double] = [:]
    var candidates = baselines([Candidate(name: "LAPACKE syevd") { Baseline.syevd(matrix) }])
    for backend in LinalgBackend.allCases where backend.isAvailable {
      let name = backend == .lapack ? "syevd" : "swift"
      let eigen = try SymmetricEigen(matrix, backend: backend)
      checks[name] = eigen.testRatios(matrix).reconstruction
      candidates.append(
        Candidate(name: name) {
          try seconds { _ = try SymmetricEigen(matrix, backend: backend) }
        })
    }
    try measure("eigen", Double.self, n, n, candidates, checks: checks)
  }

  func qr(_ m: Int, _ n: Int) throws {
    let a = random(m, n, Double.self)
    var checks: [String: Double] = [:]
    var candidates = baselines([Candidate(name: "LAPACKE gelqf") { Baseline.geqrf(a) }])
    for backend in LinalgBackend.allCases where backend.isAvailable {
      let qr = try QR(a, backend: backend)
      checks[backend.rawValue] = ratio(a, matrixProduct(qr.q, qr.r))
      candidates.append(
        Candidate(name: backend.rawValue) { try seconds { _ = try QR(a, backend: backend) } })
    }
    try measure("qr", Double.self, m, n, candidates, checks: checks)
  }

  /// Sampling against the whole decomposition, on spectra that fall at three speeds. Checks are
  /// the error relative to the best one of that rank.
  func randomized(_ m: Int, _ n: Int, rank: Int) throws {
    let u = try QR(random(m, n, Float.self)).q
    let v = try QR(random(n, n, Float.self)).q
    for (name, value) in [
      ("1/k", { 1 / Float($0 + 1) }), ("1/k²", { 1 / Float(($0 + 1) * ($0 + 1)) }),
      ("0.9^k", { Float(pow(0.9, Double($0))) }),
    ] as [(String, (Int) -> Float)] {
      var scaled = u
      do {
        var elements = scaled.mutableSpan
        for i in elements.indices { elements[i] *= value(i % n) }
      }
      let a = matrixProduct(scaled, v)
      let best = (rank..<n).reduce(0.0) { $0 + Double(value($1) * value($1)) }.squareRoot()
      var checks: [String: Double] = [:]
      var candidates = baselines([Candidate(name: "LAPACKE gesdd") { Baseline.gesdd(a) }])
      for (candidate, rounds) in [("1 round", 1), ("2 rounds", 2)] {
        let sampling = RandomizedSVD(powerIterations: rounds)
        for backend in LinalgBackend.allCases where backend.isAvailable {
          let label = "\(candidate), \(backend.rawValue)"
          let svd = try sampling.svd(a, rank: rank, backend: backend)
          checks[label] = distance(a, svd.reconstructed()) / best
          candidates.append(
            Candidate(name: label) {
              try seconds { _ = try sampling.svd(a, rank: rank, backend: backend) }
            })
        }
      }
      try measure("rank \(rank), \(name)", Float.self, m, n, candidates, checks: checks)
    }
    let cost = try TruncatedSVD(random(m, n, Float.self), rank: rank).prediction!
    print(
      "predicted: full \(milliseconds(cost.fullSeconds)), "
        + "sampling \(milliseconds(cost.randomizedSeconds))")
  }

  // MARK: Measuring

  private func measure<T: BLASElement>(
    _ operation: String, _: T.Type, _ m: Int, _ n: Int, _ candidates: [Candidate],
    checks: [String: Double]
  ) throws {
    if let only, !operation.contains(only) { return }
    var times = [[Double]](repeating: [], count: candidates.count)
    let clock = ContinuousClock()
    let start = clock.now
    // The first round warms up.
    for round in 0..<1001 {
      for (index, candidate) in candidates.enumerated() {
        let time = try candidate.run()
        if round > 0 { times[index].append(time) }
      }
      let elapsed = (clock.now - start).components
      let spent = Double(elapsed.seconds) + Double(elapsed.attoseconds) * 1e-18
      if round >= 5 && spent > secondsPerCase { break }
    }
    let medians = times.map { $0.sorted()[$0.count / 2] }
    for (index, candidate) in candidates.enumerated() {
      let row = Row(
        operation: operation, dtype: T.dtype.rawValue, candidate: candidate.name, m: m, n: n,
        runs: times[index].count, medianSeconds: medians[index],
        fastestSeconds: times[index].min()!, relative: medians[index] / medians[0],
        check: checks[candidate.name])
      rows.append(row)
      let check = row.check.map { "  check \(rounded($0))" } ?? ""
      print(
        "\(operation) \(T.dtype) \(m)×\(n)  \(candidate.name)  \(milliseconds(row.medianSeconds))"
          + "  \(rounded(row.relative)) ×\(check)")
    }
  }

  private func baselines(_ candidates: [Candidate]) -> [Candidate] {
    Baseline.isInstalled ? candidates : []
  }

  private func random<T: BLASElement>(_ m: Int, _ n: Int, _: T.Type) -> Tensor<T> {
    var generator = RandomGenerator(seed: UInt64(m * 7919 + n))
    return Tensor([m, n], normalUsing: &generator)
  }

  /// ‖A − B‖ / (‖A‖ · max(m, n) · ε) in the Frobenius norm.
  private func ratio<T: BLASElement>(_ a: Tensor<T>, _ b: Tensor<T>) -> Double {
    let size = Double((try? a.norm(.frobenius)) ?? 0)
    return distance(a, b) / (size * Double(max(a.shape[0], a.shape[1])) * Double(T.ulpOfOne))
  }

  private func distance<T: BLASElement>(_ a: Tensor<T>, _ b: Tensor<T>) -> Double {
    var sum = 0.0
    for i in 0..<a.count {
      let difference = Double(a.span[i]) - Double(b.span[i])
      sum += difference * difference
    }
    return sum.squareRoot()
  }

  private func milliseconds(_ seconds: Double) -> String { "\(rounded(seconds * 1e3)) ms" }

  private func rounded(_ value: Double) -> Double {
    guard value != 0, value.isFinite else { return value }
    return (value * 1e4).rounded() / 1e4
  }

  // MARK: Results

  func writeJSON(_ path: String) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    let report = Report(
      cpu: CPU.model, blas: Backend.configuration, core: Backend.core, isa: ISA.current.rawValue,
      rows: rows)
    try AtomicFile.write(Array(try encoder.encode(report)), to: path)
  }

  /// Time by size for every operation, both axes by powers of ten.
  func writePicture(_ path: String) throws {
    let square = rows.filter { $0.m == $0.n }
    let panels = [("gemm", "float64"), ("svd", "float64"), ("eigen", "float64"), ("qr", "float64")]
      .map { operation, dtype in
        let selected = square.filter { $0.operation == operation && $0.dtype == dtype }
        var names: [String] = []
        for row in selected where !names.contains(row.candidate) { names.append(row.candidate) }
        return LineChart.Panel(
          title: "\(operation) \(dtype): ms by n", xScale: .logarithmic, yScale: .logarithmic,
          lines: names.map { name in
            let own = selected.filter { $0.candidate == name }
            return LineChart.Line(
              name, own.map { Double($0.n) }, own.map { $0.medianSeconds * 1e3 })
          })
      }
    let svg = LineChart.svg(title: "\(CPU.model), \(Backend.core), 1 thread", panels: panels)
    try AtomicFile.write(Array(svg.utf8), to: path)
  }
}
