// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Swiftlet

/// `swiftlet eig`.
struct Eig: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "eig",
    abstract: "Compute eigenvalues and eigenvectors of a symmetric matrix, or compare methods.",
    discussion: """
      Only the upper triangle of the matrix is read; --size makes a random symmetric matrix.

        swiftlet eig covariance.npy --largest 10 -o factors/
        swiftlet eig --size 500 --compare

      Test ratios are LAPACK's: errors relative to the expected rounding error, at most 30 for a \
      correct result. A larger one is marked with !, and the exit code is 2.
      """)

  /// A LAPACK routine or Swiftlet's own implementation.
  enum Method: String, ExpressibleByArgument, CaseIterable { case syevd, swift }

  @OptionGroup var matrix: MatrixOptions<SquareMatrix>

  @Option(help: "Method. Default: syevd if LAPACK passes its self-check, else swift.")
  var method: Method?

  @Option(help: "Number of eigenvalues to compute, largest first. Default: all.")
  var largest: Int?

  @Flag(help: "Time all methods in alternation, and check their results.")
  var compare = false

  @Option(help: "Seconds to spend on each method with --compare.")
  var seconds = 2.0

  @Option(help: ArgumentHelp("Write an SVG chart of the eigenvalues.", valueName: "file"))
  var plot: String?

  @Option(
    name: [.short, .long],
    help: ArgumentHelp(
      "Folder to write values.npy and vectors.npy (in columns) to.", valueName: "dir"))
  var outputDir: String?

  @OptionGroup var limits: LimitOptions<RunsNoModels>

  @OptionGroup var common: CommonOptions

  func validate() throws {
    try check("--largest", largest ?? 1, 1...32_766)
    try check("--seconds", seconds, 0.01...3600)
    if compare && (outputDir != nil || method != nil) {
      throw ValidationError("--compare runs all methods and writes no vectors")
    }
  }

  func run() throws {
    try matrix.checkOutputs(plot: plot, folder: outputDir, files: ["values", "vectors"])
    let input = try matrix.read()
    try locating(matrix.label) {
      guard input.shape[0] == input.shape[1] else {
        throw SwiftletError(
          .badInput, "a \(input.shape) matrix is not square",
          fix: "give a square one, such as --size 500")
      }
      if let largest, largest > input.shape[0] {
        throw SwiftletError(
          .badInput, "--largest \(largest) exceeds the order of a \(input.shape) matrix",
          fix: "use at most \(input.shape[0])")
      }
      switch input {
      case .float32(let a): try solve(symmetric(a))
      case .float64(let a): try solve(symmetric(a))
      default: preconditionFailure("matrices are loaded as floating-point numbers")
      }
    }
  }

  /// The symmetric matrix with the given upper triangle.
  private func symmetric<T>(_ a: Tensor<T>) -> Tensor<T> {
    var result = a
    let n = a.shape[0]
    var elements = result.mutableSpan
    for i in 0..<n {
      for j in 0..<i { elements[i * n + j] = elements[j * n + i] }
    }
    return result
  }

  private func solve<T: BLASElement>(_ a: Tensor<T>) throws {
    try compare ? race(a) : decompose(a)
  }

  private func eigen<T: BLASElement>(
    _ a: Tensor<T>, _ backend: LinalgBackend
  ) throws -> SymmetricEigen<T> {
    try SymmetricEigen(a, largest: largest, backend: backend, threads: common.threads)
  }

  /// The JSON result.
  private struct Report: Encodable {
    let order: Int
    let dtype, method: String
    let seconds: Double
    let eigenvalues: [Double]
    let reconstructionRatio: Double?
    let orthogonalityRatio: Double
    let files: [String]
  }

  private func decompose<T: BLASElement>(_ a: Tensor<T>) throws {
    let backend: LinalgBackend =
      switch method {
      case .syevd: .lapack
      case .swift: .swift
      case nil: .automaticForEigenvalues(of: T.self)
      }
    var result: SymmetricEigen<T>?
    let elapsed = try ContinuousClock().measure { result = try self.eigen(a, backend) }.components
    let eigen = result!
    let ratios = eigen.testRatios(a)
    let report = Report(
      order: a.shape[0], dtype: a.dtypeName, method: name(backend),
      seconds: Double(elapsed.seconds) + Double(elapsed.attoseconds) * 1e-18,
      eigenvalues: eigen.values.map { Double($0) },
      reconstructionRatio: eigen.values.count == a.shape[0] ? ratios.reconstruction : nil,
      orthogonalityRatio: ratios.orthogonality, files: try write(eigen))
    try draw(report.eigenvalues)
    if common.json { try Console.json(report) } else { show(report) }
    try Verdict.check(
      [report.reconstructionRatio, report.orthogonalityRatio], of: report.method)
  }

  private func show(_ report: Report) {
    let shown = report.eigenvalues.prefix(10).map { scientific($0) }.joined(separator: " ")
    var lines = [
      "\(report.order)×\(report.order) \(report.dtype), \(report.method), "
        + "\(fixed(report.seconds * 1e3, 3)) ms",
      "\(report.eigenvalues.count) eigenvalues: \(shown)"
        + (report.eigenvalues.count > 10 ? " … \(scientific(report.eigenvalues.last!))" : ""),
    ]
    if let ratio = report.reconstructionRatio {
      lines.append(
        "test ratios: reconstruction \(Verdict.text(ratio)), "
          + "orthogonality \(Verdict.text(report.orthogonalityRatio)) (at most 30)")
    }
    print((lines + report.files).joined(separator: "\n"))
  }

  private func name(_ backend: LinalgBackend) -> String {
    guard backend == .lapack else { return backend.rawValue }
    return largest == nil ? "syevd" : "syevr"
  }

  private func write<T: BLASElement>(_ eigen: SymmetricEigen<T>) throws -> [String] {
    guard let outputDir else { return [] }
    try OutputFolder.create(outputDir)
    let values = Tensor<T>([eigen.values.count], eigen.values)
    return try [("values", values), ("vectors", eigen.vectors)].map { name, tensor in
      let path = "\(outputDir)/\(name).npy"
      try AtomicFile.write(NPY.encode(AnyTensor(tensor)), to: path)
      return path
    }
  }

  private func draw(_ values: [Double]) throws {
    guard let plot else { return }
    let positions = (0..<values.count).map { Double($0 + 1) }
    let svg = LineChart.svg(
      title: "Eigenvalues of \(matrix.label)",
      panels: [
        LineChart.Panel(title: "λ", lines: [LineChart.Line("λ", positions, values)]),
        LineChart.Panel(
          title: "|λ|", yScale: .logarithmic,
          lines: [LineChart.Line("|λ|", positions, values.map { abs($0) })]),
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
      var time: Race.Result?
      var reconstructionRatio: Double?
      var orthogonalityRatio: Double?
      /// Largest difference of eigenvalues from those of the first method that succeeded, relative
      /// to the largest.
      var largestDifference: Double?
    }

    let order: Int
    let dtype, cpu, blas: String
    let threads: Int
    let methods: [Row]
  }

  private func race<T: BLASElement>(_ a: Tensor<T>) throws {
    guard a.count > 0 else { throw SwiftletError(.badInput, "the matrix is empty") }
    let backends = LinalgBackend.allCases.filter(\.isAvailable)
    var results = [SymmetricEigen<T>?](repeating: nil, count: backends.count)
    let times = try Race.run(
      backends.indices.map { index in
        (name(backends[index]), { results[index] = try eigen(a, backends[index]) })
      }, seconds: seconds)
    let reference = results.lazy.compactMap { $0 }.first?.values.map { Double($0) } ?? []
    let scale = reference.reduce(0) { max($0, abs($1)) }
    let rows = backends.indices.map { index -> Comparison.Row in
      let time: Race.Result
      switch times[index] {
      case .success(let result): time = result
      case .failure(let error):
        return Comparison.Row(method: name(backends[index]), failure: error.description)
      }
      let eigen = results[index]!
      let ratios = eigen.testRatios(a)
      let difference = zip(reference, eigen.values).reduce(0.0) {
        max($0, abs($1.0 - Double($1.1)))
      }
      return Comparison.Row(
        method: name(backends[index]), time: time,
        reconstructionRatio: largest == nil ? ratios.reconstruction : nil,
        orthogonalityRatio: ratios.orthogonality,
        largestDifference: scale > 0 ? difference / scale : 0)
    }
    try draw(reference)
    let comparison = Comparison(
      order: a.shape[0], dtype: a.dtypeName, cpu: CPU.model,
      blas: "\(Backend.current.name) \(Backend.core)", threads: common.threads.count, methods: rows)
    if common.json { try Console.json(comparison) } else { show(comparison) }
    try Verdict.check(
      rows.map { ($0.method, $0.failure, [$0.reconstructionRatio, $0.orthogonalityRatio]) })
  }

  private func show(_ comparison: Comparison) {
    Console.say("\(CPU.model), \(comparison.blas), \(comparison.threads) thread(s)")
    let rows = comparison.methods.map { row -> [String] in
      guard let time = row.time else {
        return [row.method, "failed"] + [String](repeating: "-", count: 5)
      }
      return [
        row.method, fixed(time.medianMs, 3), fixed(time.fastestMs, 3), fixed(time.slowestMs, 3),
        row.reconstructionRatio.map(Verdict.text) ?? "-",
        row.orthogonalityRatio.map(Verdict.text) ?? "-",
        row.largestDifference.map(scientific) ?? "-",
      ]
    }
    print("\(comparison.order)×\(comparison.order) \(comparison.dtype)")
    print(
      table(
        [["method", "median ms", "fastest", "slowest", "A−VΛVᵀ", "I−VᵀV", "max Δλ/|λ₁|"]] + rows))
    let ratios = comparison.methods.flatMap { [$0.reconstructionRatio, $0.orthogonalityRatio] }
    if let legend = Verdict.legend(ratios) { print(legend) }
  }
}
