// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
import SwiftletData
import SwiftletFiles
import SwiftletGraph
import SwiftletImages
import Testing
import _SwiftletTestSupport

#if canImport(Glibc)
  import Glibc
#endif

/// Writes a red picture of 4×3 pixels, and the folders that it lies in.
func putPicture(
  _ folder: String, _ path: String, _ bytes: [UInt8] = bmp(width: 4, height: 3, (255, 0, 0))
) throws {
  var parts = path.split(separator: "/").map(String.init)
  let name = parts.removeLast()
  var place = folder
  for part in parts {
    place += "/\(part)"
    _ = unsafe mkdir(place, 0o755)
  }
  try put(bytes, place, name)
}

func load(_ text: String, _ part: DataSpec.Part = .train) throws -> ImageDataset {
  try DataSpec(parsing: text).load(defaultPart: part)
}

/// The paths of pictures in files, without the folder.
func paths(_ images: ImageDataset, in folder: String) -> [String] {
  guard case .files(let files) = images.pixels else { return [] }
  return files.paths.map { String($0.dropFirst(folder.count + 1)) }
}

@Suite struct ImageFolderTests {
  @Test func classesAreFoldersInTheOrderOfTheirNames() throws {
    try withTemporaryFolder { folder in
      for path in ["b c/2.bmp", "b c/1.BMP", "é/x.bmp", "B/sub/deep/z.bmp", "B/y.bmp"] {
        try putPicture(folder, path)
      }
      try put(Array("hello".utf8), folder + "/B", "notes.txt")
      try put([1], folder + "/B", ".hidden.jpg")
      let images = try load("images:\(folder)")
      // Capitals come first, and letters with accents last, as Python sorts.
      #expect(images.classNames == ["B", "b c", "é"])
      // Classes are spread: each part of the order has all of them.
      #expect(
        paths(images, in: folder) == [
          "B/y.bmp", "b c/1.BMP", "é/x.bmp", "B/sub/deep/z.bmp", "b c/2.bmp",
        ])
      #expect(images.labels == [0, 1, 2, 0, 1])
      #expect(images.name == "images:\(folder)" && images.count == 5)
      // Without parts, all of it serves for either; a part by name does not exist.
      #expect(try load("images:\(folder)", .test).count == 5)
      expectError(.io, "no folder of this part", "\(folder)/val") {
        try load("images:\(folder):test")
      }
    }
  }

  @Test(arguments: ["val", "valid", "validation", "test", "Val", "TESTING"])
  func partsAreFolders(name: String) throws {
    try withTemporaryFolder { folder in
      for path in ["train/a/1.bmp", "train/b/2.bmp", "\(name)/a/3.bmp", "\(name)/b/4.bmp"] {
        try putPicture(folder, path)
      }
      #expect(
        paths(try load("images:\(folder)"), in: folder) == ["train/a/1.bmp", "train/b/2.bmp"])
      #expect(
        paths(try load("images:\(folder)", .test), in: folder)
          == ["\(name)/a/3.bmp", "\(name)/b/4.bmp"])
      let parts = try DataParts(DataSpec(parsing: "images:\(folder)"), seed: 1)
      #expect(parts.training.count == 2 && parts.validation.count == 2 && parts.split == nil)
      try putPicture(folder, "train/aa/5.bmp")
      // Numbers are those of the training part, whose classes need not all be judged.
      #expect(try load("images:\(folder)", .test).labels == [0, 2])
      #expect(try DataParts(DataSpec(parsing: "images:\(folder)"), seed: 1).training.count == 3)
      try putPicture(folder, "\(name)/c/5.bmp")
      expectError(.badInput, "class 'c' is not among those of", "\(name)/c") {
        try DataParts(DataSpec(parsing: "images:\(folder)"), seed: 1)
      }
    }
  }

  @Test func validationAndTestAreToldApart() throws {
    try withTemporaryFolder { folder in
      for path in ["train/a/1.bmp", "val/a/2.bmp", "test/a/3.bmp"] { try putPicture(folder, path) }
      #expect(paths(try load("images:\(folder)", .test), in: folder) == ["val/a/2.bmp"])
      #expect(paths(try load("images:\(folder):test"), in: folder) == ["test/a/3.bmp"])
    }
  }

  @Test func everyPartHasAllClasses() throws {
    try withTemporaryFolder { folder in
      for i in 0..<4 { try putPicture(folder, "a/\(i).bmp") }
      for i in 0..<8 { try putPicture(folder, "b/\(i).bmp") }
      for (slice, counts) in [("[50%]", [2, 4]), ("[25%]", [1, 2]), ("[75%..<100%]", [1, 2])] {
        let labels = try load("images:\(folder)\(slice)").labels
        #expect([labels.count { $0 == 0 }, labels.count { $0 == 1 }] == counts, "\(slice)")
      }
    }
  }

  @Test func theSameFileIsFoundByAnyPath() throws {
    try withTemporaryFolder { folder in
      for i in 0..<4 { try putPicture(folder, "\(i % 2)/\(i).bmp") }
      expectError(.badInput, "4 of the 4 evaluation images") {
        try DataParts(
          DataSpec(parsing: "images:\(folder)"), judge: DataSpec(parsing: "images:\(folder)/./"),
          seed: 1)
      }
    }
  }

  @Test func linksAndNamesThatCannotBeFollowedAreNamed() throws {
    try withTemporaryFolder { folder in
      try putPicture(folder, "a/1.bmp")
      for name in ["self", "again"] { _ = unsafe symlink(".", "\(folder)/a/\(name)") }
      expectError(.io, "cannot inspect", "again") { try load("images:\(folder)") }
      for name in ["self", "again"] { _ = unsafe unlink("\(folder)/a/\(name)") }
      _ = unsafe symlink("nowhere", "\(folder)/a/lost.bmp")
      let images = try load("images:\(folder)")
      expectError(.io, "lost.bmp") { try Digest.sha256(images) }
      _ = unsafe unlink("\(folder)/a/lost.bmp")
      let name: [CChar] = Array("\(folder)/b".utf8).map { CChar(bitPattern: $0) } + [-23, 0]
      _ = unsafe mkdir(name, 0o755)
      expectError(.badInput, "not UTF-8", folder) { try load("images:\(folder)") }
    }
  }

  @Test func aClassMayBeCalledTrain() throws {
    try withTemporaryFolder { folder in
      for path in ["bus/1.bmp", "train/2.bmp"] { try putPicture(folder, path) }
      #expect(try load("images:\(folder)").classNames == ["bus", "train"])
    }
  }

  @Test func withoutATestPartTheImagesAreSplit() throws {
    try withTemporaryFolder { folder in
      for i in 0..<10 { try putPicture(folder, "\(i % 2)/\(i).bmp") }
      let parts = try DataParts(DataSpec(parsing: "images:\(folder)"), seed: 1)
      #expect(parts.training.count == 8 && parts.validation.count == 2 && parts.shared == 0)
      #expect(parts.remark?.contains("there is no test part") == true)
      #expect(throws: SwiftletError.self) {
        try DataParts(
          DataSpec(parsing: "images:\(folder)"), judge: DataSpec(parsing: "images:\(folder)"),
          seed: 1)
      }
    }
  }

  @Test func faultsAreNamed() throws {
    try withTemporaryFolder { folder in
      expectError(.io, "cannot read the folder", "\(folder)/none") {
        try load("images:\(folder)/none")
      }
      expectError(.badInput, "no pictures", folder) { try load("images:\(folder)") }
      try putPicture(folder, "a/1.bmp")
      try putPicture(folder, "__MACOSX/._1.jpg", [1])
      #expect(try load("images:\(folder)").classNames == ["a"])
      try putPicture(folder, "empty/.keep", [1])
      expectError(.badInput, "no pictures of class 'empty'", "\(folder)/empty") {
        try load("images:\(folder)")
      }
      try putPicture(folder, "empty/x.tiff", [1])
      expectError(.unsupported, "TIFF", "\(folder)/empty/x.tiff") { try load("images:\(folder)") }
      expectError(.badInput, "images needs a folder") { try load("images:") }
    }
  }

  @Test func digestsFollowTheFiles() throws {
    try withTemporaryFolder { folder in
      for path in ["a/1.bmp", "b/2.bmp"] { try putPicture(folder, path) }
      let before = try Digest.sha256(load("images:\(folder)"))
      #expect(try Digest.sha256(load("images:\(folder)")) == before)
      try putPicture(folder, "a/1.bmp", bmp(width: 4, height: 3, (254, 0, 0)))
      #expect(try Digest.sha256(load("images:\(folder)")) != before)
    }
  }
}

@Suite struct ImageListTests {
  private func list(_ text: String, _ folder: String, as name: String = "l.csv") throws
    -> ImageDataset
  {
    try put(Array(text.utf8), folder, name)
    return try load("list:\(folder)/\(name)")
  }

  @Test func linesAreQuotedEndedAndHeadedAsTheyLike() throws {
    try withTemporaryFolder { folder in
      for path in ["a.bmp", "b, c.bmp", "say \"x\".bmp", "d/ü.bmp"] { try putPicture(folder, path) }
      let images = try list(
        "\u{FEFF}path,label\r\na.bmp,2\r\n\"b, c.bmp\",0\r\n\r\n"
          + "\"say \"\"x\"\".bmp\",\"1\"\r\nd/ü.bmp,2",
        folder)
      #expect(paths(images, in: folder) == ["a.bmp", "b, c.bmp", "say \"x\".bmp", "d/ü.bmp"])
      #expect(images.labels == [2, 0, 1, 2] && images.classCount == 3 && images.classNames == nil)
      let tabs = try list("a.bmp\tdog\nb, c.bmp\tcat\n", folder, as: "l.tsv")
      #expect(tabs.labels == [1, 0] && tabs.classNames == ["cat", "dog"])
      // Blanks around fields do not count, so that these are numbers.
      let blank = try list(
        "a.bmp, 10\n  b.bmp , 2\n".replacing("b.bmp", with: "\"b, c.bmp\""), folder)
      #expect(blank.labels == [10, 2] && blank.classNames == nil)
      // Absolute paths are themselves.
      #expect(try list("\(folder)/a.bmp,0\n", folder).count == 1)
      #expect(try load("list:\(folder)/l.tsv[0..<1]").name == "list:\(folder)/l.tsv[0..<1]")
    }
  }

  @Test(arguments: [
    ("a.bmp,0\na.bmp\n", "line 2 is not a path and a label, as the first one is"),
    ("a.bmp\na.bmp,0\n", "line 2 is not a path alone, as the first one is"),
    ("a.bmp,0\na.bmp,1,2\n", "line 2 is not"), ("a.bmp,\n", "line 1 is not"),
    ("\"a.bmp,0\n", "quote is not closed"), ("\"a\".bmp,0\n", "text after a closing quote"),
    ("a.bmp,-1\n", "label -1 of line 1 is not from 0"), ("a.bmp,99999999\n", "is not from 0"),
    ("a.bmp,1\na.bmp,2.0\n", "label '2.0' of line 2 is not a whole number"),
    ("a.bmp,cat\na.bmp,3\n", "label 'cat' of line 1 is not a whole number"),
    ("", "there are no images"), ("path,label\n", "there are no images"),
  ])
  func faultsAreNamed(text: String, what: String) throws {
    try withTemporaryFolder { folder in
      try putPicture(folder, "a.bmp")
      expectError(.badInput, what, "l.csv") { try list(text, folder) }
      expectError(.io, "line 2", "none.bmp") { try list("a.bmp,0\nnone.bmp,0\n", folder) }
      expectError(.badInput, "no parts") { try load("list:\(folder)/l.csv:test") }
    }
  }
}

@Suite struct PicturePreprocessingTests {
  /// A model whose input has this size; all that preprocessing asks for.
  private func model(_ channels: Int, _ height: Int, _ width: Int) -> Graph {
    Graph(
      name: "model", nodes: [Node("Relu", name: "relu", inputs: ["x"], outputs: ["y"])],
      inputs: [
        ValueInfo("x", .float32, [.symbolic("N"), .fixed(channels), .fixed(height), .fixed(width)])
      ],
      outputs: [
        ValueInfo("y", .float32, [.symbolic("N"), .fixed(channels), .fixed(height), .fixed(width)])
      ])
  }

  private func dataset(_ folder: String) throws -> ImageDataset {
    try putPicture(folder, "a/1.bmp", bmp(width: 300, height: 200, (255, 128, 0)))
    try putPicture(folder, "b/2.bmp", bmp(width: 7, height: 500, (1, 2, 3)))
    return try load("images:\(folder)")
  }

  @Test func theMiddleIsCutOut() throws {
    try withTemporaryFolder { folder in
      let data = try dataset(folder)
      let preprocessing = try Preprocessing(for: model(3, 224, 224), images: data, scaling: .unit)
      #expect(preprocessing.fit == .crop && preprocessing.shorterSide == 256)
      #expect(preprocessing.summary.contains("shorter side to 256"))
      for threads in [1, 2] {
        let batch = try preprocessing.batch(data, [0, 1], threads: Threads(count: threads))
        #expect(batch.shape == [2, 3, 224, 224])
        #expect(batch[0, 0, 0, 0] == 1 && batch[0, 2, 223, 223] == 0)
        #expect(abs(batch[0, 1, 100, 100] - 128.0 / 255) < 1e-6)
        #expect(abs(batch[1, 2, 0, 223] - 3.0 / 255) < 1e-6)
      }
      // Thumbnails and other proportions show the whole picture; grey models get grey.
      #expect(try Preprocessing(for: model(3, 32, 32), images: data).fit == .resize)
      #expect(try Preprocessing(for: model(3, 240, 320), images: data).fit == .resize)
      let grey = try Preprocessing(for: model(1, 8, 8), images: data, scaling: .raw)
      #expect(abs(try grey.batch(data, [0], threads: .serial)[0, 0, 4, 4] - 151) < 1e-3)
      expectError(.unsupported, "4 channels") {
        try Preprocessing(for: model(4, 8, 8), images: data)
      }
    }
  }

  @Test func aPictureKeepsItsPlaceOfTorchvision() throws {
    // A column of white at the middle of 12×8: resized to 9×6 it is columns 4 and 5, of which
    // the crop of 4×4 begins at round-half-even(2.5) = 2.
    let preprocessing = try Preprocessing(
      channels: 1, height: 4, width: 4, fit: .crop, shorterSide: 6, mean: [0],
      deviation: [1.0 / 255])
    var pixels = Tensor<UInt8>(zeros: [1, 1, 8, 12])
    for y in 0..<8 { pixels[0, 0, y, 6] = 255 }
    let data = try ImageDataset(name: "line", images: pixels, labels: [0], classCount: 1)
    let row = try preprocessing.batch(data, [0], threads: .serial).elements[0..<4]
    let whole = Image(pixels.reshaped(to: [8, 12, 1])).resized(to: .init(width: 9, height: 6))
    #expect(row.map { $0.rounded() } == (2..<6).map { Float(whole.pixels[3, $0, 0]) })
    #expect(row.max() ?? 0 > 100)
  }

  @Test func theFirstDamagedPictureIsNamed() throws {
    try withTemporaryFolder { folder in
      let data = try dataset(folder)
      let preprocessing = try Preprocessing(for: model(3, 32, 32), images: data)
      try putPicture(folder, "a/1.bmp", [1, 2, 3])
      try putPicture(folder, "b/2.bmp", [])
      for threads in [1, 2] {
        expectError(.badInput, "\(folder)/a/1.bmp") {
          try preprocessing.batch(data, [0, 1], threads: Threads(count: threads))
        }
      }
    }
  }

  @Test func whatIsKeptIsWhatWasDecoded() throws {
    try withTemporaryFolder { folder in
      let data = try dataset(folder)
      let preprocessing = try Preprocessing(for: model(3, 32, 32), images: data)
      let first = try preprocessing.batch(data, [0, 1], threads: .serial)
      let path = "\(folder)/a/1.bmp"
      var times = stat()
      #expect(unsafe stat(path, &times) == 0)
      try putPicture(folder, "a/1.bmp", bmp(width: 300, height: 200, (0, 0, 255)))
      // To the system, the file is as it was.
      let old = [times.st_atim, times.st_mtim]
      #expect(unsafe utimensat(AT_FDCWD, path, old, 0) == 0)
      // Pictures that were decoded are kept; in another size, they are decoded again.
      #expect(try preprocessing.batch(data, [0, 1], threads: .serial) == first)
      let other = try Preprocessing(for: model(3, 33, 32), images: data, scaling: .unit)
        .batch(data, [0, 1], threads: .serial)
      #expect(other[0, 0, 0, 0] == 0 && other[0, 2, 0, 0] == 1)
      // So is one that has changed.
      let later = [timespec(tv_sec: 1, tv_nsec: 0), timespec(tv_sec: 1, tv_nsec: 0)]
      #expect(unsafe utimensat(AT_FDCWD, path, later, 0) == 0)
      let changed = try preprocessing.batch(data, [0, 1], threads: .serial)
      #expect(changed != first && changed[1, 0, 0, 0] == first[1, 0, 0, 0])
    }
  }

  @Test func aThinLineIsRefused() throws {
    try withTemporaryFolder { folder in
      try putPicture(folder, "a/1.bmp", bmp(width: 1, height: 400_000, (1, 2, 3)))
      let data = try load("images:\(folder)")
      let preprocessing = try Preprocessing(for: model(3, 224, 224), images: data)
      expectError(.badInput, "1×400000", "\(folder)/a/1.bmp") {
        try preprocessing.batch(data, [0], threads: .serial)
      }
    }
  }

  @Test func metadataKeepTheCrop() throws {
    try withTemporaryFolder { folder in
      let data = try dataset(folder)
      var graph = model(3, 224, 224)
      try Preprocessing(for: graph, images: data).store(in: &graph)
      #expect(try Preprocessing.stored(in: graph, images: data).shorterSide == 256)
      graph.metadata[Preprocessing.metadataKey] = graph.metadata[Preprocessing.metadataKey]!
        .replacingOccurrences("\"shorterSide\":256", "\"shorterSide\":100")
      expectError(.badInput, "damaged") { try Preprocessing.stored(in: graph, images: data) }
    }
  }
}

extension String {
  fileprivate func replacingOccurrences(_ old: String, _ new: String) -> String {
    split(separator: old, omittingEmptySubsequences: false).joined(separator: new)
  }
}
