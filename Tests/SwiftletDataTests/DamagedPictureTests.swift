// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletData
import SwiftletImages
import Synchronization
import Testing
import _SwiftletTestSupport

#if canImport(Glibc)
  import Glibc
#endif

@Suite struct DamagedPictureTests {
  /// Two classes of three pictures, of which one is cut off, one empty, and one in another format.
  private func putDamaged(_ folder: String) throws {
    for path in ["a/0.bmp", "a/1.bmp", "a/4.bmp", "b/2.bmp"] { try putPicture(folder, path) }
    try putPicture(folder, "a/1.bmp", bmp(width: 4, height: 3, (1, 2, 3)).dropLast(9))
    try putPicture(folder, "b/0.bmp", [])
    try putPicture(folder, "b/1.gif", Array("GIF89a".utf8))
  }

  private func load(_ text: String, _ damaged: DamagedPictures) throws -> ImageDataset {
    try DataSpec(parsing: text).load(defaultPart: .train, leavingOut: damaged)
  }

  /// Sentences that were printed.
  private final class Sentences: Sendable {
    private let lines = Mutex<[String]>([])
    var all: [String] { lines.withLock { $0 } }
    func add(_ line: String) { lines.withLock { $0.append(line) } }
  }

  @Test(arguments: [1, 2]) func damagedPicturesAreLeftOut(threads: Int) throws {
    try withTemporaryFolder { folder in
      try putDamaged(folder)
      _ = unsafe symlink("nowhere", "\(folder)/a/lost.bmp")
      let (warnings, progress) = (Sentences(), Sentences())
      let damaged = DamagedPictures(
        threads: Threads(count: threads), progress: { progress.add($0.task) },
        warn: { warnings.add($0) })
      let images = try load("images:\(folder)", damaged)
      #expect(Set(paths(images, in: folder)) == ["a/0.bmp", "a/4.bmp", "b/2.bmp"])
      #expect(images.labels.count { $0 == 0 } == 2 && images.classNames == ["a", "b"])
      #expect(
        Set(damaged.pictures.map(\.path))
          == Set(["a/1.bmp", "a/lost.bmp", "b/0.bmp", "b/1.gif"].map { "\(folder)/\($0)" }))
      #expect(damaged.pictures.contains { $0.reason.contains("GIF") })
      #expect(warnings.all.count == 4 && progress.all == ["checking pictures"])
      #expect(warnings.all[0].hasPrefix("left out \(folder)/"))
      #expect(
        warnings.all[3]
          == "left out 4 of the 7 pictures of images:\(folder), which cannot be decoded")
      // The same ones again are not counted twice.
      _ = try load("images:\(folder)", damaged)
      #expect(damaged.pictures.count == 4)
      // What is sliced off is not looked at.
      let few = DamagedPictures()
      #expect(try load("images:\(folder)[0..<1]", few).count == 1 && few.pictures.isEmpty)
    }
  }

  @Test func withoutItTheErrorSaysHow() throws {
    try withTemporaryFolder { folder in
      try putDamaged(folder)
      expectError(.unsupported, "\(folder)/b/1.gif", "--skip-damaged") {
        try SwiftletDataTests.load("images:\(folder)")
      }
      _ = unsafe unlink("\(folder)/b/1.gif")
      guard case .files(let files) = try SwiftletDataTests.load("images:\(folder)").pixels else {
        return #expect(Bool(false))
      }
      let index = try #require(files.paths.firstIndex(of: "\(folder)/a/1.bmp"))
      expectError(.badInput, "\(folder)/a/1.bmp", "leave out such pictures with --skip-damaged") {
        try files.image(at: index, .rgb)
      }
    }
  }

  @Test func nothingMustBeLostEntirely() throws {
    try withTemporaryFolder { folder in
      for path in ["a/1.bmp", "b/1.bmp", "b/2.bmp"] { try putPicture(folder, path, [1]) }
      // The classes are spread: one of b comes first.
      expectError(
        .badInput, "none of the 3 pictures can be decoded: \(folder)/b/1.bmp: ", "images:\(folder)"
      ) { try load("images:\(folder)", DamagedPictures()) }
      try putPicture(folder, "a/1.bmp")
      expectError(.badInput, "no picture of class 'b' can be decoded: \(folder)/b/1.bmp") {
        try load("images:\(folder)", DamagedPictures())
      }
      #expect(try load("images:\(folder):unlabelled", DamagedPictures()).count == 1)
      try put(Array("a/1.bmp,7\nb/1.bmp,4\n".utf8), folder, "l.csv")
      expectError(.badInput, "no picture of class 4 can be decoded") {
        try load("list:\(folder)/l.csv", DamagedPictures())
      }
    }
  }

  @Test func listsMayNameWhatIsMissing() throws {
    try withTemporaryFolder { folder in
      try putPicture(folder, "a.bmp")
      let lists = [("a.bmp,0\nnone.bmp,0\na.bmp,1\n", [0, 1]), ("none.bmp\na.bmp\n", [])]
      for (text, labels) in lists {
        try put(Array(text.utf8), folder, "l.csv")
        let damaged = DamagedPictures()
        #expect(try load("list:\(folder)/l.csv", damaged).labels == labels)
        #expect(damaged.pictures.map(\.path) == ["\(folder)/none.bmp"])
      }
    }
  }

  @Test func partsAreMadeOfWhatIsLeft() throws {
    try withTemporaryFolder { folder in
      for i in 0..<10 { try putPicture(folder, "\(i % 2)/\(i).bmp") }
      try putPicture(folder, "0/4.bmp", [1])
      let spec = try DataSpec(parsing: "images:\(folder)")
      let damaged = DamagedPictures()
      let parts = try DataParts(spec, split: 2.0 / 3, seed: 1, leavingOut: damaged)
      #expect(parts.training.count == 6 && parts.validation.count == 3)
      #expect(damaged.pictures.map(\.path) == ["\(folder)/0/4.bmp"])
      let judged = try DataParts(
        DataSpec(parsing: "images:\(folder)[50%]"),
        judge: DataSpec(parsing: "images:\(folder)[50%..<100%]"), seed: 1, leavingOut: damaged)
      #expect(judged.training.count + judged.validation.count == 9)
    }
  }

  @Test func onlyPicturesInFilesAreChecked() throws {
    try withTemporaryFolder { folder in
      try DataSpecLoadingTests.putTraining(folder)
      expectError(.badInput, "--skip-damaged is for pictures in files", "idx:\(folder)") {
        try load("idx:\(folder)", DamagedPictures())
      }
    }
  }

  @Test func checkingCanBeCancelled() throws {
    try withTemporaryFolder { folder in
      try putPicture(folder, "a.bmp")
      #expect(throws: CancellationError.self) {
        try load("images:\(folder)", DamagedPictures(progress: { _ in throw CancellationError() }))
      }
    }
  }
}
