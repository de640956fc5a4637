// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
import SwiftletData
import SwiftletFiles
import SwiftletGraph
import Synchronization
import Testing
import _SwiftletTestSupport

/// Values that are made ahead, and pictures that are read so.
@Suite struct LoaderTests {
  private struct Broken: Error, Equatable {
    let position: Int
  }

  /// What happened so far.
  private final class Tally: Sendable {
    struct Counts {
      /// Values whose making has begun, those that were asked for, and the largest difference.
      var begun = 0, asked = 0, ahead = 0
    }

    private let counts = Mutex(Counts())

    var now: Counts { counts.withLock { $0 } }
    func ask() { counts.withLock { $0.asked += 1 } }
    func begin() {
      counts.withLock { counts in
        counts.begun += 1
        counts.ahead = max(counts.ahead, counts.begun - counts.asked)
      }
    }
  }

  @Test(arguments: [0, 1, 2, 5], [0, 1, 3, 1000])
  func valuesComeInOrderAndEachIsMadeOnce(workers: Int, capacity: Int) throws {
    let tally = Tally()
    let values = ReadAhead(5..<300, capacity: capacity) { position in
      tally.begin()
      return position * position
    }
    try values.run(workers: workers) {
      for position in 5..<300 {
        tally.ask()
        let value = try values.take(position)
        #expect(value == position * position)
      }
    }
    #expect(tally.now.begun == 295)
    #expect(tally.now.ahead <= max(1, capacity))
  }

  /// Every worker waits for room: nobody takes a value until all that fit are made.
  @Test(arguments: [1, 3])
  func workersStopWhereThereIsNoRoom(workers: Int) throws {
    let tally = Tally()
    let full = WaitingLock()
    let values = ReadAhead(0..<100, capacity: 4) { position in
      full.withLock {
        tally.begin()
        full.wakeAll()
      }
      return position
    }
    try values.run(workers: workers) {
      full.withLock { while tally.now.begun < 4 { full.wait() } }
      for position in 0..<100 {
        tally.ask()
        let value = try values.take(position)
        #expect(value == position)
      }
    }
    #expect(tally.now.ahead == 4)
  }

  @Test(arguments: [0, 1, 5])
  func severalTakeInAnyOrder(workers: Int) {
    let tally = Tally()
    let values = ReadAhead(0..<300, capacity: 7) { position in
      tally.begin()
      return position
    }
    values.run(workers: workers) {
      onThreads(3) { thread in
        for position in stride(from: 299 - thread, through: 0, by: -3) {
          #expect((try? values.take(position)) == position)
        }
      }
    }
    #expect(tally.now.begun == 300)
  }

  @Test(arguments: [0, 1, 2, 5])
  func aValueThatWasTakenIsMadeAgain(workers: Int) throws {
    let values = ReadAhead(0..<3, capacity: 2) { $0 + 1 }
    try values.run(workers: workers) {
      for position in [2, 2, 0, 1, 0, 2] {
        let value = try values.take(position)
        #expect(value == position + 1)
      }
    }
  }

  @Test(arguments: [0, 1, 2, 5])
  func anErrorComesInItsPlace(workers: Int) {
    let values = ReadAhead(0..<50, capacity: 8) { position in
      if position % 20 == 17 { throw Broken(position: position) }
      return position
    }
    var taken: [Int] = []
    #expect(throws: Broken(position: 17)) {
      try values.run(workers: workers) {
        for position in 0..<50 { taken.append(try values.take(position)) }
      }
    }
    #expect(taken == Array(0..<17))
    // Those after it can still be taken.
    #expect((try? values.take(18)) == 18)
  }

  /// After an error of the one who takes values, no worker is left.
  @Test(arguments: [1, 2, 5])
  func workersEndWithTheOneWhoTakes(workers: Int) throws {
    let tally = Tally()
    let values = ReadAhead(0..<10_000, capacity: 10_000) { position in
      tally.begin()
      return position
    }
    #expect(throws: CancellationError.self) {
      try values.run(workers: workers) {
        _ = try values.take(3)
        throw CancellationError()
      }
    }
    let begun = tally.now.begun
    #expect(try values.take(9_999) == 9_999)
    #expect(tally.now.begun == begun || tally.now.begun == begun + 1)
  }

  @Test func noPositionsNoValues() throws {
    let values = ReadAhead(0..<0, capacity: 3) { $0 }
    #expect(values.run(workers: 2) { 7 } == 7)
  }

  // MARK: - Pictures

  private func model() -> Graph {
    let n = Dimension.symbolic("N")
    return Graph(
      name: "model", nodes: [Node("Relu", name: "relu", inputs: ["x"], outputs: ["y"])],
      inputs: [ValueInfo("x", .float32, [n, .fixed(3), .fixed(8), .fixed(8)])],
      outputs: [ValueInfo("y", .float32, [n, .fixed(3), .fixed(8), .fixed(8)])])
  }

  /// Pictures 00.bmp… of different sizes, each of its own shade, in one class.
  private func feed(_ folder: String, _ count: Int) throws -> InputFeed {
    let names = (0..<count).map { $0 < 10 ? "0\($0).bmp" : "\($0).bmp" }
    for (index, name) in names.enumerated() {
      let shade = UInt8(index * 3)
      try put(bmp(width: 9 + index, height: 30 - index, (shade, 255, shade)), folder, name)
    }
    let data = try ImageDataset(
      name: "shades", files: ImageFiles(names.map { "\(folder)/\($0)" }),
      labels: [Int](repeating: 0, count: count), classCount: 1)
    return try InputFeed(data, for: model())
  }

  private static let order = [3, 0, 11, 3, 7, 7, 1, 2, 10, 9, 5, 6, 4]

  /// Memory for one picture of 8×8 pixels, for some, and for all.
  @Test(arguments: [1, 2, 5], [1, 4 * 192 * 3, 1 << 20])
  func batchesDependOnNothingElse(threads: Int, memory: Int) throws {
    try withTemporaryFolder { folder in
      let feed = try feed(folder, 12)
      let moves = Self.order.indices.map {
        Augmentation.Move(down: $0 % 3 - 1, right: 1 - $0 % 2, isFlipped: $0 % 4 == 1)
      }
      try feed.loading(Self.order, threads: Threads(count: threads), memory: memory) { loader in
        for batch in [0..<5, 5..<6, 6..<13] {
          let indices = Array(Self.order[batch])
          let given = Array(moves[batch])
          let own = try loader.inputs(batch, moves: given, threads: Threads(count: threads))
          let expected = try feed.inputs(indices, moves: given, threads: .serial)
          #expect(own == expected)
          #expect(own["x"]?.shape == [batch.count, 3, 8, 8])
        }
      }
    }
  }

  @Test(arguments: [1, 2, 5])
  func aDamagedPictureIsNamedInItsBatch(threads: Int) throws {
    try withTemporaryFolder { folder in
      let feed = try feed(folder, 12)
      for name in ["04.bmp", "05.bmp", "09.bmp"] { try put([1, 2, 3], folder, name) }
      var batches = 0
      expectError(.badInput, "\(folder)/04.bmp") {
        try feed.loading(Array(0..<12), threads: Threads(count: threads)) { loader in
          for start in stride(from: 0, to: 12, by: 2) {
            _ = try loader.inputs(start..<start + 2, threads: Threads(count: threads))
            batches += 1
          }
        }
      }
      #expect(batches == 2)
    }
  }

  /// Long waits for pictures can be stopped.
  @Test func picturesAreAnnouncedBeforeTheyAreTaken() throws {
    try withTemporaryFolder { folder in
      let feed = try feed(folder, 12)
      var taken = 0
      #expect(throws: CancellationError.self) {
        try feed.loading(Self.order, threads: 2) { loader in
          try loader.inputs(0..<13, threads: 2) {
            taken += 1
            if taken == 5 { throw CancellationError() }
          }
        }
      }
      #expect(taken == 5)
    }
  }

  /// In a process of its own, whose memory it sets.
  @Test func workMayHaveMemoryOfItsOwn() async {
    await #expect(processExitsWith: .success) {
      LoaderMemory.bytes = 300
      let seen = LoaderMemory.bounded(by: 500) {
        [
          LoaderMemory.bytes, LoaderMemory.bounded(by: 400) { LoaderMemory.bytes },
          LoaderMemory.bounded(by: 600) { LoaderMemory.bytes },
          LoaderMemory.bounded(by: nil) { LoaderMemory.bytes },
        ]
      }
      #expect(seen == [500, 400, 500, 500] && LoaderMemory.bytes == 300)
    }
  }

  /// What is before the first position is not read.
  @Test func aPassMayBeginInTheMiddle() throws {
    try withTemporaryFolder { folder in
      let feed = try feed(folder, 12)
      try put([1, 2, 3], folder, "03.bmp")
      let inputs = try feed.loading(Self.order, from: 4, threads: 2) { loader in
        try loader.inputs(4..<13, threads: 2)
      }
      #expect(inputs == (try feed.inputs(Array(Self.order[4...]), threads: .serial)))
    }
  }

  @Test func digestsOfFilesShowProgress() throws {
    try withTemporaryFolder { folder in
      for index in 0..<300 { try put([UInt8(index & 255)], folder, "\(index).bmp") }
      let data = try ImageDataset(
        name: "bytes", files: ImageFiles((0..<300).map { "\(folder)/\($0).bmp" }), labels: [],
        classCount: 0)
      let seen = Mutex<[Int]>([])
      let digest = try Digest.sha256(data) { progress in
        #expect(progress.total == 300)
        seen.withLock { $0.append(progress.completed) }
      }
      #expect(seen.withLock { $0 } == [256, 300])
      #expect(try digest == Digest.sha256(data))
      #expect(throws: CancellationError.self) {
        try Digest.sha256(data) { _ in throw CancellationError() }
      }
    }
  }

  @Test func dataInMemoryAreRead() throws {
    let data = try ImageDataset(
      name: "packed", images: Tensor([3, 1, 2, 2], Array(0..<12)), labels: [0, 0, 0],
      classCount: 1)
    var graph = model()
    graph.inputs[0] = ValueInfo(
      "x", .float32, [.symbolic("N"), .fixed(1), .fixed(2), .fixed(2)])
    let feed = try InputFeed(data, for: graph)
    let inputs = try feed.loading([2, 0], threads: 2) { try $0.inputs(0..<2, threads: 2) }
    #expect(inputs == (try feed.inputs([2, 0], threads: .serial)))
  }
}
