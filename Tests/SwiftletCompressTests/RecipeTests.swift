import SwiftletCompress
import SwiftletCore
import SwiftletFormats
import Testing
import _SwiftletTestSupport

struct RecipeTests {
  private func parse(_ text: String) throws -> Recipe {
    try withTemporaryFolder { folder in
      try AtomicFile.write(text, to: "\(folder)/recipe.yaml")
      return try Recipe(yaml: "\(folder)/recipe.yaml")
    }
  }

  @Test func settingsAreRead() throws {
    let recipe = try parse(
      """
      steps:
        - technique: lowrank
          ratio: 0.25
        - {technique: distill, epochs: 2, temperature: 3, alpha: 1, learningRate: 1e-4}
        - technique: quantize
          calibrationImages: 64
      """)
    #expect(recipe.steps.map(\.technique) == [.lowrank, .distill, .quantize])
    #expect(recipe.steps[0].ratio == 0.25)
    #expect(recipe.steps[1].epochs == 2)
    #expect(recipe.steps[1].temperature == 3)
    #expect(recipe.steps[1].learningRate == 1e-4)
    #expect(recipe.steps[2].calibrationImages == 64)
  }

  @Test(arguments: [
    ("", "steps"), ("steps: []", "steps"), ("steps: {a: 1}", "steps"), ("[1, 2]", "steps"),
    ("steps: [{ratio: 1}]", "technique"), ("steps: [{technique: magic}]", "magic"),
    ("steps: [{technique: svd, rank: 3}]", "rank"),
    ("steps: [{technique: svd, ratio: 7}]", "ratio"),
    ("steps: [{technique: svd, ratio: half}]", "ratio"),
    ("steps: [{technique: distill, epochs: 1.5}]", "epochs"),
    ("steps: [{technique: svd}]\nmore: 1", "steps"), ("steps: [", "YAML"),
  ])
  func mistakesAreNamed(text: String, fragment: String) {
    let error = #expect(throws: SwiftletError.self) { try parse(text) }
    #expect(error?.code == .badInput)
    #expect(error?.description.contains(fragment) == true, "\(String(describing: error))")
  }
}
