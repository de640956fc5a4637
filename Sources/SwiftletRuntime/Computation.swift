// SPDX-License-Identifier: Apache-2.0

package import SwiftletKernels

/// What a step computes, and the kernel that does it. Profiles show ``description``; code reads the
/// properties.
package struct Computation: Sendable, Hashable, CustomStringConvertible {
  package enum Kind: Sendable, Hashable {
    /// A layer with constant weights.
    case weighted(Algorithm)
    case attention, pool, softmax, normalize
    case binary(BinaryFunction)
    case activate, addBF16, lookUp
    /// A product of two values.
    case batchedProduct
    case quantize, dequantize, f32ToBF16, bf16ToF32
    /// The ranges from which quantization in each run derives its scale.
    case range
    case copy
    /// Between the layout of the model's inputs or outputs and channels-last.
    case layout
    /// The border around a value, which nothing else writes.
    case border
    /// A node outside of segments, on the operator's reference implementation.
    case reference
  }

  package let kind: Kind
  /// The name of the kernel; `nil` if there is only one way to compute it.
  package let kernel: String?
  /// Whether the largest of 2×2 neighbouring results replaces them.
  package let isPooled: Bool

  package init(_ kind: Kind, _ kernel: String? = nil, isPooled: Bool = false) {
    (self.kind, self.kernel, self.isPooled) = (kind, kernel, isPooled)
  }

  /// The algorithm, for layers with constant weights.
  package var algorithm: Algorithm? {
    if case .weighted(let algorithm) = kind { algorithm } else { nil }
  }

  /// The numbers that weights are multiplied by, as ``Peaks`` distinguishes them; `nil` for layers
  /// without constant weights.
  package var operands: ProductKernel.Operands? {
    switch algorithm {
    case nil: nil
    case .product(let operands), .depthwise(let operands): operands
    case .winograd, .groupwise(.float): .float
    case .groupwise(.bytes): .integer
    }
  }

  package var description: String {
    [kind.name, kernel].compactMap { $0 }.joined(separator: " ") + (isPooled ? ", pool" : "")
  }
}

extension Computation.Kind {
  /// `nil` where the kernel's name says it.
  fileprivate var name: String? {
    switch self {
    case .weighted(.product), .weighted(.groupwise): nil
    case .weighted(.winograd(let m)): "winograd \(m)x\(m)"
    case .weighted(.depthwise(.bfloat)): "depthwise bf16"
    case .weighted(.depthwise): "depthwise"
    case .attention: "attention"
    case .pool: "pool"
    case .softmax: "softmax"
    case .normalize: "normalize"
    case .binary(let function): "\(function)"
    case .batchedProduct: "product"
    case .activate: "activate"
    case .addBF16: "add bf16"
    case .lookUp: "look up"
    case .quantize: "quantize"
    case .dequantize: "dequantize"
    case .f32ToBF16: "convert f32 to bf16"
    case .bf16ToF32: "convert bf16 to f32"
    case .range: "range"
    case .copy: "copy"
    case .layout: "layout"
    case .border: "fill"
    case .reference: "reference"
    }
  }
}
