// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletFiles
public import SwiftletFormats

extension CIFAR {
  /// One part of the data set, from the folder with the files or the one that holds the archive's
  /// folder.
  ///
  /// - Throws: `io` naming the file that is missing; `badInput` naming file and record if a length
  ///   or a label is wrong.
  public func load(_ folder: String, part: DataSpec.Part) throws -> ImageDataset {
    let names = part == .train ? trainingFiles : testFiles
    let folder = try locate(names[0], in: folder)
    let files = try names.map { name in
      let path = InputFile.join(folder, name)
      return (path: path, bytes: try InputFile.read(path))
    }
    let (images, labels) = try decode(files)
    return try ImageDataset(
      name: name, images: images, labels: labels, classCount: classCount,
      classNames: try classNames(in: folder))
  }

  /// Names of the files of both parts.
  var fileNames: [String] { trainingFiles + testFiles + [classNamesFile] }

  /// Where the files may be.
  func folders(_ folder: String) -> [String] { [folder, InputFile.join(folder, archiveFolder)] }

  private func locate(_ file: String, in folder: String) throws -> String {
    guard
      let found = folders(folder).first(where: { InputFile.exists(InputFile.join($0, file)) })
    else {
      throw SwiftletError(
        .io, "\(file) is missing", at: folder,
        fix: "unpack the binary version of the data set, \(archiveFolder), there")
    }
    return found
  }

  /// The lines of the file with the class names, if it is there.
  private func classNames(in folder: String) throws -> [String]? {
    let path = InputFile.join(folder, classNamesFile)
    guard InputFile.exists(path) else { return nil }
    let text = String(decoding: try InputFile.read(path, limit: 1 << 16), as: UTF8.self)
    let names = text.split(whereSeparator: \.isNewline).map(String.init)
    guard names.count == classCount else {
      throw SwiftletError(
        .badInput, "there are \(names.count) class names for \(classCount) classes", at: path,
        fix: "fix or remove the file")
    }
    return names
  }
}
