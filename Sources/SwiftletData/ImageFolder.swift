// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletFiles

/// A folder of pictures: with one folder for each class, as torchvision's `ImageFolder`, or without
/// labels if the pictures lie in the folder itself. Classes are numbered in the order of their
/// names, and their pictures may lie in folders below.
///
/// `DIR/train`, and `DIR/val`, `DIR/valid`, `DIR/validation` or `DIR/test`, hold the parts if they
/// have folders of classes, or if they have pictures and `DIR` has nothing else; otherwise `DIR`
/// itself is all there is. With both `val` and `test`, models are judged on `val`, unless `:test`
/// is asked for. A part without classes beside others that have them counts only if it is asked
/// for.
struct ImageFolder {
  let path: String
  /// The folders in it that are named as parts.
  private let parts: [Place]
  /// Whether there is nothing but such folders.
  private let hasOnlyParts: Bool

  /// A folder that may hold a part.
  private struct Place {
    let name: String
    let hasClasses, hasPictures: Bool
  }

  /// Lists the folder.
  ///
  /// - Throws: `io` if there is no such folder.
  init(_ path: String) throws {
    self.path = path
    let contents = try InputFolder.contents(path)
    let names = Set(DataSpec.Part.allCases.flatMap { Self.names(of: $0, isNamed: false) })
    let folders = Self.classes(contents)
    parts = folders.filter { names.contains($0.lowercased()) }.map { name in
      let contents = try? InputFolder.contents(InputFile.join(path, name))
      return Place(
        name: name, hasClasses: contents.map { !Self.classes($0).isEmpty } ?? false,
        hasPictures: contents?.files.contains(where: ImageFiles.isNamedAsPicture) ?? false)
    }
    hasOnlyParts =
      parts.count == folders.count && !contents.files.contains(where: ImageFiles.isNamedAsPicture)
  }

  /// Whether the folder has parts.
  var hasParts: Bool { DataSpec.Part.allCases.contains { find($0) != nil } }

  /// Names of the folder of a part, the preferred one first; their case does not matter.
  static func names(of part: DataSpec.Part, isNamed: Bool) -> [String] {
    switch part {
    case .train: return ["train", "training"]
    case .test:
      let (validation, test) = (["val", "valid", "validation", "dev"], ["test", "testing"])
      return isNamed ? test + validation : validation + test
    }
  }

  /// The folder of a part, if there is one.
  ///
  /// - Parameter isNamed: Whether the part was asked for by its name.
  func find(_ part: DataSpec.Part, isNamed: Bool = false) -> String? {
    let places = Self.names(of: part, isNamed: isNamed).compactMap { name in
      parts.first { $0.name.lowercased() == name }
    }
    // Published data sets often have a part for a competition, without classes.
    let isDivided = parts.contains(where: \.hasClasses)
    let found =
      places.first(where: \.hasClasses)
      ?? ((isDivided ? isNamed : hasOnlyParts) ? places.first(where: \.hasPictures) : nil)
    return found.map { InputFile.join(path, $0.name) }
  }

  /// The names of the folders of classes. The archives of macOS add one of their own.
  private static func classes(_ contents: InputFolder.Contents) -> [String] {
    contents.folders.filter { $0 != "__MACOSX" }
  }

  /// The contents of a folder, and the names of its folders of classes: folders without a picture
  /// are none if there are pictures beside them.
  private static func classes(
    in root: String
  ) throws -> (names: [String], contents: InputFolder.Contents) {
    let contents = try InputFolder.contents(root)
    let folders = classes(contents)
    guard contents.files.contains(where: ImageFiles.isNamedAsPicture) else {
      return (folders, contents)
    }
    let isUsed = try folders.contains { folder in
      try !pictures(in: InputFile.join(root, folder), isLenient: true).isEmpty
    }
    return (isUsed ? folders : [], contents)
  }

  /// Whether a part has labels.
  ///
  /// - Parameters:
  ///   - part: The part that is asked for; `nil` if any will do.
  ///   - usual: The part to take then, if the folder has parts.
  /// - Throws: `io` if there is no such part.
  func hasLabels(_ part: DataSpec.Part?, usual: DataSpec.Part) throws -> Bool {
    try !Self.classes(in: root(part, usual)).names.isEmpty
  }

  /// The pictures of one part.
  ///
  /// - Parameters:
  ///   - part: The part that is asked for; `nil` if any will do.
  ///   - usual: The part to take then, if the folder has parts.
  ///   - isUnlabelled: Whether to ignore what folders mean.
  ///   - isLenient: Whether pictures in formats that are not decoded count.
  /// - Throws: `io` if there is no such part; `badInput` if it has no pictures, or a class has
  ///   none, or if there are pictures beside folders of classes; `unsupported` for pictures in
  ///   formats that are not decoded.
  func load(
    _ part: DataSpec.Part?, usual: DataSpec.Part, isUnlabelled: Bool, isLenient: Bool
  ) throws -> ImageDataset {
    let root = try root(part, usual)
    let (own, contents) = try Self.classes(in: root)
    if isUnlabelled || own.isEmpty { return try Self.unlabelled(root, isLenient: isLenient) }
    if let loose = contents.files.first(where: ImageFiles.isNamedAsPicture) {
      throw SwiftletError(
        .badInput,
        "there are pictures beside folders of classes, such as \(loose) beside \(own[0])", at: root,
        fix: "move them into folders of classes or elsewhere, or give images:\(path):unlabelled, "
          + "which takes all pictures and no labels")
    }
    // Classes are numbered as those of the training part: others may lack some.
    let training = root == path ? nil : find(.train)
    let classes = try training.map { Self.classes(try InputFolder.contents($0)) } ?? own
    var (paths, labels) = ([String](), [Int]())
    for name in own {
      guard let label = classes.firstIndex(of: name) else {
        throw SwiftletError(
          .badInput, "class '\(name)' is not among those of \(training ?? root)",
          at: InputFile.join(root, name), fix: "give both parts the same classes")
      }
      let found = try Self.pictures(in: InputFile.join(root, name), isLenient: isLenient)
      guard !found.isEmpty else {
        throw SwiftletError(
          .badInput, "there are no pictures of class '\(name)'",
          at: InputFile.join(root, name),
          fix: "add JPEG, PNG, WebP or BMP files, or remove the folder")
      }
      paths += found
      labels += [Int](repeating: label, count: found.count)
    }
    return try ImageDataset(
      name: root, files: ImageFiles(paths), labels: labels, classCount: classes.count,
      classNames: classes)
  }

  /// All pictures in a folder and below, in an order that spreads those of each folder evenly.
  private static func unlabelled(_ root: String, isLenient: Bool) throws -> ImageDataset {
    let paths = try pictures(in: root, isLenient: isLenient)
    guard !paths.isEmpty else {
      throw SwiftletError(
        .badInput, "there are no pictures", at: root,
        fix: "give a folder with JPEG, PNG, WebP or BMP files, or with folders of them")
    }
    let folders = paths.map { $0[..<($0.lastIndex(of: "/") ?? $0.startIndex)] }
    var numbers: [Substring: Int] = [:]
    for folder in folders where numbers[folder] == nil { numbers[folder] = numbers.count }
    return try ImageDataset(
      name: root, files: ImageFiles(paths), labels: folders.map { numbers[$0] ?? 0 },
      classCount: numbers.count
    ).withoutLabels()
  }

  /// - Throws: `io` if there is no such part.
  private func root(_ part: DataSpec.Part?, _ usual: DataSpec.Part) throws -> String {
    if let found = find(part ?? usual, isNamed: part != nil) { return found }
    // With one part alone, the other is missing; without any, the folder is the whole.
    if part == nil, !hasParts { return path }
    throw SwiftletError(
      .io, "there is no folder of this part with pictures, or with folders of classes", at: path,
      fix: "make "
        + Self.names(of: part ?? usual, isNamed: part != nil).map { "\(path)/\($0)" }
        .joined(separator: " or "))
  }

  /// The pictures in a folder and below, sorted.
  private static func pictures(
    in folder: String, isLenient: Bool, depth: Int = 0
  ) throws -> [String] {
    // The system refuses circles of links; this refuses what is merely absurd.
    guard depth < 64 else {
      throw SwiftletError(.badInput, "folders are nested more than 64 deep", at: folder)
    }
    let contents = try InputFolder.contents(folder)
    let own = try contents.files.map { InputFile.join(folder, $0) }.filter {
      try ImageFiles.isPicture($0, isLenient: isLenient)
    }
    return try own
      + contents.folders.flatMap {
        try pictures(in: InputFile.join(folder, $0), isLenient: isLenient, depth: depth + 1)
      }
  }
}
