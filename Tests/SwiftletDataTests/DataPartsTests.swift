// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletData
import SwiftletFiles
import SwiftletFormats
import Testing
import _SwiftletTestSupport

/// What is judged on was not trained with.
struct DataPartsTests {
  /// Images that all differ: 40 to train with and 20 to test on.
  private func put(_ folder: String, test: Bool = true) throws {
    var parts = [("train", 40, UInt64(1))]
    if test { parts.append(("t10k", 20, 2)) }
    for (part, count, seed) in parts {
      var generator = RandomGenerator(seed: seed)
      let pixels = (0..<count * 16).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
      try IDX.write(Tensor([count, 4, 4], pixels), to: "\(folder)/\(part)-images-idx3-ubyte")
      try IDX.write(
        Tensor([count], (0..<count).map { UInt8($0 % 4) }),
        to: "\(folder)/\(part)-labels-idx1-ubyte")
    }
  }

  private func pictures(_ data: ImageDataset) -> Set<[UInt8]> {
    let all = data.packed!.contiguous().elements
    return Set((0..<data.count).map { Array(all[$0 * 16..<($0 + 1) * 16]) })
  }

  @Test(arguments: [
    ("", 40, 20, false), ("[0..<10]", 10, 10, false), (":train", 40, 20, false),
    (":train[0..<10]", 10, 20, false), (":test", 16, 4, true), (":test[0..<10]", 8, 2, true),
    (":test[5..<7]", 1, 1, true), (":test[5..<6]", 0, 0, true),
  ])
  func partsAreDisjoint(spec: String, training: Int, validation: Int, divides: Bool) throws {
    try withTemporaryFolder { folder in
      try put(folder)
      let spec = try DataSpec(parsing: "idx:\(folder)\(spec)")
      guard training > 0 else {
        let error = #expect(throws: SwiftletError.self) { try DataParts(spec, seed: 0) }
        #expect(error?.description.contains("--judge") == true)
        return
      }
      let parts = try DataParts(spec, seed: 0)
      #expect((parts.training.count, parts.validation.count) == (training, validation))
      #expect(pictures(parts.training).isDisjoint(with: pictures(parts.validation)))
      #expect(parts.shared == 0 && parts.warning == nil)
      #expect((parts.split != nil) == divides)
      #expect((parts.remark?.contains("the test part was selected") ?? false) == divides)
    }
  }

  @Test func withoutATestPartImagesAreDivided() throws {
    try withTemporaryFolder { folder in
      try put(folder, test: false)
      let parts = try DataParts(DataSpec(parsing: "idx:\(folder):train"), seed: 3)
      #expect((parts.training.count, parts.validation.count) == (32, 8))
      #expect(parts.remark?.hasPrefix("there is no test part") == true)
      // Nobody asked for it: the file that is missing is named.
      #expect(throws: SwiftletError.self) {
        try DataParts(DataSpec(parsing: "idx:\(folder)"), seed: 3)
      }
      let half = try DataParts(DataSpec(parsing: "idx:\(folder)"), split: 0.5, seed: 3)
      #expect((half.training.count, half.validation.count, half.split) == (20, 20, 0.5))
      #expect(pictures(half.training).isDisjoint(with: pictures(half.validation)))
    }
  }

  @Test(arguments: [
    ("", ":train", 40), (":train[0..<10]", ":train[9..<30]", 1), (":test", ":test[50%]", 10),
    ("", ":train[39..<40]", 1),
  ])
  func overlapIsRefused(data: String, judge: String, shared: Int) throws {
    try withTemporaryFolder { folder in
      try put(folder)
      let error = #expect(throws: SwiftletError.self) {
        try DataParts(
          DataSpec(parsing: "idx:\(folder)\(data)"),
          judge: DataSpec(parsing: "idx:\(folder)\(judge)"), seed: 0)
      }
      #expect(error?.description.contains("\(shared) of the") == true)
    }
  }

  @Test func othersMayJudge() throws {
    try withTemporaryFolder { folder in
      try put(folder)
      let parts = try DataParts(
        DataSpec(parsing: "idx:\(folder):train[0..<10]"),
        judge: DataSpec(parsing: "idx:\(folder):train[10..<30]"), seed: 0)
      #expect((parts.training.count, parts.validation.count, parts.shared) == (10, 20, 0))
    }
  }

  @Test func comparingSamplesCanBeCancelled() throws {
    let arrays = InputArrays(["x": .float32(Tensor([10, 2], (0..<20).map(Float.init)))])
    let data = ImageDataset(name: "arrays", arrays: arrays)
    #expect(throws: CancellationError.self) {
      try DataParts(data, judging: data, seed: 0) { progress in
        #expect(progress.task == "compare samples" && progress.total == 10)
        throw CancellationError()
      }
    }
  }

  /// The same pictures in another folder, or in both parts.
  @Test func copiesAreFound() throws {
    try withTemporaryFolder { folder in
      try put(folder)
      try withTemporaryFolder { copy in
        try put(copy, test: false)
        #expect(throws: SwiftletError.self) {
          try DataParts(
            DataSpec(parsing: "idx:\(folder)"), judge: DataSpec(parsing: "idx:\(copy):train"),
            seed: 0)
        }
      }
      for kind in ["images-idx3", "labels-idx1"] {
        try AtomicFile.write(
          try InputFile.read("\(folder)/train-\(kind)-ubyte"), to: "\(folder)/t10k-\(kind)-ubyte")
      }
      let parts = try DataParts(DataSpec(parsing: "idx:\(folder)"), seed: 0)
      #expect(parts.shared == 40 && parts.warning?.contains("40 of the 40") == true)
    }
  }
}
