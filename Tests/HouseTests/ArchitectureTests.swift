// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

/// docs/architecture.md says what the manifest and the folders say.
struct ArchitectureTests {
  /// A line of the table of floors.
  private struct Room {
    let floor: Int
    let line: Int
    let text: String
  }

  static let root = URL(filePath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent()

  static func text(_ path: String) throws -> String {
    try String(contentsOf: root.appending(path: path), encoding: .utf8)
  }

  /// The rooms that the table names, by target.
  private func rooms() throws -> [String: Room] {
    var rooms: [String: Room] = [:]
    for (line, text) in try Self.text("docs/architecture.md").split(separator: "\n").enumerated() {
      let cells = text.split(separator: "|", maxSplits: 2).map {
        $0.trimmingCharacters(in: .whitespaces)
      }
      guard text.hasPrefix("|"), cells.count == 3, let floor = Int(cells[0]) else { continue }
      for target in cells[1].split(separator: ", ") {
        #expect(rooms[String(target)] == nil, "\(target) is in the table twice")
        rooms[String(target)] = Room(floor: floor, line: line, text: cells[2])
      }
    }
    return rooms
  }

  /// Folders with sources in `path`, at every depth, as paths below it.
  private func folders(in path: String) throws -> [String] {
    let base = Self.root.appending(path: path).resolvingSymlinksInPath()
    let files = try #require(
      FileManager.default.enumerator(
        at: base, includingPropertiesForKeys: [.isDirectoryKey], options: .skipsHiddenFiles))
    var folders: [String] = []
    for case let url as URL in files where url.pathExtension != "docc" && url.isFolder {
      guard !url.path().contains(".docc/") else { continue }
      folders.append(String(url.path().dropFirst(base.path().count)))
    }
    return folders.map { $0.trimmingCharacters(in: ["/"]) }
  }

  @Test func everyTargetIsOnItsFloor() throws {
    let rooms = try rooms()
    let targets = try Manifest().targets.filter { $0.floor != nil }
    #expect(Set(rooms.keys) == Set(targets.map(\.name)))
    for target in targets {
      guard let room = rooms[target.name] else { continue }
      #expect(room.floor == target.floor, "\(target.name)")
      for dependency in target.dependencies {
        guard let below = rooms[dependency] else { continue }
        #expect(
          below.floor < room.floor || below.floor == room.floor && below.line < room.line,
          "\(target.name) imports \(dependency), which is not below it")
      }
    }
  }

  @Test func everyTargetHasAFolderAndEveryFolderATarget() throws {
    let rooms = try rooms()
    let children = try ["Sources", "CShims"].flatMap { parent in
      try FileManager.default.contentsOfDirectory(
        at: Self.root.appending(path: parent), includingPropertiesForKeys: nil
      ).filter(\.isFolder).map(\.lastPathComponent)
    }
    #expect(Set(rooms.keys) == Set(children))
  }

  /// SwiftPM lets a target import what its dependencies depend on: nothing would say that it does.
  @Test func everyImportIsDeclared() throws {
    let targets = try Manifest().targets
    let known = Set(targets.flatMap { [$0.name] + $0.dependencies })
    for target in targets where !target.folder.hasPrefix("CShims/") {
      let folder = Self.root.appending(path: target.folder).resolvingSymlinksInPath()
      let files = try #require(
        FileManager.default.enumerator(at: folder, includingPropertiesForKeys: nil))
      var isEmpty = true
      for case let file as URL in files where file.pathExtension == "swift" {
        isEmpty = false
        let source = try String(contentsOf: file, encoding: .utf8)
        for line in source.split(separator: "\n") where line.contains("import ") {
          let words = line.split(separator: " ").map(String.init)
          guard let name = words.last, words.dropLast().last == "import", known.contains(name)
          else { continue }
          #expect(
            target.dependencies.contains(name),
            "\(target.name) imports \(name) in \(file.lastPathComponent) without declaring it")
        }
      }
      #expect(!isEmpty, "there are no sources of \(target.name) in \(target.folder)")
    }
  }

  /// `Layers/` stands in the line of its target, and what looks like a folder there is one.
  @Test func everyFolderIsNamed() throws {
    for (target, room) in try rooms() {
      let path = "\(target.hasPrefix("C") ? "CShims" : "Sources")/\(target)"
      let folders = Set(try folders(in: path).flatMap { $0.split(separator: "/").map(String.init) })
        .subtracting(["include"])
      let words = room.text.split { !$0.isLetter && $0 != "/" }.filter { $0.hasSuffix("/") }
      #expect(
        folders == Set(words.map { String($0.dropLast()) }), "\(target) in docs/architecture.md")
    }
  }
}

extension URL {
  fileprivate var isFolder: Bool {
    (try? resourceValues(forKeys: [.isDirectoryKey]))?.isDirectory == true
  }
}
