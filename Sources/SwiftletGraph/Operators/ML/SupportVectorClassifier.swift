// SPDX-License-Identifier: Apache-2.0

import RealModule
import SwiftletCore

/// The label that most pairs of classes vote for, and scores: rows N×F → N labels, and N×C
/// probabilities, or N×P values of the P = C(C − 1)/2 pairs if the model has none.
///
/// For two classes without probabilities, the scores are −value and value. Without support vectors
/// the coefficients are feature weights for each class, and the label is that of the highest score.
///
/// - Source: ONNX `ai.onnx.ml`, `SVMClassifier`; Wu, Lin & Weng 2004 (probabilities from pairs).
struct SupportVectorClassifier: Operator {
  static let opType = "SVMClassifier"
  private let vectors: SupportVectors
  private let coefficients, rho, slopes, shifts: [Float]
  private let perClass: [Int]
  private let labels: ClassLabels
  private let classes: Int
  private let transform: PostTransform

  init(_ node: Node, opset: Int) throws {
    coefficients = try node.floats("coefficients") ?? []
    rho = try node.floats("rho") ?? []
    slopes = try node.floats("prob_a") ?? []
    shifts = try node.floats("prob_b") ?? []
    perClass = try node.ints("vectors_per_class") ?? []
    labels = try ClassLabels(node, "classlabels_ints")
    transform = try PostTransform(node)
    guard perClass.allSatisfy({ 0...1 << 40 ~= $0 }) else {
      throw SwiftletError(
        .badInput, "SVMClassifier has vectors_per_class \(perClass), which must be at least 0")
    }
    let count = perClass.reduce(0) { $0.addingReportingOverflow($1).partialValue }
    classes = count > 0 ? perClass.count : labels.values.count
    vectors = try SupportVectors(
      node, count: count, coefficients: coefficients.count, scores: classes)
    let (pairs, overflow) = classes.multipliedReportingOverflow(by: classes - 1)
    let wanted = count > 0 ? pairs / 2 : 1
    guard !overflow, classes > 1, rho.count >= wanted,
      count == 0
        || coefficients.count == (classes - 1).multipliedReportingOverflow(by: count).partialValue,
      slopes.count == shifts.count, slopes.isEmpty || slopes.count == wanted
    else {
      throw SwiftletError(
        .badInput,
        "SVMClassifier has \(coefficients.count) coefficients and \(rho.count) offsets of "
          + "\(classes) classes with \(count) vectors, which do not match")
    }
  }

  private var hasProbabilities: Bool { vectors.count > 0 && !slopes.isEmpty }

  private var columns: Int {
    if vectors.count == 0 || hasProbabilities || classes == 2 { return classes }
    return classes * (classes - 1) / 2
  }

  func infer(_ inputs: [TensorInfo?]) throws -> [TensorInfo] {
    let rows = try rows(inputs)
    guard rows.width == vectors.width else {
      throw mismatch("the input has \(rows.width) features, but the vectors have \(vectors.width)")
    }
    return [
      TensorInfo(.int64, [rows.count]),
      TensorInfo(.float32, try Shape(checking: [rows.count, columns])),
    ]
  }

  func macs(inputs: [Shape?], outputs: [Shape]) -> Int {
    (inputs[0]?.count ?? 0) * max(classes, vectors.count)
  }

  func forward(_ inputs: inout [AnyTensor?], _ context: ExecutionContext) throws -> [AnyTensor] {
    let x = try inputs[0]!.converted(to: .float32).require(Float.self).contiguous()
    let (width, columns) = (vectors.width, columns)
    let count = x.count / width
    // The index of the label comes before the scores.
    var results = Tensor<Float>(uninitialized: [count, 1 + columns])
    context.threads.forEachBlock(of: &results, minimumWork: 1) { rows, output in
      for row in rows {
        let (label, scores) = classify((row * width..<(row + 1) * width).map { x.span[$0] })
        let start = (row - rows.lowerBound) * (1 + columns)
        output[start] = Float(label)
        for (index, score) in scores.enumerated() { output[start + 1 + index] = score }
      }
    }
    let scores = results.slice(axis: 1, range: 1..<1 + columns).contiguous()
    let places = results.slice(axis: 1, range: 0..<1).elements
    return [
      .int64(Tensor([count], places.map { labels[Int($0)] })), .float32(scores),
    ]
  }

  /// The index of the label, and the scores.
  private func classify(_ row: [Float]) -> (label: Int, scores: [Float]) {
    guard vectors.count > 0 else {
      var scores = (0..<classes).map {
        vectors.kernel(row, coefficients[$0 * vectors.width..<($0 + 1) * vectors.width]) + rho[0]
      }
      let label = scores.indices.max { scores[$0] < scores[$1] }!
      transform.apply(&scores)
      return (label, scores)
    }
    let values = pairs(vectors.kernels(row))
    var votes = [Int](repeating: 0, count: classes)
    var pair = 0
    for i in 0..<classes {
      for j in i + 1..<max(i + 1, classes) {
        votes[values[pair] > 0 ? i : j] += 1
        pair += 1
      }
    }
    // The first of the classes with the most votes.
    let label = votes.indices.reduce(0) { votes[$1] > votes[$0] ? $1 : $0 }
    var scores = hasProbabilities ? probabilities(values) : values
    guard classes == 2, !hasProbabilities else {
      transform.apply(&scores)
      return (label, scores)
    }
    scores = [-scores[0], scores[0]]
    if transform == .logistic { transform.apply(&scores) }
    return (label, scores)
  }

  /// The value of each pair of classes, positive for the first one.
  private func pairs(_ kernels: [Float]) -> [Float] {
    var starts = [0]
    for count in perClass { starts.append(starts.last! + count) }
    var result: [Float] = []
    for i in 0..<classes {
      for j in i + 1..<max(i + 1, classes) {
        var sum = 0.0
        for m in starts[i]..<starts[i + 1] {
          sum += Double(coefficients[(j - 1) * vectors.count + m]) * Double(kernels[m])
        }
        for m in starts[j]..<starts[j + 1] {
          sum += Double(coefficients[i * vectors.count + m]) * Double(kernels[m])
        }
        result.append(Float(sum) + rho[result.count])
      }
    }
    return result
  }

  /// Class probabilities from pairwise ones: the minimum of Σ (r_ji·p_i − r_ij·p_j)², by coordinate
  /// descent.
  private func probabilities(_ values: [Float]) -> [Float] {
    let n = classes
    var r = [[Double]](repeating: [Double](repeating: 0, count: n), count: n)
    var pair = 0
    for i in 0..<n {
      for j in i + 1..<max(i + 1, n) {
        let value = Double(values[pair]) * Double(slopes[pair]) + Double(shifts[pair])
        let chance = min(max(1 - PostTransform.logistic(value), 1e-7), 1 - 1e-7)
        (r[i][j], r[j][i]) = (chance, 1 - chance)
        pair += 1
      }
    }
    var p = [Double](repeating: 1 / Double(n), count: n)
    var q = [[Double]](repeating: [Double](repeating: 0, count: n), count: n)
    for i in 0..<n {
      for j in 0..<n where j != i {
        q[i][i] += r[j][i] * r[j][i]
        q[i][j] = -r[j][i] * r[i][j]
      }
    }
    for _ in 0..<max(100, n) {
      var products = (0..<n).map { i in zip(q[i], p).reduce(0) { $0 + $1.0 * $1.1 } }
      var total = zip(p, products).reduce(0) { $0 + $1.0 * $1.1 }
      guard products.contains(where: { abs($0 - total) >= 0.005 / Double(n) }) else { break }
      for i in 0..<n {
        let step = (total - products[i]) / q[i][i]
        p[i] += step
        total = (total + step * (step * q[i][i] + 2 * products[i])) / (1 + step) / (1 + step)
        for j in 0..<n {
          products[j] = (products[j] + step * q[i][j]) / (1 + step)
          p[j] /= 1 + step
        }
      }
    }
    return p.map { Float($0) }
  }
}
