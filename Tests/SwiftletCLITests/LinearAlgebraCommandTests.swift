// SPDX-License-Identifier: Apache-2.0

import Foundation
import SwiftletBLAS
import SwiftletCore
import SwiftletFiles
import SwiftletFormats
import Testing
import _SwiftletTestSupport

/// `swiftlet svd` and `swiftlet eig`.
struct LinearAlgebraCommandTests {
  private func read(_ path: String) throws -> Tensor<Double> {
    try #require(Double.unerase(try NPY.read(path)))
  }

  @Test func factorsAreWrittenAndFit() throws {
    try withTemporaryFolder { folder in
      let a = Tensor<Double>([2, 3], [1, 2, 3, 4, 5, 7])
      try AtomicFile.write(NPY.encode(AnyTensor(a)), to: "\(folder)/a.npy")
      let result = try swiftlet("svd", "\(folder)/a.npy", "-o", "\(folder)/out", "--json")
      #expect(result.code == 0)
      let json = try result.json()
      #expect(json["rows"] as? Int == 2 && json["columns"] as? Int == 3)
      #expect((json["reconstructionRatio"] as? Double ?? 99) < 30)
      var u = try read("\(folder)/out/u.npy")
      let s = try read("\(folder)/out/s.npy")
      let printed = try #require(json["singularValues"] as? [Double])
      #expect(printed.count == 2)
      for (a, b) in zip(printed, s.elements) { #expect(abs(a / b - 1) < 1e-15) }
      for i in 0..<2 {
        for j in 0..<2 { u[i, j] *= s[j] }
      }
      let product = Tensor.product(u, try read("\(folder)/out/vt.npy"))
      #expect(TestRatio.difference(a, product) < 30)
    }
  }

  @Test(arguments: ["f32", "f64"])
  func methodsStandSideBySide(dtype: String) throws {
    let result = try swiftlet(
      "svd", "--size", "30x20", "--dtype", dtype, "--compare", "--seconds", "0.01", "--json")
    #expect(result.code == 0)
    let json = try result.json()
    let rows = try #require(json["methods"] as? [[String: Any]])
    let own = ["swift", "jacobi", "gram", "randomized"]
    #expect(
      rows.map { $0["method"] as? String }
        == (LAPACK.isInstalled ? ["gesdd", "gesvd"] : []) + own)
    for row in rows {
      #expect((row["orthogonalityRatio"] as? Double ?? 1e9) < 30)
      #expect(((row["time"] as? [String: Any])?["medianMs"] as? Double ?? 0) > 0)
      guard row["method"] as? String != "randomized" else { continue }
      #expect((row["reconstructionRatio"] as? Double ?? 1e9) < 30)
      #expect((row["largestDifference"] as? Double ?? 1) < (dtype == "f32" ? 1e-5 : 1e-13))
    }
  }

  @Test func repeatedRowsAreNothingSpecial() throws {
    try withTemporaryFolder { folder in
      let path = "\(folder)/ones.npy"
      try AtomicFile.write(
        NPY.encode(AnyTensor(Tensor<Float>([200, 200], repeating: 1))), to: path)
      for method in ["swift", "jacobi"] {
        let json = try swiftlet("svd", path, "--method", method, "--json").json()
        #expect((json["orthogonalityRatio"] as? Double ?? 99) < 30)
        let values = try #require(json["singularValues"] as? [Double])
        #expect(abs(values[0] - 200) < 0.01 && values[1] < 1e-3)
      }
      let result = try swiftlet("svd", path, environment: ["SWIFTLET_BLAS": "swift"])
      #expect(result.code == 0)
    }
  }

  /// The eigenvalues of AᵀA lose half of the digits, and vectors with them.
  @Test func resultsThatAreNotAccurateAreMarked() throws {
    try withTemporaryFolder { folder in
      var hilbert = Tensor<Double>(zeros: [12, 12])
      for i in 0..<12 {
        for j in 0..<12 { hilbert[i, j] = 1 / Double(i + j + 1) }
      }
      let path = "\(folder)/hilbert.npy"
      try AtomicFile.write(NPY.encode(AnyTensor(hilbert)), to: path)
      let result = try swiftlet("svd", path, "--method", "gram")
      #expect(result.code == 2)
      #expect(result.output.contains("! (at most 30)"))
      #expect(result.errors.contains("by gram exceeds 30"))
      #expect(try swiftlet("svd", path, "--method", "gram", "--json").json()["rank"] as? Int == 12)
      let table = try swiftlet("svd", path, "--compare", "--seconds", "0.01")
      #expect(table.code == 0 && table.output.contains("! above 30"))
    }
  }

  /// The workspace of gesdd is four times the matrix; other methods get by with less.
  @Test func theOthersGoOnWhereOneMethodFails() throws {
    guard LAPACK.isInstalled else { return }
    let arguments = [
      "svd", "--size", "300", "--compare", "--seconds", "0.01", "--max-memory", "4M",
    ]
    let result = try swiftlet(arguments)
    #expect(result.code == 2 && result.errors.contains("gesdd failed"))
    let lines = result.output.split(separator: "\n")
    #expect(lines.contains { $0.hasPrefix("gesdd") && $0.contains("failed") })
    #expect(lines.contains { $0.hasPrefix("gesvd") && !$0.contains("failed") })
    let rows = try #require(
      try swiftlet(arguments + ["--json"]).json()["methods"] as? [[String: Any]])
    #expect(rows[0]["failure"] is String && rows[0]["time"] == nil)
    #expect(rows[1]["failure"] == nil && rows[1]["rank"] as? Int == 300)
  }

  @Test func powersOfTenHaveOneDigitInFront() throws {
    try withTemporaryFolder { folder in
      let path = "\(folder)/diagonal.npy"
      var matrix = Tensor<Double>(zeros: [4, 4])
      for (i, value) in [99999, 1, 0.01, 1e-7].enumerated() { matrix[i, i] = value }
      try AtomicFile.write(NPY.encode(AnyTensor(matrix)), to: path)
      let result = try swiftlet("svd", path, "--method", "jacobi")
      #expect(result.output.contains("1.000e5 1.000 1.000e-2 1.000e-7"))
    }
  }

  @Test func theChoiceIsExplained() throws {
    let result = try swiftlet("svd", "--size", "700x500", "--rank", "3", "--dtype", "f32", "--json")
    let json = try result.json()
    #expect(json["rank"] as? Int == 3)
    #expect(json["method"] as? String == "randomized")
    #expect(json["predictedFullSeconds"] is Double)
    #expect(json["predictedRandomizedSeconds"] is Double)
  }

  @Test func theToleranceIsKept() throws {
    let json = try swiftlet("svd", "--size", "40x30", "--tolerance", "0.5", "--json").json()
    #expect(json["method"] as? String == "randomized")
    #expect((json["relativeError"] as? Double ?? 1) <= 0.5)
    #expect(1..<30 ~= json["rank"] as? Int ?? 0)
  }

  @Test func spectraAreDrawn() throws {
    try withTemporaryFolder { folder in
      for command in ["svd", "eig"] {
        let path = "\(folder)/\(command).svg"
        #expect(try swiftlet(command, "--size", "12", "--plot", path).code == 0)
        let svg = try String(contentsOfFile: path, encoding: .utf8)
        #expect(svg.hasPrefix("<svg") && svg.contains("<polyline") && !svg.contains("nan"))
      }
    }
  }

  @Test func eigenvaluesOfTheUpperTriangle() throws {
    try withTemporaryFolder { folder in
      let a = Tensor<Double>([2, 2], [2, 1, -9, 2])
      try AtomicFile.write(NPY.encode(AnyTensor(a)), to: "\(folder)/a.npy")
      let json = try swiftlet("eig", "\(folder)/a.npy", "-o", folder, "--json").json()
      let values = try #require(json["eigenvalues"] as? [Double])
      #expect(abs(values[0] - 3) < 1e-14 && abs(values[1] - 1) < 1e-14)
      for (a, b) in zip(values, try read("\(folder)/values.npy").elements) {
        #expect(abs(a / b - 1) < 1e-15)
      }
      #expect(try read("\(folder)/vectors.npy").shape == [2, 2])
    }
  }

  @Test func eigenMethodsStandSideBySide() throws {
    let json = try swiftlet("eig", "--size", "25", "--compare", "--seconds", "0.01", "--json")
      .json()
    let rows = try #require(json["methods"] as? [[String: Any]])
    #expect(
      rows.map { $0["method"] as? String } == (LAPACK.isInstalled ? ["syevd"] : []) + ["swift"])
    for row in rows { #expect((row["largestDifference"] as? Double ?? 1) < 1e-13) }
  }

  @Test func unknownBackendsAreRemarkedOn() throws {
    guard LAPACK.isInstalled else { return }
    let result = try swiftlet("eig", "--size", "3", environment: ["SWIFTLET_BLAS": "mkl"])
    #expect(result.code == 0)
    #expect(result.errors.contains("SWIFTLET_BLAS=mkl"))
  }

  @Test func badInputIsNamed() throws {
    try withTemporaryFolder { folder in
      func put(_ name: String, _ tensor: AnyTensor) throws -> String {
        let path = "\(folder)/\(name).npy"
        try AtomicFile.write(NPY.encode(tensor), to: path)
        return path
      }
      let cube = try put("cube", AnyTensor(Tensor<Float>(zeros: [2, 2, 2])))
      expectFailure(try swiftlet("svd", cube), 2, "cube.npy", "not a matrix")
      let integers = try put("integers", AnyTensor(Tensor<Int32>(zeros: [2, 2])))
      expectFailure(try swiftlet("svd", integers), 3, "integers.npy", "int32")
      let nan = try put("nan", AnyTensor(Tensor<Float>([1, 2], [1, .nan])))
      expectFailure(try swiftlet("svd", nan), 2, "nan.npy", "NaN")
      let wide = try put("wide", AnyTensor(Tensor<Float>(zeros: [2, 3])))
      expectFailure(try swiftlet("eig", wide), 2, "wide.npy", "not square")
      expectFailure(try swiftlet("svd", wide, "--rank", "3"), 2, "wide.npy", "at most 2")
      let empty = try put("empty", AnyTensor(Tensor<Float>(zeros: [0, 3])))
      #expect(try swiftlet("svd", empty).code == 0)
      expectFailure(try swiftlet("svd", empty, "--compare"), 2, "empty.npy")
      expectFailure(try swiftlet("svd", empty, "--tolerance", "0.1"), 2, "empty.npy")
      try AtomicFile.write("no matrix", to: "\(folder)/text.npy")
      expectFailure(try swiftlet("svd", "\(folder)/text.npy"), 2, "text.npy")
    }
    expectFailure(try swiftlet("svd"), 64, "--size")
    expectFailure(try swiftlet("svd", "--size", "0x4"), 64, "--size")
    expectFailure(try swiftlet("svd", "--size", "4", "--method", "randomized"), 64, "--rank")
    expectFailure(try swiftlet("svd", "--size", "4", "--compare", "-o", "x"), 64, "--compare")
    expectFailure(try swiftlet("eig", "--size", "4", "--largest", "9"), 2, "at most 4")
    expectFailure(try swiftlet("svd", "--size", "9", "-o", "/proc/none"), 2, "/proc/none")
  }
}
