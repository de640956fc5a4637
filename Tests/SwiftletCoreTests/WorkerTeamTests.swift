// SPDX-License-Identifier: Apache-2.0

import Glibc
import SwiftletCore
import Synchronization
import Testing
import _SwiftletTestSupport

/// Threads that work together: on more threads than there are cores, nested, from several threads
/// at once. Everything here runs under the thread sanitizer too; see `make test-tsan`.
struct WorkerTeamTests {
  /// One plain number for each thread: what one thread writes, others read behind a barrier.
  @safe
  private final class Board: @unchecked Sendable {
    private let numbers: UnsafeMutablePointer<Int>

    init(_ count: Int) {
      unsafe numbers = .allocate(capacity: count)
      unsafe numbers.initialize(repeating: 0, count: count)
    }

    deinit { unsafe numbers.deallocate() }

    subscript(index: Int) -> Int {
      get { unsafe numbers[index] }
      set { unsafe numbers[index] = newValue }
    }
  }

  /// Waits for the threads: tests run side by side, and one of them has the team at a time.
  private func together(_ count: Int, _ body: @Sendable (Int) -> Void) {
    while !Threads(count: count).together(body) { sched_yield() }
  }

  @Test(arguments: [1, 2, 3, 4, 7, 16, 64])
  func eachThreadRunsOnceAtTheSameTime(count: Int) {
    let board = Board(count)
    for _ in 0..<20 {
      let barrier = SpinBarrier(count: count)
      together(count) { thread in
        board[thread] += 1
        // Would wait for ever if one thread did the work of two.
        barrier.wait()
      }
    }
    for thread in 0..<count { #expect(board[thread] == 20) }
  }

  @Test(arguments: [1, 2, 3, 5, 16])
  func barriersShowWhatWasWritten(count: Int) {
    let board = Board(count)
    let barrier = SpinBarrier(count: count)
    let wrong = Atomic(0)
    together(count) { thread in
      for round in 1...100 {
        board[thread] = round
        barrier.wait()
        for other in 0..<count where board[other] != round {
          wrong.add(1, ordering: .relaxed)
        }
        barrier.wait()
      }
    }
    #expect(wrong.load(ordering: .relaxed) == 0)
  }

  /// Workers that went to sleep wake up.
  @Test func workIsFoundAfterAPause() {
    let board = Board(3)
    for round in 0..<60 {
      if round % 2 == 0 { usleep(2_000) }
      together(3) { board[$0] += 1 }
    }
    for thread in 0..<3 { #expect(board[thread] == 60) }
  }

  /// Workers that a call does not need may miss its rounds, asleep or awake, and are there for the
  /// next one.
  @Test func callsOfAllSizesFollowEachOther() {
    let board = Board(40)
    var expected = [Int](repeating: 0, count: 40)
    for round in 0..<400 {
      if round % 100 == 99 { usleep(2_000) }
      let count = [2, 40, 3, 2, 17, 1][round % 6]
      let barrier = SpinBarrier(count: count)
      together(count) { thread in
        board[thread] += 1
        barrier.wait()
      }
      for thread in 0..<count { expected[thread] += 1 }
    }
    for thread in 0..<40 { #expect(board[thread] == expected[thread]) }
  }

  /// Inside of the work the team is taken: what is nested runs on the thread that asks for it.
  @Test func nestedWorkRunsAlone() {
    let refused = Atomic(0)
    let sum = Atomic(0)
    together(4) { _ in
      if !Threads(count: 2).together({ _ in }) { refused.add(1, ordering: .relaxed) }
      let ran = Threads.serial.together { #expect($0 == 0) }
      #expect(ran)
      Threads(count: 3).forEachRange(100) { range in
        Threads(count: 2).forEachRange(range.count) { inner in
          sum.add(inner.count, ordering: .relaxed)
        }
      }
    }
    #expect(refused.load(ordering: .relaxed) == 4)
    #expect(sum.load(ordering: .relaxed) == 400)
  }

  @Test(arguments: [2, 3, 16])
  func eightThreadsShareTheTeam(count: Int) {
    let pieces = Atomic(0)
    let gathered = Atomic(0)
    onThreads(8) { thread in
      let threads = Threads(count: count)
      for round in 0..<150 {
        var tensor = Tensor<Int32>(zeros: [40, 3])
        threads.forEachBlock(of: &tensor, minimumWork: 1) { rows, values in
          for i in values.indices { values[i] = Int32(rows.lowerBound * 3 + i + thread) }
          pieces.add(rows.count, ordering: .relaxed)
        }
        if tensor.elements != (0..<120).map({ Int32($0 + thread) }) { continue }
        let squares = (try? threads.map(17) { $0 * $0 + round }) ?? []
        if squares == (0..<17).map({ $0 * $0 + round }) { gathered.add(1, ordering: .relaxed) }
      }
    }
    #expect(pieces.load(ordering: .relaxed) == 8 * 150 * 40)
    #expect(gathered.load(ordering: .relaxed) == 8 * 150)
  }

  /// The team is free again for others after each use.
  @Test func threadsTakeTurns() {
    let total = Atomic(0)
    onThreads(8) { _ in
      for _ in 0..<10 {
        let barrier = SpinBarrier(count: 2)
        together(2) { _ in
          barrier.wait()
          total.add(1, ordering: .relaxed)
        }
      }
    }
    #expect(total.load(ordering: .relaxed) == 8 * 10 * 2)
  }
}
