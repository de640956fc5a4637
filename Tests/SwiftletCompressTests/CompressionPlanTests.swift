// SPDX-License-Identifier: Apache-2.0
import SwiftletCompress
import SwiftletCore
import SwiftletGraph
import Testing

struct CompressionPlanTests {
  /// Every usual technique has its figures, and answers nothing but sizes and times.
  @Test func usualRecipesHaveRows() throws {
    var model = ModelBuilder(seed: 2, input: [32, 8, 8])
    model.conv("x", "a", (32, 64))
    model.node("Relu", ["a"], "b")
    model.node("GlobalAveragePool", ["b"], "p")
    model.node("Flatten", ["p"], "f")
    model.weights("w", [64, 96])
    model.node("MatMul", ["f", "w"], "y")
    model.output("y", [96])
    let plan = try CompressionPlan(model.graph, CompressionPlan.usual, threads: .serial)
    #expect(plan.rows.map(\.name) == ["now"] + CompressionPlan.usual.map(\.name))
    for row in plan.rows {
      #expect(row.remark == nil && row.fileBytes != nil, "\(row.name): \(row.remark ?? "")")
      #expect(row.latencyMs != nil && row.imagesPerSecond != nil, "\(row.name)")
    }
    let bytes = Dictionary(uniqueKeysWithValues: plan.rows.map { ($0.name, $0.fileBytes ?? 0) })
    let techniques = ["svd", "lowrank", "eigen", "prune", "quantize"]
    #expect(plan.rows.map(\.name).starts(with: ["now"] + techniques))
    for name in techniques { #expect(bytes[name]! < bytes["now"]!, "\(name)") }
    #expect(plan.batch >= 1 && plan.batch <= 32)
  }
}
