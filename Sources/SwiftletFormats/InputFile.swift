import Glibc
import SwiftletCore

/// Files that are read whole.
public enum InputFile {
  /// Whether anything exists at the path.
  public static func exists(_ path: String) -> Bool { unsafe access(path, F_OK) == 0 }

  public static func isDirectory(_ path: String) -> Bool {
    var status = stat()
    return unsafe stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
  }

  /// All bytes of a file.
  ///
  /// - Throws: `io` if it cannot be read, `badInput` if it is a directory or larger than `limit`
  ///   bytes.
  public static func read(_ path: String, limit: Int = 8 << 30) throws -> [UInt8] {
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw systemError("cannot be opened", path) }
    defer { close(descriptor) }
    var status = stat()
    guard unsafe fstat(descriptor, &status) == 0 else { throw systemError("cannot be read", path) }
    guard status.st_mode & S_IFMT != S_IFDIR else {
      throw SwiftletError(.badInput, "is a directory", at: path, mend: "name a file in it")
    }
    let size = Int(status.st_size)
    guard size <= limit else {
      throw SwiftletError(.badInput, "\(size) bytes exceed the limit of \(limit)", at: path)
    }
    // One byte more than the size shows whether the file grew meanwhile (or is a pipe).
    var bytes = [UInt8](repeating: 0, count: size + 1)
    var filled = 0
    while true {
      let count = unsafe bytes.withUnsafeMutableBytes { buffer in
        unsafe Glibc.read(descriptor, buffer.baseAddress! + filled, buffer.count - filled)
      }
      if count < 0 && errno == EINTR { continue }
      guard count >= 0 else { throw systemError("cannot be read", path) }
      if count == 0 { break }
      filled += count
      guard filled <= limit else {
        throw SwiftletError(.badInput, "more than \(limit) bytes", at: path)
      }
      if filled == bytes.count {
        bytes.append(contentsOf: repeatElement(0, count: bytes.count))
      }
    }
    bytes.removeLast(bytes.count - filled)
    return bytes
  }
}

/// An error that says what the operating system answered.
func systemError(_ what: String, _ path: String, code: Int32 = errno) -> SwiftletError {
  SwiftletError(.io, "\(what): \(unsafe String(cString: strerror(code)))", at: path)
}
