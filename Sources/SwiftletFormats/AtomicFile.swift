import Glibc
import SwiftletCore

/// Files that are written whole or not at all.
public enum AtomicFile {
  /// Writes a file aside, makes it durable, and renames it into place: whoever is killed meanwhile
  /// leaves the previous file.
  ///
  /// - Throws: `io` naming the path; the previous file then is as it was.
  public static func write(_ bytes: [UInt8], to path: String) throws {
    let (folder, temporary) = try aside(path)
    let descriptor = unsafe open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else { throw systemError("cannot be written", path) }
    do {
      defer { close(descriptor) }
      var written = 0
      while written < bytes.count {
        let count = unsafe bytes.withUnsafeBytes {
          unsafe Glibc.write(descriptor, $0.baseAddress! + written, $0.count - written)
        }
        if count < 0 && errno == EINTR { continue }
        guard count > 0 else { throw systemError("cannot be written", path) }
        written += count
      }
      guard fsync(descriptor) == 0 else { throw systemError("cannot be written", path) }
      guard unsafe rename(temporary, path) == 0 else {
        throw systemError("cannot be replaced", path)
      }
    } catch {
      unsafe unlink(temporary)
      throw error
    }
    // The name lives in the folder, which needs its own fsync. Some file systems refuse that.
    let parent = unsafe open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    if parent >= 0 {
      fsync(parent)
      close(parent)
    }
  }

  public static func write(_ text: String, to path: String) throws {
    try write(Array(text.utf8), to: path)
  }

  /// Makes sure, before long work, that its result will have a place to go.
  ///
  /// - Throws: `io` or `badInput` if `path` is a directory or its folder cannot be written to.
  public static func checkWritable(_ path: String) throws {
    guard !InputFile.isDirectory(path) else {
      throw SwiftletError(.badInput, "is a directory", at: path, mend: "name a file in it")
    }
    let (folder, _) = try aside(path)
    guard unsafe access(folder, W_OK | X_OK) == 0 else {
      throw systemError("no file can be written here", folder)
    }
  }

  private static func aside(_ path: String) throws -> (folder: String, temporary: String) {
    guard let name = path.split(separator: "/", omittingEmptySubsequences: false).last,
      !name.isEmpty
    else { throw SwiftletError(.badInput, "'\(path)' is no file name") }
    let folder = path.dropLast(name.count)
    let parent = folder.isEmpty ? "." : String(folder)
    return (parent, "\(folder).\(name).swiftlet-\(getpid())")
  }
}

/// Folders to write files into.
public enum Folder {
  /// Makes a folder, and those above it, where they are missing.
  ///
  /// - Throws: `io` if it cannot be made.
  public static func create(_ path: String) throws {
    guard !InputFile.isDirectory(path) else { return }
    let parent = path.split(separator: "/", omittingEmptySubsequences: false).dropLast()
      .joined(separator: "/")
    if !parent.isEmpty { try create(parent) }
    guard unsafe mkdir(path, 0o777) == 0 || InputFile.isDirectory(path) else {
      throw systemError("no folder can be made", path)
    }
  }
}
