// SPDX-License-Identifier: Apache-2.0

/// bf16 as it is defined: the upper half of an fp32 number.
extension Float {
  init(bfloat bits: UInt16) { self.init(bitPattern: UInt32(bits) << 16) }

  /// Rounded to the nearest bf16, ties to even; numbers below 2^-126 to zero.
  var bfloat: UInt16 {
    let upper = UInt16(bitPattern >> 16)
    if isNaN { return upper | 0x40 }
    if isSubnormal { return upper & 0x8000 }
    let (below, rest) = (upper, bitPattern & 0xffff)
    return rest > 0x8000 || rest == 0x8000 && below % 2 == 1 ? below + 1 : below
  }
}
