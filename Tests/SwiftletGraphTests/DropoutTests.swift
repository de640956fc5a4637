// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletGraph
import Testing

struct DropoutTests {
  private let x = AnyTensor(Tensor<Float>([3], [1, -2, 3]))
  private let ratio = AnyTensor(Tensor<Float>([], [0.5]))

  @Test func nothingIsDroppedOutsideOfTraining() throws {
    #expect(try compute("Dropout", [x]) == [x])
    let mask = AnyTensor(Tensor<Bool>([3], repeating: true))
    #expect(try compute("Dropout", [x, ratio], outputs: 2) == [x, mask])
    let off = AnyTensor(Tensor<Bool>([], [false]))
    #expect(try compute("Dropout", [x, ratio, off]) == [x])
  }

  @Test func trainingModeIsRefused() throws {
    let on = AnyTensor(Tensor<Bool>([], [true]))
    #expect(throws: SwiftletError.self) { try compute("Dropout", [x, ratio, on]) }
    #expect(throws: SwiftletError.self) { try compute("Dropout", [x, ratio, x]) }
    #expect(throws: SwiftletError.self) { try compute("Dropout", [x, nil, on]) }
    // Nothing is up to chance if nothing is dropped.
    #expect(try compute("Dropout", [x, floats([], [0]), on]) == [x])
  }
}
