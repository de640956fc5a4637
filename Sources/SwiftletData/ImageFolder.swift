// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletFiles

/// A folder of pictures with one folder for each class, as torchvision's `ImageFolder`: classes are
/// numbered in the order of their names, and pictures may lie in folders below.
///
/// `DIR/train`, and `DIR/val`, `DIR/valid`, `DIR/validation` or `DIR/test`, hold the parts if they
/// have folders of classes; otherwise `DIR` itself is all there is.
enum ImageFolder {
  private static func names(of part: DataSpec.Part) -> [String] {
    switch part {
    case .train: ["train"]
    case .test: ["val", "valid", "validation", "test"]
    }
  }

  /// The folder of a part, if there is one.
  static func find(_ part: DataSpec.Part, in folder: String) -> String? {
    names(of: part).lazy.map { InputFile.join(folder, $0) }.first {
      (try? InputFolder.contents($0))?.folders.isEmpty == false
    }
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
        mend: "make " + names(of: part ?? usual).map { "\(folder)/\($0)" }.joined(separator: " or "))
    }
    let classes = try InputFolder.contents(root).folders
    guard !classes.isEmpty else {
      throw SwiftletError(
        .badInput, "there are no folders of classes", at: root,
        mend: "put the pictures of each class into a folder of its own, or give list:FILE.csv")
    }
    var (paths, labels) = ([String](), [Int]())
    for (label, name) in classes.enumerated() {
      let own = try pictures(in: InputFile.join(root, name))
      guard !own.isEmpty else {
        throw SwiftletError(
          .badInput, "there are no pictures of class '\(name)'",
          at: InputFile.join(root, name),
          mend: "add JPEG, PNG, WebP or BMP files, or remove the folder")
      }
      paths += own
      labels += [Int](repeating: label, count: own.count)
    }
    return try ImageDataset(
      name: root, files: ImageFiles(paths), labels: labels, classCount: classes.count,
      classNames: classes)
  }

  private static func root(
    _ folder: String, _ part: DataSpec.Part?, _ usual: DataSpec.Part
  ) throws -> String? {
    if let part { return find(part, in: folder) }
    if let found = find(usual, in: folder) { return found }
    // With one part alone, the other is missing; without any, the folder is the whole.
    return DataSpec.Part.allCases.contains { find($0, in: folder) != nil } ? nil : folder
  }

  /// The pictures in a folder and below, sorted.
  private static func pictures(in folder: String, depth: Int = 0) throws -> [String] {
    // A link may lead back up.
    guard depth < 64 else {
      throw SwiftletError(.badInput, "folders are nested more than 64 deep", at: folder)
    }
    let contents = try InputFolder.contents(folder)
    let own = try contents.files.map { InputFile.join(folder, $0) }.filter(ImageFiles.isPicture)
    return try own + contents.folders.flatMap {
      try pictures(in: InputFile.join(folder, $0), depth: depth + 1)
    }
  }
}
