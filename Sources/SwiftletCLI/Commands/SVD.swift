// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Swiftlet

/// `swiftlet svd`.
struct SVD: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "svd",
    abstract: "Compute the singular value decomposition of a matrix, or compare methods.",
    discussion: """
      With --rank, uses a full decomposition or random sampling, whichever is predicted to be \
      faster here; the output says which and why. --compare times all methods:

        swiftlet svd weights.npy --rank 32 -o factors/
        swiftlet svd weights.npy --tolerance 0.01 --plot spectrum.svg
        swiftlet svd --size 1000x400 --compare

      Test ratios are LAPACK's: errors relative to the expected rounding error, at most 30 for a \
      correct result. A larger one is marked with !, and the exit code is 2.
      """)

  /// A LAPACK routine or one of Swiftlet's own methods.
  enum Method: String, ExpressibleByArgument, CaseIterable {
    case gesdd, gesvd, swift, jacobi, gram, randomized
  }

  @OptionGroup var matrix: MatrixOptions<AnyMatrix>

  @Option(
    help:
      "Method. Default: gesdd if LAPACK passes its self-check, else swift; with --rank, the faster."
  )
  var method: Method?

  @Option(help: "Number of singular values to keep, largest first. Default: all.")
  var rank: Int?

  @Option(help: "Largest relative error; random sampling finds the rank it takes.")
  var tolerance: Double?

  @Option(help: "Number of random samples beyond the rank.")
  var oversampling = 10

  @Option(help: "Number of power iterations, which make random sampling more accurate.")
  var powerIterations = 2

  @Flag(help: "Time all methods in alternation, and check their results.")
  var compare = false

  @Option(help: "Seconds to spend on each method with --compare.")
  var seconds = 2.0

  @Option(help: ArgumentHelp("Write an SVG chart of the spectrum.", valueName: "file"))
  var plot: String?

  @Option(
    name: [.short, .long],
    help: ArgumentHelp("Folder to write u.npy, s.npy and vt.npy to.", valueName: "dir"))
  var outputDir: String?

  @OptionGroup var limits: LimitOptions<RunsNoModels>

  @OptionGroup var common: CommonOptions

  func validate() throws {
    try check("--rank", rank ?? 1, 1...32_766)
    try check("--tolerance", tolerance ?? 0, 0...1)
    try check("--oversampling", oversampling, 0...10_000)
    try check("--power-iterations", powerIterations, 0...100)
    try check("--seconds", seconds, 0.01...3600)
    if tolerance != nil && (rank != nil || compare || method ?? .randomized != .randomized) {
      throw ValidationError(
        "--tolerance is for random sampling, and cannot be combined with --rank or --compare")
    }
    if compare && (outputDir != nil || method != nil) {
      throw ValidationError("--compare runs all methods and writes no factors")
    }
    if method == .randomized && rank == nil && tolerance == nil {
      throw ValidationError("--method randomized needs --rank or --tolerance")
    }
  }

  private var sampling: RandomizedSVD {
    RandomizedSVD(
      oversampling: oversampling, powerIterations: powerIterations, seed: matrix.seed)
  }

  func run() throws {
    try matrix.checkOutputs(plot: plot, folder: outputDir, files: ["u", "s", "vt"])
    let input = try matrix.read()
    try locating(matrix.label) {
      if let rank, rank > min(input.shape[0], input.shape[1]) {
        throw SwiftletError(
          .badInput, "--rank \(rank) exceeds the rank of a \(input.shape) matrix",
          fix: "use at most \(min(input.shape[0], input.shape[1]))")
      }
      if tolerance != nil && input.shape.count == 0 {
        throw SwiftletError(.badInput, "the matrix is empty")
      }
      switch input {
      case .float32(let a): compare ? try race(a) : try decompose(a)
      case .float64(let a): compare ? try race(a) : try decompose(a)
      default: preconditionFailure("matrices are loaded as floating-point numbers")
      }
    }
  }

  // MARK: One decomposition

  /// The JSON result.
  private struct Report: Encodable {
    let rows, columns, rank: Int
    let dtype, method, backend: String
    let seconds: Double
    let singularValues: [Double]
    /// Norm of the error relative to that of the matrix (Frobenius).
    let relativeError: Double
    let reconstructionRatio: Double?
    let orthogonalityRatio: Double
    let predictedFullSeconds, predictedRandomizedSeconds: Double?
    let files: [String]
  }

  private func decompose<T: BLASElement>(_ a: Tensor<T>) throws {
    let (m, n) = (a.shape[0], a.shape[1])
    var outcome:
      (svd: SwiftletLinalg.SVD<T>, error: Double?, prediction: SVDCost?, isSampled: Bool)?
    let elapsed = try ContinuousClock().measure { outcome = try compute(a) }.components
    let (svd, error, prediction, isSampled) = outcome!
    let isWhole = svd.singularValues.count == min(m, n) && !isSampled
    let ratios = svd.testRatios(a)
    let report = Report(
      rows: m, columns: n, rank: svd.singularValues.count, dtype: a.dtypeName,
      method: isSampled ? Method.randomized.rawValue : svd.method.rawValue,
      backend: svd.method.rawValue,
      seconds: Double(elapsed.seconds) + Double(elapsed.attoseconds) * 1e-18,
      singularValues: svd.singularValues.map { Double($0) },
      relativeError: error
        ?? ratios.reconstruction * Double(max(m, n)) * Double(T.ulpOfOne),
      reconstructionRatio: isWhole ? ratios.reconstruction : nil,
      orthogonalityRatio: ratios.orthogonality,
      predictedFullSeconds: prediction?.fullSeconds,
      predictedRandomizedSeconds: prediction?.randomizedSeconds, files: try write(svd))
    try draw(report.singularValues)
    if common.json { try Console.json(report) } else { print(text(report)) }
    try Verdict.check(
      [report.reconstructionRatio, report.orthogonalityRatio], of: report.method)
  }

  private func compute<T: BLASElement>(
    _ a: Tensor<T>
  ) throws -> (svd: SwiftletLinalg.SVD<T>, error: Double?, prediction: SVDCost?, isSampled: Bool) {
    if let tolerance {
      let (svd, error) = try sampling.svd(a, tolerance: T(tolerance), threads: common.threads)
      return (svd, Double(error), nil, true)
    }
    if let rank, method == nil || method == .randomized {
      let cut = try TruncatedSVD(
        a, rank: rank, method: method == .randomized ? .randomized : nil, sampling: sampling,
        threads: common.threads)
      return (cut.svd, cut.relativeError, cut.prediction, cut.method == .randomized)
    }
    let whole = try SwiftletLinalg.SVD(
      a,
      method: method.flatMap { SwiftletLinalg.SVD<T>.Method(rawValue: $0.rawValue) } ?? .automatic,
      threads: common.threads)
    return (try rank.map(whole.truncated(to:)) ?? whole, nil, nil, false)
  }

  private func write<T: BLASElement>(_ svd: SwiftletLinalg.SVD<T>) throws -> [String] {
    guard let outputDir else { return [] }
    try OutputFolder.create(outputDir)
    let s = Tensor<T>([svd.singularValues.count], svd.singularValues)
    return try [("u", svd.u), ("s", s), ("vt", svd.vt)].map { name, tensor in
      let path = "\(outputDir)/\(name).npy"
      try AtomicFile.write(NPY.encode(AnyTensor(tensor)), to: path)
      return path
    }
  }

  private func text(_ report: Report) -> String {
    var lines = [
      "\(report.rows)×\(report.columns) \(report.dtype), \(report.method)"
        + (report.method == report.backend ? "" : " (small decomposition by \(report.backend))")
        + ", \(fixed(report.seconds * 1e3, 3)) ms"
    ]
    if let full = report.predictedFullSeconds, let sampled = report.predictedRandomizedSeconds {
      lines.append(
        "chosen by predicted time: full \(fixed(full * 1e3, 1)) ms, "
          + "sampling \(fixed(sampled * 1e3, 1)) ms")
    }
    let shown = report.singularValues.prefix(10).map { scientific($0) }
    lines.append(
      "\(report.rank) singular values: \(shown.joined(separator: " "))"
        + (report.rank > 10 ? " … \(scientific(report.singularValues[report.rank - 1]))" : ""))
    lines.append("relative error \(scientific(report.relativeError))")
    if let ratio = report.reconstructionRatio {
      lines.append(
        "test ratios: reconstruction \(Verdict.text(ratio)), "
          + "orthogonality \(Verdict.text(report.orthogonalityRatio)) (at most 30)")
    }
    return (lines + report.files).joined(separator: "\n")
  }

  private func draw(_ values: [Double]) throws {
    guard let plot else { return }
    let positions = (0..<values.count).map { Double($0 + 1) }
    let energies = values.map { $0 * $0 }
    let kept = values.indices.map { Spectrum.energy(energies, rank: $0 + 1) }
    let svg = LineChart.svg(
      title: "Spectrum of \(matrix.label)",
      panels: [
        LineChart.Panel(
          title: "singular values", yScale: .logarithmic,
          lines: [LineChart.Line("σ", positions, values)]),
        LineChart.Panel(
          title: "energy kept by rank", lines: [LineChart.Line("Σσ²", positions, kept)]),
      ])
    try AtomicFile.write(svg, to: plot)
  }

  // MARK: Comparing methods

  /// The JSON result of `--compare`.
  private struct Comparison: Encodable {
    /// The result of one method.
    struct Row: Encodable {
      let method: String
      /// Why the method failed; the other properties are then `nil`.
      var failure: String?
      var rank: Int?
      var time: Race.Result?
      /// `nil` for methods that compute only a part of the spectrum.
      var reconstructionRatio: Double?
      var orthogonalityRatio: Double?
      /// Largest difference of singular values from those of the first method that succeeded,
      /// relative to the largest.
      var largestDifference: Double?
    }

    let rows, columns: Int
    let dtype, cpu, blas: String
    let threads: Int
    let methods: [Row]
  }

  private func race<T: BLASElement>(_ a: Tensor<T>) throws {
    let (m, n) = (a.shape[0], a.shape[1])
    guard min(m, n) > 0 else { throw SwiftletError(.badInput, "the matrix is empty") }
    let threads = common.threads
    let part = rank ?? max(1, min(m, n) / 10)
    var candidates: [(name: String, isPart: Bool, compute: () throws -> SwiftletLinalg.SVD<T>)] =
      SwiftletLinalg.SVD<T>.Method.allCases.filter(\.isAvailable).map { method in
        (method.rawValue, false, { try SwiftletLinalg.SVD(a, method: method, threads: threads) })
      }
    candidates.append(
      (
        "randomized", true, { try self.sampling.svd(a, rank: part, threads: self.common.threads) }
      ))
    var results = [SwiftletLinalg.SVD<T>?](repeating: nil, count: candidates.count)
    let times = try Race.run(
      candidates.indices.map { index in
        (candidates[index].name, { results[index] = try candidates[index].compute() })
      }, seconds: seconds)
    let reference = results.lazy.compactMap { $0 }.first?.singularValues ?? []
    let rows = candidates.indices.map { index -> Comparison.Row in
      let name = candidates[index].name
      let time: Race.Result
      switch times[index] {
      case .success(let result): time = result
      case .failure(let error): return Comparison.Row(method: name, failure: error.description)
      }
      let svd = results[index]!
      let ratios = svd.testRatios(a)
      let difference = zip(reference, svd.singularValues).reduce(0.0) {
        max($0, abs(Double($1.0) - Double($1.1)))
      }
      return Comparison.Row(
        method: name, rank: svd.singularValues.count, time: time,
        reconstructionRatio: candidates[index].isPart ? nil : ratios.reconstruction,
        orthogonalityRatio: ratios.orthogonality,
        largestDifference: reference[0] > 0 ? difference / Double(reference[0]) : 0)
    }
    try draw(reference.map { Double($0) })
    let comparison = Comparison(
      rows: m, columns: n, dtype: a.dtypeName, cpu: CPU.model,
      blas: "\(Backend.current.name) \(Backend.core)", threads: threads.count, methods: rows)
    if common.json { try Console.json(comparison) } else { show(comparison) }
    // The eigenvalues of AᵀA give only half of the digits, so `gram` is not checked.
    try Verdict.check(
      rows.map { row in
        let promised =
          row.method == "gram" ? [] : [row.reconstructionRatio, row.orthogonalityRatio]
        return (row.method, row.failure, promised)
      })
  }

  private func show(_ comparison: Comparison) {
    Console.say("\(CPU.model), \(comparison.blas), \(comparison.threads) thread(s)")
    let rows = comparison.methods.map { row -> [String] in
      guard let time = row.time else {
        return [row.method, "-", "failed"] + [String](repeating: "-", count: 5)
      }
      return [
        row.method, row.rank.map(String.init) ?? "-", fixed(time.medianMs, 3),
        fixed(time.fastestMs, 3), fixed(time.slowestMs, 3),
        row.reconstructionRatio.map(Verdict.text) ?? "-",
        row.orthogonalityRatio.map(Verdict.text) ?? "-",
        row.largestDifference.map(scientific) ?? "-",
      ]
    }
    print("\(comparison.rows)×\(comparison.columns) \(comparison.dtype)")
    print(
      table(
        [["method", "rank", "median ms", "fastest", "slowest", "A−USVᵀ", "I−QᵀQ", "max Δσ/σ₁"]]
          + rows))
    let ratios = comparison.methods.flatMap { [$0.reconstructionRatio, $0.orthogonalityRatio] }
    if let legend = Verdict.legend(ratios) { print(legend) }
  }
}
