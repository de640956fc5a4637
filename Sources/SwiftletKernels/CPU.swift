// SPDX-License-Identifier: Apache-2.0

internal import CSwiftletKernels
import Glibc
import SwiftletCore

/// A tier of SIMD instructions. Each includes the ones below it.
public enum ISA: String, Sendable, CaseIterable, Comparable {
  /// Plain C: runs everywhere.
  case scalar
  /// AVX2 and FMA.
  case avx2
  /// AVX-512 F, BW, VL and DQ.
  case avx512
  /// AVX-512 with VNNI.
  case avx512vnni

  public static func < (a: ISA, b: ISA) -> Bool {
    allCases.firstIndex(of: a)! < allCases.firstIndex(of: b)!
  }

  /// The tier of that name; `vnni` is what version 0.1 called `avx512vnni`.
  package init?(named name: String) { self.init(rawValue: name == "vnni" ? "avx512vnni" : name) }

  init(_ raw: swl_isa) {
    switch raw {
    case SWL_ISA_AVX512VNNI: self = .avx512vnni
    case SWL_ISA_AVX512: self = .avx512
    case SWL_ISA_AVX2: self = .avx2
    default: self = .scalar
    }
  }

  /// The highest tier this CPU can run.
  public static let supported = ISA(swl_isa_supported())

  /// The tier in use: the supported one, or a lower one requested by `SWIFTLET_ISA`.
  public static let current: ISA = (try? requested()) ?? supported

  /// The tier requested by `SWIFTLET_ISA`, limited to what the CPU supports; `nil` if it is not
  /// set.
  ///
  /// - Throws: `badInput` if the variable does not name a tier.
  public static func requested() throws -> ISA? {
    guard let value = unsafe getenv("SWIFTLET_ISA") else { return nil }
    let name = unsafe String(cString: value)
    guard let tier = ISA(named: name) else {
      throw SwiftletError(
        .badInput, "unknown instruction set '\(name)'", at: "SWIFTLET_ISA",
        fix: "use one of " + allCases.map(\.rawValue).joined(separator: ", "))
    }
    return min(tier, supported)
  }
}

/// The capabilities of this processor.
public enum CPU {
  /// The processor's name, as reported by the system.
  public static let model: String = {
    guard let file = unsafe fopen("/proc/cpuinfo", "r") else { return "unknown CPU" }
    defer { unsafe fclose(file) }
    var line: UnsafeMutablePointer<CChar>?
    var capacity = 0
    defer { unsafe free(line) }
    while unsafe getline(&line, &capacity, file) > 0 {
      let text = unsafe String(cString: line!)
      guard text.hasPrefix("model name"), let colon = text.firstIndex(of: ":") else { continue }
      return String(text[colon...].dropFirst().drop { $0 == " " }.prefix { $0 != "\n" })
    }
    return "unknown CPU"
  }()

  /// SIMD features by name, and whether the processor has them.
  public static let features: [(name: String, present: Bool)] =
    (0..<swl_cpu_feature_count()).map {
      (unsafe String(cString: swl_cpu_feature_name($0)), swl_cpu_has_feature($0))
    }

  /// Whether this CPU supports a kernel's tier, and its feature, which the tier does not include.
  static func supports(_ isa: swl_isa, feature: UnsafePointer<CChar>?) -> Bool {
    guard ISA(isa) <= ISA.supported else { return false }
    guard let feature = unsafe feature.map({ unsafe String(cString: $0) }) else { return true }
    return features.contains { $0.name == feature && $0.present }
  }
}
