// SPDX-License-Identifier: Apache-2.0

import SwiftletCharts
import Testing

struct DecimalTests {
  @Test(arguments: [
    (1.5, 2, "1.50"), (0.005, 2, "0.01"), (-0.004, 2, "0.00"), (-1.25, 1, "-1.3"), (2.5, 0, "3"),
    (999.9996, 3, "1000.000"), (0, 3, "0.000"), (1e14, 4, "100000000000000.0000"),
    (1e16, 1, "1e+16"), (-.infinity, 2, "-inf"), (.nan, 2, "nan"),
  ])
  func fixedKeepsAllDecimals(value: Double, decimals: Int, text: String) {
    #expect(fixed(value, decimals) == text)
  }

  @Test(arguments: [
    (0.12345, 3, "0.123"), (2, 3, "2.0"), (99.99951, 3, "100.0"), (-0.125, 2, "-0.13"),
    (2.5, 0, "3.0"), (.infinity, 2, "inf"),
  ])
  func roundedNumbersAreShort(value: Double, decimals: Int, text: String) {
    #expect("\(rounded(value, decimals))" == text)
  }

  @Test(arguments: [
    (1.5, 4, "1.5"), (2, 4, "2"), (0.12345, 4, "0.1235"), (100, 0, "100"), (-0.00001, 4, "0"),
    (-3.10, 2, "-3.1"), (1e20, 4, "1e+20"), (.infinity, 4, "inf"),
  ])
  func trimmedLeavesZerosOut(value: Double, decimals: Int, text: String) {
    #expect(trimmed(value, decimals) == text)
  }
}
