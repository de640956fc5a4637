// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletFiles

/// A folder of pictures with one folder for each class, as torchvision's `ImageFolder`: classes are
/// numbered in the order of their names, and pictures may lie in folders below.
///
/// `DIR/train`, and `DIR/val`, `DIR/valid`, `DIR/validation` or `DIR/test`, hold the parts if they
/// have folders of classes; otherwise `DIR` itself is all there is. With both `val`
/// and `test`, models are judged on `val`, unless `:test` is asked for.
enum ImageFolder {
  /// Names of the folder of a part, the preferred one first; their case does not matter.
  private static func names(of part: DataSpec.Part, isNamed: Bool) -> [String] {
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
  static func find(_ part: DataSpec.Part, in folder: String, isNamed: Bool = false) -> String? {
    let folders = (try? InputFolder.contents(folder).folders) ?? []
    return names(of: part, isNamed: isNamed).lazy
      .compactMap { name in folders.first { $0.lowercased() == name } }
      .map { InputFile.join(folder, $0) }
      .first { (try? classes(in: $0))?.isEmpty == false }
  }

  /// The names of the folders of classes. The archives of macOS add one of their own.
  private static func classes(in folder: String) throws -> [String] {
    try InputFolder.contents(folder).folders.filter { $0 != "__MACOSX" }
  }

  /// The pictures of one part.
  ///
  /// - Parameters:
  ///   - folder: The folder of the parts, or of the classes.
  ///   - part: The part that is asked for; `nil` if any will do.
  ///   - usual: The part to take then, if the folder has parts.
  /// - Throws: `io` if there is no such folder; `badInput` if it has no classes, or a class has no
  ///   picture; `unsupported` for pictures in formats that are not decoded.
  static func load(
    _ folder: String, part: DataSpec.Part?, usual: DataSpec.Part
  ) throws -> ImageDataset {
    _ = try InputFolder.contents(folder)
    guard let root = try root(folder, part, usual) else {
      throw SwiftletError(
        .io, "there is no folder of this part with folders of classes", at: folder,
        fix: "make "
          + names(of: part ?? usual, isNamed: part != nil).map { "\(folder)/\($0)" }
          .joined(separator: " or "))
    }
    let own = try classes(in: root)
    guard !own.isEmpty else {
      throw SwiftletError(
        .badInput, "there are no folders of classes", at: root,
        fix: "put the pictures of each class into a folder of its own, or give list:FILE.csv")
    }
    // Classes are numbered as those of the training part: others may lack some.
    let training = root == folder ? nil : find(.train, in: folder)
    let classes = try training.map(classes) ?? own
    var (paths, labels) = ([String](), [Int]())
    for name in own {
      guard let label = classes.firstIndex(of: name) else {
        throw SwiftletError(
          .badInput, "class '\(name)' is not among those of \(training ?? root)",
          at: InputFile.join(root, name), fix: "give both parts the same classes")
      }
      let found = try pictures(in: InputFile.join(root, name))
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

  private static func root(
    _ folder: String, _ part: DataSpec.Part?, _ usual: DataSpec.Part
  ) throws -> String? {
    if let part { return find(part, in: folder, isNamed: true) }
    if let found = find(usual, in: folder) { return found }
    // With one part alone, the other is missing; without any, the folder is the whole.
    return DataSpec.Part.allCases.contains { find($0, in: folder) != nil } ? nil : folder
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
