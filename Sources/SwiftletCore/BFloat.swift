/// bf16: the upper half of an fp32 number, eight bits of precision. There is no type for it; values are fp32
/// that happen to be such numbers.
extension Float {
  /// The nearest bf16 number, the even one of two; NaN stays as it is.
  package var roundedToBFloat: Float {
    if isNaN { return self }
    let rounded = bitPattern &+ 0x7fff &+ (bitPattern >> 16 & 1)
    return Float(bitPattern: rounded & 0xffff_0000)
  }

  /// Whether it is a bf16 number.
  package var isBFloat: Bool { bitPattern & 0xffff == 0 }
}
