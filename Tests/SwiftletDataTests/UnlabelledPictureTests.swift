// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletData
import Testing
import _SwiftletTestSupport

@Suite struct UnlabelledPictureTests {
  @Test func aFlatFolderHasNoLabels() throws {
    try withTemporaryFolder { folder in
      for name in ["b.bmp", "a b.bmp", "é.BMP"] { try putPicture(folder, name) }
      try put(Array("hello".utf8), folder, "notes.txt")
      try putPicture(folder, "__MACOSX/._a.bmp", [1])
      let spec = try DataSpec(parsing: "images:\(folder)")
      #expect(try !spec.hasLabels())
      let images = try spec.load(defaultPart: .train)
      #expect(paths(images, in: folder) == ["a b.bmp", "b.bmp", "é.BMP"])
      #expect(!images.hasLabels && images.classCount == 0 && images.classNames == nil)
      #expect(images.classRemark == nil && images.name == "images:\(folder)")
      #expect(spec.testPart() == nil)
      #expect(
        paths(try load("images:\(folder)[1..<2]", .test), in: folder) == ["b.bmp"])
      try putPicture(folder, "x.gif", [1])
      expectError(.unsupported, "GIF", "--skip-damaged") { try load("images:\(folder)") }
    }
  }

  @Test(arguments: ["val", "test"])
  func partsMayBeFlat(name: String) throws {
    try withTemporaryFolder { folder in
      for path in ["train/1.bmp", "train/2.bmp", "\(name)/3.bmp"] { try putPicture(folder, path) }
      let spec = try DataSpec(parsing: "images:\(folder)")
      #expect(try !spec.hasLabels() && !load("images:\(folder)").hasLabels)
      #expect(paths(try load("images:\(folder)"), in: folder) == ["train/1.bmp", "train/2.bmp"])
      #expect(paths(try load("images:\(folder):test"), in: folder) == ["\(name)/3.bmp"])
      #expect(spec.testPart() == spec)
      #expect(try DataSpec(parsing: "images:\(folder):train").testPart() == spec)
      #expect(try DataSpec(parsing: "images:\(folder):test").testPart() == nil)
      let judging = try #require(try spec.loadJudging(nil, split: nil))
      #expect(paths(judging, in: folder) == ["\(name)/3.bmp"])
      #expect(try spec.loadJudging(nil, split: 0.5) == nil)
      // With another folder, they are classes, as are folders of a class of that name.
      try putPicture(folder, "bus/4.bmp")
      #expect(try load("images:\(folder)").classNames == ["bus", name, "train"].sorted())
      expectError(.io, "no folder of this part") { try load("images:\(folder):train") }
    }
  }

  /// As competitions publish them.
  @Test func aPartWithoutClassesIsOnlyUsedIfAskedFor() throws {
    try withTemporaryFolder { folder in
      for path in ["train/a/1.bmp", "train/b/2.bmp", "test/3.bmp", "more/4.bmp"] {
        try putPicture(folder, path)
      }
      let spec = try DataSpec(parsing: "images:\(folder)")
      #expect(try spec.hasLabels() && spec.testPart() == nil)
      #expect(try DataParts(spec, split: 0.5, seed: 1).training.count == 1)
      let test = try DataSpec(parsing: "images:\(folder):test")
      #expect(try !test.hasLabels())
      #expect(paths(try test.load(defaultPart: .train), in: folder) == ["test/3.bmp"])
      let judging = try DataSpec(parsing: "images:\(folder):train")
      #expect(try test.loadJudging(judging, split: nil)?.count == 2)
    }
  }

  @Test func picturesBesideClassesAreRefused() throws {
    try withTemporaryFolder { folder in
      for path in ["cat/1.bmp", "dog/2.bmp"] { try putPicture(folder, path) }
      try put([1], folder, "icon.gif")
      #expect(try load("images:\(folder)").classNames == ["cat", "dog"])
      try putPicture(folder, "loose.bmp")
      expectError(
        .badInput, "pictures beside folders of classes, such as loose.bmp beside cat", folder,
        "images:\(folder):unlabelled"
      ) { try load("images:\(folder)") }
      // A folder may have the name of a picture.
      try putPicture(folder, "x.bmp/3.bmp")
      expectError(.unsupported, "icon.gif") { try load("images:\(folder):unlabelled") }
    }
  }

  /// A folder without a picture is no class if there are pictures beside it.
  @Test func emptyFoldersBesidePicturesDoNotMatter() throws {
    try withTemporaryFolder { folder in
      for path in ["1.bmp", "2.bmp"] { try putPicture(folder, path) }
      try put([1], folder, "notes/readme.txt")
      #expect(try !DataSpec(parsing: "images:\(folder)").hasLabels())
      #expect(try load("images:\(folder)").count == 2)
      try putPicture(folder, "notes/sketches/3.bmp")
      expectError(.badInput, "beside folders of classes") { try load("images:\(folder)") }
    }
  }

  @Test func allPicturesBelowCountWithoutLabels() throws {
    try withTemporaryFolder { folder in
      for i in 0..<4 { try putPicture(folder, "2019/\(i).bmp") }
      for path in ["2020/trip/a.bmp", "2020/trip/b.bmp", "loose.bmp"] {
        try putPicture(folder, path)
      }
      let images = try load("images:\(folder):unlabelled")
      #expect(!images.hasLabels && images.count == 7)
      // Each folder is spread evenly: the first half has half of each.
      let names = paths(images, in: folder)
      #expect(Set(names.prefix(4)).count { $0.hasPrefix("2019") } == 2)
      #expect(names.prefix(3) == ["2019/0.bmp", "2020/trip/a.bmp", "2019/1.bmp"])
      #expect(images.name == "images:\(folder):unlabelled")
    }
  }

  @Test func labelsAreIgnoredOnRequest() throws {
    try withTemporaryFolder { folder in
      for path in ["train/a/1.bmp", "train/b/2.bmp", "val/a/3.bmp"] { try putPicture(folder, path) }
      let spec = try DataSpec(parsing: "images:\(folder):unlabelled")
      #expect(try !spec.hasLabels())
      let names = paths(try spec.load(defaultPart: .train), in: folder)
      #expect(names == ["train/a/1.bmp", "train/b/2.bmp"])
      let judging = try #require(try spec.loadJudging(nil, split: nil))
      #expect(!judging.hasLabels && paths(judging, in: folder) == ["val/a/3.bmp"])
      try DataSpecLoadingTests.putTraining(folder)
      #expect(try !load("idx:\(folder):unlabelled").hasLabels)
      // The files of the other part need not exist.
      #expect(
        try DataSpec(parsing: "idx:\(folder):train:unlabelled").loadJudging(nil, split: nil) == nil)
    }
  }

  @Test func aListMayHaveNoLabels() throws {
    try withTemporaryFolder { folder in
      for path in ["b.bmp", "a, b.bmp", "c/line\nbreak ü.bmp"] { try putPicture(folder, path) }
      let text = "\u{FEFF}filename\r\nb.bmp\r\n\"a, b.bmp\"\r\n\"c/line\nbreak ü.bmp\"\r\n"
      try put(Array(text.utf8), folder, "l.csv")
      let spec = try DataSpec(parsing: "list:\(folder)/l.csv")
      #expect(try !spec.hasLabels())
      let images = try spec.load(defaultPart: .train)
      #expect(paths(images, in: folder) == ["b.bmp", "a, b.bmp", "c/line\nbreak ü.bmp"])
      #expect(!images.hasLabels && images.classNames == nil)
      try put(Array("b.bmp\tcat\n".utf8), folder, "l.tsv")
      #expect(try DataSpec(parsing: "list:\(folder)/l.tsv").hasLabels())
      #expect(try !load("list:\(folder)/l.tsv:unlabelled").hasLabels)
      try put(Array("b.bmp\nnone.bmp\n".utf8), folder, "l.txt")
      expectError(.io, "line 2 does not exist", "none.bmp", "--skip-damaged") {
        try load("list:\(folder)/l.txt")
      }
    }
  }

  @Test func classesAreShown() throws {
    try withTemporaryFolder { folder in
      try putPicture(folder, "a/1.bmp")
      #expect(try load("images:\(folder)").classRemark == "1 class in images:\(folder): a")
      for i in 1..<8 { try putPicture(folder, "b\(i)/1.bmp") }
      #expect(
        try load("images:\(folder)").classRemark
          == "8 classes in images:\(folder): a, b1, b2, b3, b4, b5, …")
    }
  }
}
