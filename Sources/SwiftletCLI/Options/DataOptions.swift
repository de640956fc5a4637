// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Swiftlet

/// The data that a command takes, as its help names it.
protocol DataScope: Sendable {
  /// The kinds of `--data`.
  static var kinds: String { get }
  /// How extents are chosen that `--extent` does not set.
  static var extents: String { get }
}

extension DataScope {
  fileprivate static var images: String {
    "Images or arrays, such as images:DIR, list:FILE.csv, npz:FILE or cifar10:DIR:train[0..<1000]"
  }
  static var extents: String { "from the data, else a guess" }
}

/// Images with labels.
enum LabelledData: DataScope {
  static var kinds: String { images }
}

/// Images, or arrays without labels.
enum AnyData: DataScope {
  static var kinds: String { "Images or arrays: images:DIR, npz:FILE, inputs:FILE.npz and others" }
}

/// For commands without `--data`.
enum NoData: DataScope {
  static var kinds: String { "" }
  static var extents: String { "guessed from its name" }
}

/// Options for the data to use.
struct DataOptions<Scope: DataScope>: ParsableArguments {
  @Option(help: ArgumentHelp("\(Scope.kinds). See 'swiftlet help data'.", valueName: "spec"))
  var data: String?

  @Option(
    help: ArgumentHelp(
      "Where to look for fashion-mnist first, before $SWIFTLET_DATA and Debian's package.",
      valueName: "dir"))
  var dataDir: String?

  @OptionGroup var damage: DamageOptions

  /// - Throws: A usage error if there is no `--data`.
  func require() throws {
    if data == nil { throw ValidationError("Missing expected argument '--data <spec>'") }
  }

  /// The value of `--data`; empty if there is none.
  var spec: String { data ?? "" }

  /// Loads the data of the given part, unless `--data` names another one.
  func load(
    _ part: DataSpec.Part, leavingOut damaged: DamagedPictures?
  ) throws -> ImageDataset {
    let images = try DataSpec(parsing: spec).load(
      defaultPart: part, dataDirectory: dataDir, leavingOut: damaged)
    images.sayClasses()
    return images
  }
}

/// The option for pictures that cannot be decoded.
struct DamageOptions: ParsableArguments {
  @Flag(help: "Leave out pictures that cannot be decoded.")
  var skipDamaged = false

  /// What leaves such pictures out; `nil` without the option.
  func pictures(_ threads: Threads) -> DamagedPictures? {
    skipDamaged
      ? DamagedPictures(threads: threads, progress: Console.progress, warn: Console.warn) : nil
  }
}

extension ImageDataset {
  /// Prints the classes of pictures in files, as folders may have been meant otherwise, and warns
  /// if there is only one.
  func sayClasses() {
    if case .files = pixels, let classRemark { Console.say(classRemark) }
    guard count > 1, let first = labels.first, labels.allSatisfy({ $0 == first }) else { return }
    Console.warn("all \(count) images of \(name) have the same class: accuracy says little")
  }
}
