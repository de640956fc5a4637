// SPDX-License-Identifier: Apache-2.0

internal import CSwiftletKernels

/// What training spends its time on besides matrix products, forward and backward: memory-bound
/// operations on contiguous arrays and planes of fp32, with the kernels of one tier.
///
/// `@unchecked Sendable`: a table of constant function pointers.
@safe
package struct TrainingKernel: @unchecked Sendable {
  package let name: String
  package let isa: ISA
  private let table: swl_training_kernel

  private init(_ table: swl_training_kernel) {
    unsafe name = String(cString: table.name)
    unsafe isa = ISA(table.isa)
    unsafe self.table = table
  }

  /// All kernels this CPU can run, best first.
  package static let supported = unsafe (0..<swl_training_kernel_count())
    .map { unsafe swl_training_kernel_at($0).pointee }
    .filter { unsafe CPU.supports($0.isa, feature: $0.feature) }
    .map { unsafe TrainingKernel($0) }

  /// The kernel in use.
  package static let current = supported.first { $0.isa <= ISA.current } ?? supported.last!

  package func add(_ x: Span<Float>, to y: inout MutableSpan<Float>) {
    precondition(x.count == y.count, "add: \(x.count) to \(y.count) elements")
    unsafe x.withUnsafeBufferPointer { x in
      unsafe y.withUnsafeMutableBufferPointer { y in
        unsafe table.add_f32(x.count, x.baseAddress, y.baseAddress)
      }
    }
  }

  package func sum(_ x: Span<Float>) -> Float {
    unsafe x.withUnsafeBufferPointer { unsafe table.sum_f32($0.count, $0.baseAddress) }
  }

  package func relu(_ x: inout MutableSpan<Float>) {
    unsafe x.withUnsafeMutableBufferPointer { unsafe table.relu_f32($0.count, $0.baseAddress) }
  }

  package func reluGradient(_ y: Span<Float>, _ slope: inout MutableSpan<Float>) {
    precondition(y.count == slope.count, "relu: \(slope.count) slopes for \(y.count) outputs")
    unsafe y.withUnsafeBufferPointer { y in
      unsafe slope.withUnsafeMutableBufferPointer { slope in
        unsafe table.relu_gradient_f32(y.count, y.baseAddress, slope.baseAddress)
      }
    }
  }

  package func maxPool2(
    _ x: Span<Float>, height: Int, width: Int, into y: inout MutableSpan<Float>
  ) {
    precondition(
      x.count == 4 * y.count && y.count == height * width, "maxPool2: \(x.count) into \(y.count)")
    unsafe x.withUnsafeBufferPointer { x in
      unsafe y.withUnsafeMutableBufferPointer { y in
        unsafe table.max_pool2_f32(height, width, x.baseAddress, y.baseAddress)
      }
    }
  }

  package func maxPool2Gradient(
    _ x: Span<Float>, _ slope: Span<Float>, height: Int, width: Int,
    into dx: inout MutableSpan<Float>
  ) {
    precondition(
      x.count == 4 * slope.count && dx.count == x.count && slope.count == height * width,
      "maxPool2Gradient: \(slope.count) slopes for \(x.count) elements")
    unsafe x.withUnsafeBufferPointer { x in
      unsafe slope.withUnsafeBufferPointer { slope in
        unsafe dx.withUnsafeMutableBufferPointer { dx in
          unsafe table.max_pool2_gradient_f32(
            height, width, x.baseAddress, slope.baseAddress, dx.baseAddress)
        }
      }
    }
  }
}
