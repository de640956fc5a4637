// SPDX-License-Identifier: Apache-2.0

/// The precision in which a session multiplies fp32 numbers.
public enum Precision: String, Sendable, CaseIterable {
  case fp32
  /// Convolutions and matrix products with constant weights round both factors to bf16, with eight
  /// bits of precision, and accumulate in fp32; values between such layers are rounded too. Twice
  /// as fast if the processor has bf16 instructions. Integer layers are computed as in fp32.
  case bf16
}
