// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletKernels
import Testing

/// Products with 4-bit weights against the definition in fp64.
struct GroupwiseKernelTests {
  private struct Case: CustomStringConvertible {
    let rows, depth, group, columns: Int
    let isTransposed, scalesByTensor, hasOneZero: Bool

    var description: String { "\(rows)×\(depth)×\(columns), groups of \(group)" }
    var groups: Int { (depth + group - 1) / group }

    func source(using numbers: inout Numbers) -> GroupwiseKernel.Source {
      let codes = numbers.bytes(depth * columns).map { $0 & 15 }
      let count = scalesByTensor ? 1 : groups * columns
      return GroupwiseKernel.Source(
        codes: codes, codeRow: isTransposed ? columns : 1, codeColumn: isTransposed ? 1 : depth,
        scales: numbers.floats(count),
        zeros: hasOneZero
          ? [UInt8](repeating: 11, count: count) : numbers.bytes(count).map { $0 & 15 },
        scaleRow: scalesByTensor ? 0 : isTransposed ? columns : 1,
        scaleColumn: scalesByTensor ? 0 : isTransposed ? 1 : groups)
    }

    static let all: [Case] = {
      var all: [Case] = []
      func add(_ rows: Int, _ depth: Int, _ group: Int, _ columns: Int) {
        let index = all.count
        all.append(
          Case(
            rows: rows, depth: depth, group: min(group, depth), columns: columns,
            isTransposed: index % 2 == 0, scalesByTensor: index % 7 == 0,
            hasOneZero: index % 3 == 0))
      }
      for depth in 1...67 { add(1 + depth % 5, depth, [8, 16, 32, 1000][depth % 4], 19) }
      for columns in 1...67 { add(1 + columns % 7, 40, 16, columns) }
      for rows in 1...20 { for columns in [5, 33, 130] { add(rows, 45, 16, columns) } }
      add(3, 1000, 128, 70)
      return all
    }()
  }

  @Test(arguments: GroupwiseKernel.supported.map(\.name))
  func equalsTheDefinition(name: String) throws {
    let kernel = try #require(GroupwiseKernel.supported.first { $0.name == name })
    var numbers = Numbers(seed: 51)
    let (inputs, outputs) = (GuardedPages(capacity: 1 << 16), GuardedPages(capacity: 1 << 16))
    for (index, test) in Case.all.enumerated() {
      var source = test.source(using: &numbers)
      let (gap, outGap) = (index % 3, index % 4)
      let stride = test.depth + gap
      let special: [Float] = index % 5 == 0 ? [.nan, .infinity, -.infinity] : []
      let isFloat = kernel.operands == .float
      let x =
        isFloat
        ? numbers.floats(test.rows * stride - gap, special: special)
        : numbers.bytes(test.rows * stride - gap).map { Float($0) }
      let size = isFloat ? 4 : 1
      source.inputZero = isFloat ? 0 : [0, 128, 255, 7][index % 4]
      let inputZero = Double(source.inputZero)
      let bias = numbers.floats(test.columns)
      let (low, high): (Float, Float) = index % 2 == 0 ? (-.infinity, .infinity) : (-300, 500)
      let padding = kernel.paddedColumns(test.columns) - test.columns
      let product = GroupwiseProduct(
        kernel, depth: test.depth, group: test.group, columns: test.columns,
        weights: kernel.packed(
          source, depth: test.depth, group: test.group, columns: test.columns),
        zero: test.hasOneZero ? 11 : nil,
        bias: AlignedMemory(bias + [Float](repeating: 0, count: padding)), low: low, high: high)
      let outStride = test.columns + outGap
      let count = test.rows * outStride - outGap
      let side: GuardedPages.Side = index % 2 == 0 ? .first : .last
      let input =
        isFloat
        ? unsafe inputs.place(x, at: side)
        : unsafe inputs.place(x.map { UInt8($0) }, at: side)
      /// The results of some rows, by pieces in another order.
      func results(_ rows: Range<Int>) -> [Float] {
        let pattern = [Float](repeating: 1e30, count: rows.count * outStride - outGap)
        let output = unsafe outputs.place(pattern, at: side)
        let items = product.items(rows: rows.count)
        for items in pieces(of: items, using: &numbers.generator) {
          unsafe product.run(
            input + size * rows.lowerBound * stride, stride: size * stride, into: output,
            outputStride: 4 * outStride, rows: rows.count, items: items)
        }
        return unsafe Array(
          UnsafeBufferPointer(
            start: output.assumingMemoryBound(to: Float.self), count: pattern.count))
      }
      var y = results(0..<test.rows)
      // A row does not depend on others.
      for row in 0..<test.rows {
        let alone = results(row..<row + 1)
        for n in 0..<test.columns {
          #expect(same(alone[n], y[row * outStride + n]), "\(name): \(test)")
        }
      }
      var wrong = 0
      for row in 0..<test.rows {
        for n in 0..<test.columns {
          var (sum, extent) = (Double(bias[n]), abs(Double(bias[n])))
          for k in 0..<test.depth {
            let at = k / test.group * source.scaleRow + n * source.scaleColumn
            let code = source.codes[k * source.codeRow + n * source.codeColumn]
            let factor = Double(Int(code) - Int(source.zeros[at])) * Double(source.scales[at])
            let term = (Double(x[row * stride + k]) - inputZero) * factor
            sum += term
            extent += abs(term)
          }
          let value = Double(y[row * outStride + n])
          y[row * outStride + n] = 1e30
          if sum.isNaN || !sum.isFinite {
            if value.isFinite && sum.isNaN { wrong += 1 }
            continue
          }
          let expected = min(max(sum, Double(low)), Double(high))
          if !(abs(value - expected) <= Double(test.depth + 4) * 0x1p-23 * extent) { wrong += 1 }
        }
      }
      #expect(wrong == 0 && y.count == count && y.allSatisfy { $0 == 1e30 }, "\(name): \(test)")
    }
  }
}
