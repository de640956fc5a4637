// SPDX-License-Identifier: Apache-2.0

/// bf16: the upper half of an fp32 number, with eight bits of precision. It has no Swift type;
/// values are fp32 numbers that fit in bf16.
extension Float {
  /// The nearest bf16 number, ties to even; NaN stays NaN.
  package var roundedToBFloat: Float {
    if isNaN { return self }
    let rounded = bitPattern &+ 0x7fff &+ (bitPattern >> 16 & 1)
    return Float(bitPattern: rounded & 0xffff_0000)
  }

  /// Whether the value is a bf16 number.
  package var isBFloat: Bool { bitPattern & 0xffff == 0 }
}
