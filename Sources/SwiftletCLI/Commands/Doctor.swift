// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Swiftlet

/// `swiftlet doctor`.
struct Doctor: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Check the processor, the kernels and the numerical library.",
    discussion: """
      Checks the installed BLAS and LAPACK against plain loops. A routine that fails is replaced \
      by Swiftlet's own, and the exit code is 70.
      """)

  @Flag(help: "Measure the peak speed of one core.")
  var peaks = false

  @Flag(
    help: "Delete stored layer timings, so that compress measures them again.")
  var forgetTimings = false

  @OptionGroup var common: CommonOptions

  /// The JSON result.
  private struct Report: Encodable {
    /// The self-check of one routine.
    struct Check: Encodable {
      let routine: String
      let passed: Bool
      let ratio: Double
      let remark: String
    }

    /// The BLAS library.
    struct BLAS: Encodable {
      let uses, configuration, core: String
      let replacementReason: String?
      let threads: Int
      let selfCheck: [Check]
    }

    let version, cpu, isa, supportedISA: String
    let features: [String]
    let threads: Int
    let kernels: [String: String]
    let blas: BLAS
    let peaks: Peaks?
    /// Number of layer timings that were deleted.
    let forgottenTimings: Int?
  }

  func run() throws {
    _ = try ISA.requested()
    let backend = Backend.current
    let report = Report(
      version: Version.number, cpu: CPU.model, isa: ISA.current.rawValue,
      supportedISA: ISA.supported.rawValue,
      features: CPU.features.filter(\.present).map(\.name), threads: common.threads.count,
      kernels: [
        "gemm": backend.name, "quantize": Quantization.kernelName,
        "dense": Double._routines.kernels.name,
      ],
      blas: Report.BLAS(
        uses: backend.name, configuration: Backend.configuration, core: Backend.core,
        replacementReason: backend.replacementReason, threads: 1,
        selfCheck: backend.verdicts.map {
          Report.Check(
            routine: $0.routine.rawValue, passed: $0.passed, ratio: $0.ratio, remark: $0.remark)
        }), peaks: peaks ? Peaks.measure() : nil,
      forgottenTimings: forgetTimings ? try Cache.latencies.map(LatencyCache.forget) ?? 0 : nil)
    if common.json { try Console.json(report) } else { print(text(report)) }
    if let failed = backend.verdicts.first(where: { !$0.passed }) {
      throw SwiftletError(
        .internal, "\(failed.routine.rawValue) failed its self-check: \(failed.remark)",
        at: "OpenBLAS \(Backend.core)", mend: "try OPENBLAS_CORETYPE=Haswell, or another BLAS")
    }
  }

  private func text(_ report: Report) -> String {
    let checks = report.blas.selfCheck.map {
      "  \($0.routine)  \($0.passed ? "ok" : "FAILED")  ratio \(fixed($0.ratio, 2)) of 30, "
        + $0.remark
    }
    let peaks = report.peaks.map {
      """

      peaks of one core: fp32 \(fixed($0.float, 0)) and bf16 \(fixed($0.bfloat, 0)) GFLOP/s, \
      int8 \(fixed($0.integer, 0)) GOP/s, reading memory \(fixed($0.memory, 1)) GB/s
      """
    }
    let forgotten =
      report.forgottenTimings.map { "\ndeleted \($0) layer timings" } ?? ""
    let reason = report.blas.replacementReason.map { " (\($0))" } ?? ""
    return """
      swiftlet \(report.version)
      CPU      \(report.cpu), \(report.threads) thread(s)
      features \(report.features.joined(separator: " "))
      kernels  \(report.isa) of \(report.supportedISA); quantize: \(report.kernels["quantize"]!), \
      linear algebra in Swift: \(report.kernels["dense"]!)
      BLAS     \(report.blas.configuration), core \(report.blas.core), \
      one thread per call
      products by \(report.blas.uses)\(reason)
      self-check:
      \(checks.joined(separator: "\n"))\(peaks ?? "")\(forgotten)
      """
  }
}
