// SPDX-License-Identifier: Apache-2.0

import CCrypto
import SwiftletCore

/// SHA-256 digests, in hexadecimal: identify the contents of files and data sets.
@safe package struct Digest {
  private let context: OpaquePointer

  /// Begins a digest of bytes that are added piece by piece; ``finish()`` must follow, once.
  package init() {
    unsafe context = EVP_MD_CTX_new()
    precondition(unsafe EVP_DigestInit_ex(context, EVP_sha256(), nil) == 1, "SHA-256 is missing")
  }

  package func add(_ bytes: Span<UInt8>) {
    unsafe bytes.withUnsafeBufferPointer {
      _ = unsafe EVP_DigestUpdate(context, $0.baseAddress, $0.count)
    }
  }

  /// The digest of what was added, in hexadecimal.
  package func finish() -> String {
    var bytes = [UInt8](repeating: 0, count: 32)
    unsafe bytes.withUnsafeMutableBufferPointer {
      _ = unsafe EVP_DigestFinal_ex(context, $0.baseAddress, nil)
    }
    unsafe EVP_MD_CTX_free(context)
    let digits = Array("0123456789abcdef".utf8)
    return String(
      decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
  }

  package static func sha256(_ bytes: [UInt8]) -> String {
    let digest = Digest()
    digest.add(bytes.span)
    return digest.finish()
  }

  package static func sha256(_ text: String) -> String { sha256(Array(text.utf8)) }
}
