/// In what a session multiplies fp32 numbers.
public enum Precision: String, Sendable, CaseIterable {
  case fp32
  /// Convolutions and matrix products with constant weights round both factors to bf16, eight bits of
  /// mantissa, and add in fp32; what lies between such layers is rounded too. Twice as fast where the
  /// processor has instructions for it. Integer layers are what they are in fp32.
  case bf16
}
