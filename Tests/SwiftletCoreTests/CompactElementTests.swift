// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import Testing

struct CompactElementTests {
  /// Every pattern of bits stands for a number that is converted back to it.
  private func roundTrip<N: CompactElement>(_: N.Type) {
    for pattern in 0..<1 << N.bitWidth {
      let element = N(bits: UInt8(pattern))
      let value = element.asDouble
      guard !value.isNaN, value.isFinite else { continue }
      #expect(N(converting: value) == element, "\(N.dtype): \(pattern) is \(value)")
    }
  }

  @Test(arguments: DType.allCases.filter { $0.compactType != nil })
  func everyNumberComesBack(dtype: DType) {
    roundTrip(dtype.compactType!)
    #expect(dtype.elementType.zero.asDouble == 0)
    #expect(dtype.elementType.one.asDouble == 1)
  }

  @Test func bitsStandForTheNumbersOfTheirFormats() {
    #expect(Float8E4M3FN(bits: 0x7e).asDouble == 448)
    #expect(Float8E4M3FN(bits: 0x01).asDouble == 0x1p-9)
    #expect(Float8E4M3FN(bits: 0xff).asDouble.isNaN)
    #expect(Float8E4M3FNUZ(bits: 0x7f).asDouble == 240)
    #expect(Float8E4M3FNUZ(bits: 0x80).asDouble.isNaN)
    #expect(Float8E5M2(bits: 0x7b).asDouble == 57344)
    #expect(Float8E5M2(bits: 0xfc).asDouble == -.infinity)
    #expect(Float8E5M2FNUZ(bits: 0x7f).asDouble == 57344)
    #expect((0..<8).map { Float4E2M1(bits: $0).asDouble } == [0, 0.5, 1, 1.5, 2, 3, 4, 6])
    #expect((0..<16).map { Int(Int4(bits: $0).asInt64) } == Array(0..<8) + Array(-8..<0))
    #expect((0..<4).map { Int(Int2(bits: $0).asInt64) } == [0, 1, -2, -1])
  }

  @Test func numbersAreRoundedToEvenAndLimited() {
    #expect(Float4E2M1(converting: 2.5).asDouble == 2)
    #expect(Float4E2M1(converting: 3.5).asDouble == 4)
    #expect(Float4E2M1(converting: 5.0).asDouble == 4)
    #expect(Float4E2M1(converting: -1e300).asDouble == -6)
    #expect(Float8E4M3FN(converting: 464.0).asDouble == 448)
    #expect(Float8E4M3FN(rounding: 464, saturates: false).asDouble == 448)
    #expect(Float8E4M3FN(rounding: 465, saturates: false).asDouble.isNaN)
    #expect(Float8E5M2(rounding: 1e9, saturates: false).asDouble == .infinity)
    #expect(Float8E5M2(converting: .infinity).asDouble == 57344)
    #expect(Float8E5M2FNUZ(rounding: -1e9, saturates: false).asDouble.isNaN)
    #expect(Float8E4M3FNUZ(converting: -0.0).bits == 0)
    #expect(Float8E4M3FN(converting: -0.0).bits == 0x80)
    #expect(Float8E4M3FN(converting: .nan).asDouble.isNaN)
    #expect(Int4(converting: 99.0).asInt64 == 7)
    #expect(Int4(converting: Double.nan).asInt64 == 0)
    #expect(UInt4(converting: -3.0).asInt64 == 0)
    #expect(Int4(converting: Int64(9)).asInt64 == -7)
  }

  @Test func shortElementsShareBytesFromTheLowestBits() {
    var bytes: [UInt8] = []
    AnyTensor(Tensor<Int4>([3], [1, -2, 7].map { Int4(converting: Int64($0)) }))
      .appendBytes(to: &bytes)
    #expect(bytes == [0xe1, 0x07])
    bytes = []
    AnyTensor(Tensor<UInt2>([5], (0..<5).map { UInt2(converting: Int64($0)) }))
      .appendBytes(to: &bytes)
    #expect(bytes == [0b1110_0100, 0])
    #expect(
      AnyTensor(.uint2, [5], bytes: bytes.span).converted(to: .uint8)
        == .uint8(Tensor([5], [0, 1, 2, 3, 0])))
  }
}
