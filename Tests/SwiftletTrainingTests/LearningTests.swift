// SPDX-License-Identifier: Apache-2.0

import Foundation
import OrderedCollections
import SwiftletCore
import SwiftletData
import SwiftletFormats
import SwiftletGraph
import SwiftletTraining
import Testing
import _SwiftletTestSupport

struct LearningTests {
  // MARK: Losses

  @Test func crossEntropyOfEqualLogitsIsTheLogarithmOfTheClasses() {
    let (value, gradient) = CrossEntropy()(Tensor<Double>(zeros: [2, 4]), [0, 3])
    #expect(abs(value - log(4)) < 1e-12)
    #expect(gradient.elements.map { ($0 * 8).rounded() } == [-3, 1, 1, 1, 1, 1, 1, -3])
  }

  @Test(arguments: [0.0, 0.1])
  func lossGradientsAgreeWithDifferences(smoothing: Double) {
    var generator = RandomGenerator(seed: 2)
    let logits = Tensor<Double>([3, 5], normalUsing: &generator)
    let teacher = Tensor<Double>([3, 5], normalUsing: &generator)
    let labels = [4, 0, 2]
    let hard = CrossEntropy(labelSmoothing: smoothing)
    let soft = DistillationLoss(temperature: 3, alpha: 0.6, labelSmoothing: smoothing)
    let losses: [(Tensor<Double>) -> (value: Double, gradient: Tensor<Double>)] = [
      { hard($0, labels) }, { soft($0, teacher: teacher, labels) },
    ]
    for loss in losses {
      let gradient = loss(logits).gradient.elements
      for i in 0..<15 {
        var (up, down) = (logits.elements, logits.elements)
        up[i] += 1e-5
        down[i] -= 1e-5
        let numeric = (loss(Tensor([3, 5], up)).value - loss(Tensor([3, 5], down)).value) / 2e-5
        #expect(abs(gradient[i] - numeric) < 1e-8)
      }
    }
  }

  @Test func aStudentThatAgreesWithItsTeacherHasNoSoftLoss() {
    let logits = Tensor<Double>([1, 3], [1, 2, 3])
    let (value, gradient) = DistillationLoss(temperature: 4, alpha: 1)(logits, teacher: logits, [0])
    #expect(abs(value) < 1e-12)
    #expect(gradient.elements.allSatisfy { abs($0) < 1e-12 })
  }

  // MARK: Optimisers, against their papers' formulas written out in double precision

  @Test(arguments: OptimizerKind.allCases, [0.0, 0.1])
  func updatesFollowTheFormulas(kind: OptimizerKind, decay: Double) {
    let rate = 0.05
    let settings = OptimizerSettings(kind, weightDecay: decay)
    var optimizer = Optimizer(settings)
    var parameters = ["w": Tensor<Float>([1], [0.5])]
    var (w, m, v, product) = (0.5, 0.0, 0.0, 1.0)
    for t in 1...20 {
      let g = cos(Double(t))
      optimizer.update(
        &parameters, gradients: ["w": Tensor([1], [Float(g)])], learningRate: rate)
      let slope = kind == .adamw ? g : g + decay * w
      switch kind {
      case .sgd:
        m = 0.9 * m + slope
        w -= rate * m
      case .adam, .adamw:
        if kind == .adamw { w -= rate * decay * w }
        m = 0.9 * m + 0.1 * slope
        v = 0.999 * v + 0.001 * slope * slope
        w -= rate * (m / (1 - pow(0.9, Double(t)))) / (sqrt(v / (1 - pow(0.999, Double(t)))) + 1e-8)
      case .nadam:
        let now = 0.9 * (1 - 0.5 * pow(0.96, Double(t) * 0.004))
        let next = 0.9 * (1 - 0.5 * pow(0.96, Double(t + 1) * 0.004))
        product *= now
        m = 0.9 * m + 0.1 * slope
        v = 0.999 * v + 0.001 * slope * slope
        let root = sqrt(v / (1 - pow(0.999, Double(t)))) + 1e-8
        w -= rate * ((1 - now) * slope / (1 - product) + next * m / (1 - product * next)) / root
      }
      #expect(abs(Double(parameters["w"]!.elements[0]) - w) < 2e-5)
    }
  }

  // MARK: Schedules

  @Test func cosineFallsFromItsRateToItsFloor() {
    let schedule = LearningRateSchedule(.cosine, rate: 1, floor: 0.1)
    func rate(_ step: Int) -> Double { schedule.rate(step: step, stepsPerEpoch: 10, epochs: 4) }
    #expect(rate(0) == 1)
    #expect(abs(rate(20) - 0.55) < 1e-12)
    #expect(abs(rate(40) - 0.1) < 1e-12)
    #expect((1...40).allSatisfy { rate($0) <= rate($0 - 1) })
  }

  @Test func warmRestartsComeBackAndStretch() {
    let schedule = LearningRateSchedule(.cosine, rate: 1, period: 1, stretch: 2)
    func rate(_ step: Int) -> Double { schedule.rate(step: step, stepsPerEpoch: 10, epochs: 9) }
    #expect(rate(10) == 1)
    #expect(rate(30) == 1)
    #expect(abs(rate(20) - 0.5) < 1e-12)
    #expect(rate(9) < 0.05)
  }

  @Test func warmUpClimbs() {
    let schedule = LearningRateSchedule(.constant, rate: 2, warmup: 1)
    let rates = (0...12).map { schedule.rate(step: $0, stepsPerEpoch: 10, epochs: 3) }
    #expect(rates[0] > 0 && rates[0] < 0.3)
    #expect(zip(rates, rates[1...10]).allSatisfy(<))
    #expect(rates[10...] == [2, 2, 2])
  }

  @Test func stepsFallByTheirFactor() {
    let schedule = LearningRateSchedule(.step, rate: 1, period: 2, decay: 0.5)
    func rate(_ epoch: Int) -> Double {
      schedule.rate(step: epoch * 10, stepsPerEpoch: 10, epochs: 9)
    }
    #expect((0..<5).map(rate) == [1, 1, 0.5, 0.5, 0.25])
  }

  // MARK: Images

  @Test func imagesArePaddedRepeatedAndNormalised() throws {
    let images = Tensor<UInt8>([1, 1, 28, 28], repeating: 255)
    let data = try ImageDataset(name: "white", images: images, labels: [0], classCount: 1)
    let preprocessing = try Preprocessing(for: SeedCNN.make(classes: 10, seed: 0), images: data)
    let batch = try preprocessing.batch(data, [0], threads: .serial)
    #expect(batch.shape == [1, 3, 32, 32])
    let (mean, deviation): ([Float], [Float]) = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    for channel in 0..<3 {
      let (black, white) = (
        (0 - mean[channel]) / deviation[channel], (1 - mean[channel]) / deviation[channel]
      )
      #expect(batch[0, channel, 0, 5] == black)
      #expect(batch[0, channel, 1, 1] == black)
      #expect(batch[0, channel, 2, 2] == white)
      #expect(batch[0, channel, 29, 29] == white)
      #expect(batch[0, channel, 30, 29] == black)
    }
  }

  @Test func preprocessingIsKeptInTheModel() throws {
    var graph = SeedCNN.make(classes: 10, seed: 0)
    let data = try pictures(4)
    let preprocessing = try Preprocessing(for: graph, images: data)
    preprocessing.store(in: &graph)
    let copy = try ONNXFile.decode(ONNXFile.encode(graph))
    #expect(try Preprocessing.stored(in: copy, images: data) == preprocessing)
    graph.metadata[Preprocessing.metadataKey] = "{\"channels\": 99999999}"
    #expect(throws: SwiftletError.self) { try Preprocessing.stored(in: graph, images: data) }
  }

  @Test func movesShiftAndMirror() throws {
    var images = Tensor<UInt8>(zeros: [1, 1, 4, 4])
    images[0, 0, 1, 0] = 255
    let data = try ImageDataset(name: "dot", images: images, labels: [0], classCount: 1)
    var graph = smallNetwork()
    graph.inputs[0].dimensions = [.symbolic("N"), .fixed(1), .fixed(4), .fixed(4)]
    let preprocessing = try Preprocessing(for: graph, images: data)
    func dot(_ move: Augmentation.Move) throws -> [Int] {
      let batch = try preprocessing.batch(data, [0], moves: [move], threads: .serial)
      return batch.elements.indices.filter { batch.elements[$0] > 0 }
    }
    #expect(try dot(.none) == [4])
    #expect(try dot(.init(down: 1, right: 2, isFlipped: false)) == [10])
    #expect(try dot(.init(down: 0, right: 0, isFlipped: true)) == [7])
    #expect(try dot(.init(down: -2, right: 0, isFlipped: false)) == [])
  }

  @Test func largeDifferencesInSizeAreInterpolated() throws {
    let (images, labels) = Pictures.make(count: 1, classes: 1, channels: 3, size: 12)
    let data = try ImageDataset(name: "small", images: images, labels: labels, classCount: 1)
    let preprocessing = try Preprocessing(for: SeedCNN.make(classes: 2, seed: 0), images: data)
    #expect(preprocessing.fit == .resize)
    let batch = try preprocessing.batch(data, [0], threads: .serial)
    #expect(batch.shape == [1, 3, 32, 32])
    // The bright square is still in the upper left corner.
    #expect(batch[0, 0, 4, 4] > 0.5 && batch[0, 0, 28, 28] < -0.5)
  }

  // MARK: Curves

  @Test func curvesAreWrittenAsJSONAndPicture() throws {
    var trainer = try Trainer(
      smallNetwork(), training: try pictures(20), validation: try pictures(20),
      settings: TrainingSettings(epochs: 2, batch: 10))
    let history = try trainer.run().history
    let copy = try JSONDecoder().decode(TrainingHistory.self, from: Data(history.json().utf8))
    #expect(copy == history)
    let svg = history.svg(title: "a < b & c")
    #expect(svg.hasPrefix("<svg") && svg.hasSuffix("</svg>\n"))
    #expect(svg.contains("a &lt; b &amp; c"))
    #expect(svg.components(separatedBy: "<polyline").count == 5)
  }
}
