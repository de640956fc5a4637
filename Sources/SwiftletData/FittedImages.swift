// SPDX-License-Identifier: Apache-2.0

import SwiftletFiles
import Synchronization

/// Pictures that were decoded and fitted, kept for the next time: calibration goes through the same
/// pictures for every layer, training in every epoch.
///
/// What does not fit in half of ``LoaderMemory`` is decoded again. Nothing is ever replaced:
/// runs go through all pictures in turn, where the one that was used longest ago is the next that
/// is needed.
final class FittedImages: Sendable {
  /// Those of the process.
  static let shared = FittedImages()

  private struct Key: Hashable {
    let path: String
    /// A picture that has changed since is another one.
    let identity: String
    let geometry: Preprocessing.Geometry
  }

  private struct State {
    var pixels: [Key: [UInt8]] = [:]
    var bytes = 0
  }

  private let state = Mutex(State())

  /// The pixels of a file, C×H×W; made if they are not known.
  func pixels(
    of path: String, for preprocessing: Preprocessing, _ make: () throws -> [UInt8]
  ) throws -> [UInt8] {
    let key = Key(
      path: path, identity: InputFile.identity(path), geometry: preprocessing.geometry)
    if let known = state.withLock({ $0.pixels[key] }) { return known }
    let made = try make()
    let limit = LoaderMemory.kept
    shrink()
    state.withLock { state in
      guard state.bytes + made.count <= limit, state.pixels[key] == nil else { return }
      state.pixels[key] = made
      state.bytes += made.count
    }
    return made
  }

  /// Keeps no more than the limit, which may have been lowered.
  func shrink() {
    let limit = LoaderMemory.kept
    state.withLock { state in if state.bytes > limit { state = State() } }
  }
}
