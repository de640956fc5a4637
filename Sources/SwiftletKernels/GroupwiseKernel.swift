// SPDX-License-Identifier: Apache-2.0

internal import CSwiftletKernels
package import SwiftletCore

/// The kernels that multiply rows by 4-bit codes, for one type and instruction set: groups along
/// the depth share a scale and a zero point for each column. `@unchecked Sendable`: a pointer to a
/// constant table.
@safe
package struct GroupwiseKernel: @unchecked Sendable {
  package enum Operands: Sendable {
    case float
    /// uint8, with sums of groups exact in int32.
    case bytes
  }

  package let name: String
  package let operands: Operands
  package let isa: ISA
  /// The number of result columns computed side by side.
  package let lanes: Int
  fileprivate let table: UnsafePointer<swl_groupwise_kernel>

  private init(_ table: UnsafePointer<swl_groupwise_kernel>) {
    unsafe self.table = table
    unsafe name = String(cString: table.pointee.name)
    unsafe isa = ISA(table.pointee.isa)
    operands = unsafe table.pointee.type == SWL_GROUPWISE_F32U4 ? .float : .bytes
    lanes = unsafe table.pointee.lanes
  }

  /// All kernels this CPU can run, best first.
  package static let supported = unsafe (0..<swl_groupwise_kernel_count())
    .map { unsafe swl_groupwise_kernel_at($0)! }
    .filter { unsafe CPU.supports($0.pointee.isa, feature: $0.pointee.feature) }
    .map { unsafe GroupwiseKernel($0) }

  /// The kernels in use.
  package static let float = current(.float)
  package static let bytes = current(.bytes)

  private static func current(_ operands: Operands) -> GroupwiseKernel {
    let fitting = supported.filter { $0.operands == operands }
    return fitting.first { $0.isa <= ISA.current } ?? fitting.last!
  }

  /// The number of terms in a group is a multiple of this, or the whole depth.
  package static let groupMultiple = 8
  /// The most terms of a group of bytes whose sum fits int32.
  package static let mostBytes = 1 << 18

  package func paddedColumns(_ columns: Int) -> Int {
    unsafe swl_groupwise_padded_columns(table, columns)
  }

  /// A matrix of codes 0…15, and the scales and zero points of its groups, with strides in
  /// elements.
  package struct Source {
    package var codes: [UInt8]
    package var codeRow, codeColumn: Int
    package var scales: [Float]
    package var zeros: [UInt8]
    package var scaleRow, scaleColumn: Int
    /// The zero point of rows of bytes.
    package var inputZero: UInt8 = 0

    package init(
      codes: [UInt8], codeRow: Int, codeColumn: Int, scales: [Float], zeros: [UInt8],
      scaleRow: Int, scaleColumn: Int
    ) {
      (self.codes, self.codeRow, self.codeColumn) = (codes, codeRow, codeColumn)
      (self.scales, self.zeros) = (scales, zeros)
      (self.scaleRow, self.scaleColumn) = (scaleRow, scaleColumn)
    }
  }

  /// The weights in the kernel's order.
  package func packed(_ source: Source, depth: Int, group: Int, columns: Int) -> AlignedMemory {
    precondition(
      (group == depth || group % Self.groupMultiple == 0)
        && (operands == .float || group <= Self.mostBytes), "group of \(group) terms")
    let groups = (depth + group - 1) / group
    func last(_ row: Int, _ rows: Int, _ column: Int) -> Int {
      (rows - 1) * row + (columns - 1) * column
    }
    let lastScale = last(source.scaleRow, groups, source.scaleColumn)
    precondition(
      last(source.codeRow, depth, source.codeColumn) < source.codes.count
        && lastScale < source.scales.count && lastScale < source.zeros.count,
      "\(depth)×\(columns) codes, scales or zero points do not fit")
    let memory = AlignedMemory(
      byteCount: unsafe swl_groupwise_packed_size(table, depth, group, columns))
    unsafe source.codes.withUnsafeBufferPointer { codes in
      unsafe source.scales.withUnsafeBufferPointer { scales in
        unsafe source.zeros.withUnsafeBufferPointer { zeros in
          var raw = unsafe swl_groupwise_source(
            codes: codes.baseAddress, code_row: source.codeRow, code_column: source.codeColumn,
            scales: scales.baseAddress, zeros: zeros.baseAddress, scale_row: source.scaleRow,
            scale_column: source.scaleColumn, in_zero: Int32(source.inputZero))
          unsafe swl_groupwise_pack(table, depth, group, columns, &raw, memory.base)
        }
      }
    }
    return memory
  }
}

/// A product of rows with packed 4-bit weights, ready to run: clamp(bias[n] + Σ_g scale[g][n] · Σ_k
/// (x[k] − inputZero) · (code[k][n] − zero[g][n])) in fp32.
///
/// A row gives the same bits in every batch of rows. `@unchecked Sendable`: the memory it points to
/// is its own and constant.
@safe
package struct GroupwiseProduct: @unchecked Sendable {
  package let kernel: GroupwiseKernel
  private let raw: swl_groupwise
  private let weights, bias: AlignedMemory

  /// - Parameter zero: The zero point of all groups and columns, if there is only one.
  package init(
    _ kernel: GroupwiseKernel, depth: Int, group: Int, columns: Int, weights: AlignedMemory,
    zero: UInt8?, bias: AlignedMemory, low: Float, high: Float
  ) {
    (self.kernel, self.weights, self.bias) = (kernel, weights, bias)
    let size = unsafe swl_groupwise_packed_size(kernel.table, depth, group, columns)
    precondition(
      weights.byteCount == size && bias.byteCount == 4 * kernel.paddedColumns(columns),
      "product of depth \(depth), \(columns) columns: weights or bias do not fit")
    unsafe raw = swl_groupwise(
      depth: depth, group: group, columns: columns, weights: weights.base,
      bias: bias.base.assumingMemoryBound(to: Float.self), low: low, high: high,
      zero: zero.map { Int32($0) } ?? -1)
  }

  /// The number of independent pieces of work.
  package func items(rows: Int) -> Int {
    unsafe withUnsafePointer(to: raw) { unsafe swl_groupwise_items(kernel.table, $0, rows) }
  }

  /// Computes some of the pieces; strides are in bytes.
  package func run(
    _ input: UnsafeRawPointer, stride: Int, into output: UnsafeMutableRawPointer,
    outputStride: Int, rows: Int, items: Range<Int>
  ) {
    unsafe withUnsafePointer(to: raw) {
      unsafe swl_groupwise_run(
        kernel.table, $0, input, stride, output, outputStride, rows, items.lowerBound,
        items.upperBound)
    }
  }
}
