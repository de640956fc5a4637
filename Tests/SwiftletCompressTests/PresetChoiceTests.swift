// SPDX-License-Identifier: Apache-2.0

import SwiftletCompress
import Testing

struct PresetChoiceTests {
  private func choice(_ options: [(Double?, Double)]) -> Int? {
    PresetChoice.index(
      options.map { PresetChoice.Option(speedup: $0.0, accuracy: $0.1, isAccurate: $0.1 >= 20) })
  }

  @Test func theFastestThatIsAccurateIsTaken() {
    #expect(choice([(3, 30), (2, 40), (1.1, 50)]) == 0)
    // Slower than int8 alone, and poor.
    #expect(choice([(0.76, 26.8), (1.9, 35), (0.9, 50)]) == 1)
    #expect(choice([(1.17, 12.4), (1.1, 30), (0.9, 50)]) == 1)
    // About as fast: the better answers.
    #expect(choice([(2.02, 25), (2, 40)]) == 1)
  }

  @Test func nothingSlowerThanTheOriginalIs() {
    #expect(choice([(0.8, 30), (0.99, 40)]) == nil)
    #expect(choice([(0.8, 30), (1.5, 12), (1.2, 15)]) == 2)
    #expect(choice([(1.5, -.infinity), (0.5, 40)]) == 0)
  }

  @Test func withoutTimesTheWholeRecipeIsIfItIsAccurate() {
    #expect(choice([(nil, 21), (nil, 40), (nil, 50)]) == 0)
    #expect(choice([(nil, 19), (nil, 40), (nil, 50)]) == 1)
    #expect(choice([(nil, 10), (nil, 12)]) == 1)
  }

  private func verdict(
    changed: Bool = true, _ bytes: (Int, Int) = (100, 30), speedup: Double? = 2,
    decibels: Double? = 40, drop: Double? = nil
  ) throws -> CompressionVerdict {
    let model = ModelBuilder.residual(seed: 1)
    let context = CompressionContext(original: model)
    let step = CompressionStep.quantize { $0.mode = .weightOnly }
    let layers = changed ? try Compressor(context).apply(Recipe([step])).layers : []
    return CompressionVerdict(
      layers: layers, bytes: (bytes.0, bytes.1), speedup: speedup, decibels: decibels, drop: drop)
  }

  @Test func verdictsNameWhatIsWrong() throws {
    #expect(try verdict().concerns == [])
    #expect(try verdict().text == "2.0 times as fast, 0.3 of the size, 40.0 dB")
    #expect(try verdict(changed: false).concerns == [.unchanged])
    #expect(try verdict(speedup: 0.86).concerns == [.slower])
    #expect(try verdict(speedup: 0.98).concerns == [])
    #expect(try verdict((100, 101)).concerns == [.larger])
    #expect(try verdict(decibels: 12.4).concerns == [.inaccurate])
    #expect(try verdict(decibels: -.infinity).text.contains("not finite"))
    #expect(try verdict(decibels: nil, drop: 2.5).concerns == [.inaccurate])
    #expect(try verdict(speedup: nil, decibels: nil, drop: -0.4).concerns == [])
    let all = try verdict((1, 2), speedup: 0.5, decibels: 3)
    #expect(all.concerns == [.slower, .larger, .inaccurate])
    #expect(all.text.contains("0.5 times its speed") && !all.text.contains("\n"))
  }

  /// The same model is no faster, slower or larger than itself, however it was timed and written.
  @Test(arguments: [0.01, 0.9, 1, 1.4], [(100, 108), (100, 100), (100, 90)])
  func unchangedModelsAreNothingElse(speedup: Double, bytes: (Int, Int)) throws {
    let same = try verdict(changed: false, bytes, speedup: speedup, decibels: 200)
    #expect(same.concerns == [.unchanged])
    #expect(same.text == "nothing changed; 200.0 dB")
  }
}
