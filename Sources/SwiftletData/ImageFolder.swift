// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletFiles

/// A folder of pictures with one folder for each class, as torchvision's `ImageFolder`: classes are
/// numbered in the order of their names, and pictures may lie in folders below.
///
/// `DIR/train`, and `DIR/val`, `DIR/valid`, `DIR/validation` or `DIR/test`, hold the parts if they
/// have folders of classes; otherwise `DIR` itself is all there is. With both `val`
/// and `test`, models are judged on `val`, unless `:test` is asked for.
struct ImageFolder {
  let path: String
  /// The names of the folders in it.
  private let folders: [String]

  /// Lists the folder.
  ///
  /// - Throws: `io` if there is no such folder.
  init(_ path: String) throws {
    self.path = path
    folders = try InputFolder.contents(path).folders
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
    Self.names(of: part, isNamed: isNamed).lazy
      .compactMap { name in folders.first { $0.lowercased() == name } }
      .map { InputFile.join(path, $0) }
      .first { (try? Self.classes(in: $0))?.isEmpty == false }
  }

  /// The names of the folders of classes. The archives of macOS add one of their own.
  private static func classes(in folder: String) throws -> [String] {
    try InputFolder.contents(folder).folders.filter { $0 != "__MACOSX" }
  }

  /// The pictures of one part.
  ///
  /// - Parameters:
  ///   - part: The part that is asked for; `nil` if any will do.
  ///   - usual: The part to take then, if the folder has parts.
  /// - Throws: `io` if there is no such part; `badInput` if it has no classes, or a class has no
  ///   picture; `unsupported` for pictures in formats that are not decoded.
  func load(part: DataSpec.Part?, usual: DataSpec.Part) throws -> ImageDataset {
    guard let root = root(part, usual) else {
      throw SwiftletError(
        .io, "there is no folder of this part with folders of classes", at: path,
        fix: "make "
          + Self.names(of: part ?? usual, isNamed: part != nil).map { "\(path)/\($0)" }
          .joined(separator: " or "))
    }
    let own = try Self.classes(in: root)
    guard !own.isEmpty else {
      throw SwiftletError(
        .badInput, "there are no folders of classes", at: root,
        fix: "put the pictures of each class into a folder of its own, or give list:FILE.csv")
    }
    // Classes are numbered as those of the training part: others may lack some.
    let training = root == path ? nil : find(.train)
    let classes = try training.map(Self.classes) ?? own
    var (paths, labels) = ([String](), [Int]())
    for name in own {
      guard let label = classes.firstIndex(of: name) else {
        throw SwiftletError(
          .badInput, "class '\(name)' is not among those of \(training ?? root)",
          at: InputFile.join(root, name), fix: "give both parts the same classes")
      }
      let found = try Self.pictures(in: InputFile.join(root, name))
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

  private func root(_ part: DataSpec.Part?, _ usual: DataSpec.Part) -> String? {
    if let part { return find(part, isNamed: true) }
    // With one part alone, the other is missing; without any, the folder is the whole.
    return find(usual) ?? (hasParts ? nil : path)
  }

  /// The pictures in a folder and below, sorted.
  private static func pictures(in folder: String, depth: Int = 0) throws -> [String] {
    // The system refuses circles of links; this refuses what is merely absurd.
    guard depth < 64 else {
      throw SwiftletError(.badInput, "folders are nested more than 64 deep", at: folder)
    }
    let contents = try InputFolder.contents(folder)
    let own = try contents.files.map { InputFile.join(folder, $0) }.filter(ImageFiles.isPicture)
    return try own
      + contents.folders.flatMap {
        try pictures(in: InputFile.join(folder, $0), depth: depth + 1)
      }
  }
}
