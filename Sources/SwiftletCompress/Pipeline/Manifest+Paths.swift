// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Glibc
import SwiftletData

extension Manifest {
  /// The manifest with paths relative to the folder of the file it will be written to.
  func relocated(to path: String) -> Manifest {
    let folder = Self.components(Self.folder(of: path))
    return relocated { path in
      let own = Self.components(path)
      let shared = zip(folder, own).prefix { $0 == $1 }.count
      // Paths that share only the root stay absolute.
      guard shared > 0 else { return "/" + own.joined(separator: "/") }
      let up = [String](repeating: "..", count: folder.count - shared)
      let relative = up + own[shared...]
      return relative.isEmpty ? "." : relative.joined(separator: "/")
    }
  }

  /// The manifest read from `path`, with paths relative to the current directory. Manifests of
  /// older versions hold paths relative to the directory where compression ran: a path that does
  /// not exist relative to the manifest's folder is kept as it is.
  func relocated(from path: String) -> Manifest {
    let folder = Self.folder(of: path)
    return relocated { path in
      let own = folder == "." ? path : "\(folder)/\(path)"
      return path.hasPrefix("/") || !FileManager.default.fileExists(atPath: own) ? path : own
    }
  }

  private func relocated(_ change: (String) -> String) -> Manifest {
    func spec(_ text: String) -> String {
      (try? DataSpec(parsing: text))?.movingFolder(change).description ?? text
    }
    var result = self
    result.model = File(change(model.path), of: model)
    result.output = File(change(output.path), of: output)
    result.data = spec(data)
    result.use?.data = use?.data.map(spec)
    result.use?.judge = use?.judge.map(spec)
    if let fixed = use?.fixed { result.use?.fixed = fixed.map { Self.moving($0, change) } }
    for index in recipe.steps.indices {
      result.recipe.steps[index].changePaths(change)
    }
    return result
  }

  /// `state=zeros.npy` with the file's path changed; numbers stay.
  private static func moving(_ fixed: String, _ change: (String) -> String) -> String {
    guard let equals = fixed.lastIndex(of: "=") else { return fixed }
    let value = fixed[fixed.index(after: equals)...]
    let isNumbers = value.split(separator: ",", omittingEmptySubsequences: false)
      .allSatisfy { Double($0) != nil }
    return isNumbers ? fixed : "\(fixed[...equals])\(change(String(value)))"
  }

  private static func folder(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }

  /// The components of an absolute path, with symbolic links resolved if it exists.
  private static func components(_ path: String) -> [String] {
    let whole =
      path.hasPrefix("/") ? path : FileManager.default.currentDirectoryPath + "/" + path
    if let real = unsafe realpath(whole, nil) {
      defer { unsafe free(real) }
      return unsafe String(cString: real).split(separator: "/").map(String.init)
    }
    var parts: [String] = []
    for part in whole.split(separator: "/") where part != "." {
      if part == ".." { parts = Array(parts.dropLast()) } else { parts.append(String(part)) }
    }
    return parts
  }
}

extension Manifest.File {
  /// Another path to the same content.
  fileprivate init(_ path: String, of file: Manifest.File) {
    self.path = path
    (bytes, sha256) = (file.bytes, file.sha256)
  }
}
