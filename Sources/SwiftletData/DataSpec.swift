// SPDX-License-Identifier: Apache-2.0

import SwiftletCore
import SwiftletFormats

/// Data as named on the command line: `SOURCE[:train|:test][:unlabelled][SLICE…]`.
///
/// | source          | what is read                                                        |
/// |-----------------|---------------------------------------------------------------------|
/// | `fashion-mnist` | where `--data-dir`, `$SWIFTLET_DATA` or Debian's package has it     |
/// | `cifar10:DIR`   | the binary version of CIFAR-10                                      |
/// | `cifar100:DIR`  | the binary version of CIFAR-100, fine labels                        |
/// | `idx:DIR`       | `train-images-idx3-ubyte[.gz]` and its three companions             |
/// | `images:DIR`    | a folder of pictures for each class, or pictures without labels;    |
/// |                 | or `DIR/train` and `DIR/val` with either                            |
/// | `list:FILE`     | the pictures of a CSV or TSV file with `path,label` in each line,   |
/// |                 | or without labels `path`                                            |
/// | `npz:FILE`      | the arrays `images` or `x`, and `labels` or `y`, of an npz or       |
/// |                 | safetensors file, or of a folder of them; also `x_train`, `x_test`  |
/// | `npy:X,Y`       | samples in one npy file, labels in another; `npy:X` without labels  |
/// | `inputs:FILE`   | arrays named after the model's inputs, without labels, in such a    |
/// |                 | file or folder                                                      |
///
/// `:unlabelled` ignores labels: of a folder, all pictures in it and below count, whatever the
/// folders mean. Slices are `[0..<1000]`, `[80%]` (the first 80 %) or `[20%..<80%]`, and apply in
/// order, each to the result of the previous one. `DIR` may contain colons: only a trailing
/// `:train`, `:test` or `:unlabelled` is parsed.
public struct DataSpec: Sendable, Hashable {
  /// Where the images are.
  public enum Source: Sendable, Hashable {
    case fashionMNIST
    case cifar10(folder: String)
    case cifar100(folder: String)
    case idx(folder: String)
    case images(folder: String)
    case list(file: String)
    case npz(path: String)
    case npy(samples: String, labels: String?)
    case inputs(path: String)
  }

  /// The two parts that data sets are published in.
  public enum Part: String, Sendable, Hashable, CaseIterable {
    case train, test
  }

  /// A range of images, with bounds in images or percent.
  public struct Slice: Sendable, Hashable {
    /// One end of a slice.
    public enum Bound: Sendable, Hashable {
      case index(Int)
      /// 0 to 100: the index at that percentage of all images, rounded down.
      case percent(Int)
    }
    /// The first image.
    public let lower: Bound
    /// The image after the last.
    public let upper: Bound

    /// The images from one bound up to another.
    public init(from lower: Bound, to upper: Bound) {
      self.lower = lower
      self.upper = upper
    }
  }

  /// Where the images are.
  public let source: Source
  /// The named part, if any.
  public let part: Part?
  /// Whether labels are ignored.
  public let isUnlabelled: Bool
  /// Ranges that apply one after the other.
  public let slices: [Slice]

  private static let unlabelled = ":unlabelled"

  static let grammar =
    "use images:DIR, list:FILE.csv, fashion-mnist, cifar10:DIR, cifar100:DIR or idx:DIR, then "
    + ":train or :test, or npz:FILE, npy:X.npy,Y.npy or inputs:FILE.npz, then :unlabelled, then "
    + "slices like [0..<1000] or [80%]"

  /// - Throws: `badInput` naming what is wrong and what is valid.
  public init(parsing text: String) throws {
    func invalid(_ what: String) -> SwiftletError {
      SwiftletError(.badInput, what, at: "data '\(text)'", fix: Self.grammar)
    }

    var (rest, slices) = try Slice.trailing(text, invalid)
    isUnlabelled = rest.hasSuffix(Self.unlabelled)
    if isUnlabelled { rest = rest.dropLast(Self.unlabelled.count) }
    let part = Part.allCases.first { rest.hasSuffix(":\($0.rawValue)") }
    if let part { rest = rest.dropLast(part.rawValue.count + 1) }

    let kind = rest.prefix { $0 != ":" }
    let folder = String(rest.dropFirst(kind.count + 1))
    switch kind {
    case "fashion-mnist":
      guard rest == kind else { throw invalid("'\(folder)' is neither train nor test") }
      source = .fashionMNIST
    case "cifar10", "cifar100", "idx", "images", "list", "npz", "npy", "inputs":
      let isFile = ["list", "npz", "npy", "inputs"].contains(kind)
      guard !folder.isEmpty else { throw invalid("\(kind) needs a \(isFile ? "file" : "folder")") }
      guard !isFile || kind == "npz" || part == nil else {
        throw invalid("\(kind): has no parts; name other data with --judge")
      }
      source =
        switch kind {
        case "cifar10": .cifar10(folder: folder)
        case "cifar100": .cifar100(folder: folder)
        case "images": .images(folder: folder)
        case "list": .list(file: folder)
        case "npz": .npz(path: folder)
        case "npy": Self.arrays(folder)
        case "inputs": .inputs(path: folder)
        default: .idx(folder: folder)
        }
    default:
      throw invalid("unknown data source '\(kind)'")
    }
    self.part = part
    self.slices = slices
  }

  /// The source in `X.npy,Y.npy`, or `X.npy`.
  private static func arrays(_ text: String) -> Source {
    guard let comma = text.firstRange(of: ".npy,") else {
      return .npy(samples: text, labels: nil)
    }
    return .npy(
      samples: text[..<comma.lowerBound] + ".npy", labels: String(text[comma.upperBound...]))
  }

  private init(
    _ source: Source, _ part: Part? = nil, isUnlabelled: Bool, _ slices: [Slice] = []
  ) {
    (self.source, self.part, self.slices) = (source, part, slices)
    self.isUnlabelled = isUnlabelled
  }

  /// The same with another folder or file, if it has one.
  package func movingFolder(_ change: (String) -> String) -> DataSpec {
    let moved: Source =
      switch source {
      case .fashionMNIST: .fashionMNIST
      case .cifar10(let folder): .cifar10(folder: change(folder))
      case .cifar100(let folder): .cifar100(folder: change(folder))
      case .idx(let folder): .idx(folder: change(folder))
      case .images(let folder): .images(folder: change(folder))
      case .list(let file): .list(file: change(file))
      case .npz(let path): .npz(path: change(path))
      case .npy(let samples, let labels):
        .npy(samples: change(samples), labels: labels.map(change))
      case .inputs(let path): .inputs(path: change(path))
      }
    return DataSpec(moved, part, isUnlabelled: isUnlabelled, slices)
  }

  /// The same source without part and slices.
  public var whole: DataSpec { DataSpec(source, isUnlabelled: isUnlabelled) }

  /// Whether the data have labels. Of pictures, only folders are listed, or the list is read.
  ///
  /// - Parameter defaultPart: The part that counts if none is named.
  /// - Throws: `io` or `badInput` naming a file or folder that cannot be read.
  public func hasLabels(defaultPart: Part = .train) throws -> Bool {
    guard !isUnlabelled else { return false }
    return switch source {
    case .npz(let path):
      try ArraySamples(reading: path).hasLabels(part: part, usual: defaultPart)
    case .npy(let samples, let labels):
      try ArraySamples(samples: samples, labels: labels).hasLabels(part: nil, usual: defaultPart)
    case .inputs: false
    case .images(let folder): try ImageFolder(folder).hasLabels(part, usual: defaultPart)
    case .list(let file): try ImageList(reading: file).hasLabels
    case .fashionMNIST, .cifar10, .cifar100, .idx: true
    }
  }

  /// Whether there are parts to choose from: folders of pictures and files of arrays are looked
  /// into.
  func hasParts() -> Bool {
    switch source {
    case .images(let folder): (try? ImageFolder(folder))?.hasParts ?? false
    case .npz(let path): (try? ArraySamples(reading: path))?.hasParts ?? false
    case .list, .npy, .inputs: false
    case .fashionMNIST, .cifar10, .cifar100, .idx: true
    }
  }

  /// Whether there may be a part to judge on: folders of pictures and files of arrays are looked
  /// into.
  func mayHaveTestPart() -> Bool {
    switch source {
    case .images(let folder): (try? ImageFolder(folder))?.find(.test) != nil
    case .npz(let path): (try? ArraySamples(reading: path))?.find(.test) != nil
    default: hasParts()
    }
  }

  /// The data to judge on if these are for training or calibration: the test part, if there may be
  /// one and this is not it.
  ///
  /// - Parameter isWhole: Whether all of it counts if no part is named, or the same slice as of
  ///   the training part.
  public func testPart(isWhole: Bool = false) -> DataSpec? {
    guard part != .test, mayHaveTestPart() else { return nil }
    return part == nil && !isWhole ? self : whole
  }

  /// Reads the images; of those in files, only where they are.
  ///
  /// - Parameters:
  ///   - defaultPart: The part to read if none is named. Files of the other part need not exist.
  ///   - dataDirectory: The first folder to look for Fashion-MNIST.
  ///   - damaged: Leaves out pictures that cannot be decoded, after all slices; `nil`: none.
  /// - Throws: `io` or `badInput` naming the file, and `badInput` if a slice exceeds the images or
  ///   no image is left.
  public func load(
    defaultPart: Part, dataDirectory: String? = nil, leavingOut damaged: DamagedPictures? = nil
  ) throws -> ImageDataset {
    try loadPlaced(defaultPart: defaultPart, dataDirectory: dataDirectory, leavingOut: damaged)
      .images
  }

  /// As ``load(defaultPart:dataDirectory:leavingOut:)``, with the positions of the images in their
  /// part, damaged ones included.
  func loadPlaced(
    defaultPart: Part, dataDirectory: String? = nil, leavingOut damaged: DamagedPictures? = nil
  ) throws -> (images: ImageDataset, place: Range<Int>) {
    var images = try listed(defaultPart, dataDirectory, isLenient: damaged != nil)
    try images.requireElements()
    if isUnlabelled { images = images.withoutLabels() }
    let part = self.part ?? defaultPart
    let name =
      "\(source)\(hasParts() ? ":\(part.rawValue)" : "")" + suffix
    var place = 0..<images.count
    for slice in slices {
      let range = try locating(name) { try slice.range(of: images.count) }
      images = images.slice(range)
      place = place.lowerBound + range.lowerBound..<place.lowerBound + range.upperBound
    }
    guard images.count > 0 else { throw SwiftletError(.badInput, "there are no images", at: name) }
    images = images.renamed(name)
    return (try damaged?.removed(from: images) ?? images, place)
  }

  /// The images before they are sliced.
  ///
  /// - Parameter isLenient: Whether files count that cannot be decoded: those that a list names in
  ///   vain, and pictures in other formats.
  func listed(
    _ defaultPart: Part, _ dataDirectory: String? = nil, isLenient: Bool
  ) throws -> ImageDataset {
    let part = self.part ?? defaultPart
    return switch source {
    case .images(let folder):
      try ImageFolder(folder).load(
        self.part, usual: defaultPart, isUnlabelled: isUnlabelled, isLenient: isLenient)
    case .list(let file): try ImageList(reading: file).load(isLenient: isLenient)
    case .npz(let path): try ArraySamples(reading: path).load(part: self.part, usual: defaultPart)
    case .npy(let samples, let labels):
      try ArraySamples(samples: samples, labels: labels).load(part: nil, usual: defaultPart)
    case .inputs(let path): ImageDataset(name: path, arrays: try InputArrays(reading: path))
    case .fashionMNIST:
      try FashionMNIST.load(part, from: FashionMNIST.searchPath(dataDirectory: dataDirectory))
    case .cifar10(let folder): try CIFAR.cifar10.load(folder, part: part)
    case .cifar100(let folder): try CIFAR.cifar100.load(folder, part: part)
    case .idx(let folder): try IDXFolder.load(folder, part: part)
    }
  }

  /// What follows source and part.
  private var suffix: String {
    (isUnlabelled ? Self.unlabelled : "") + slices.map(\.description).joined()
  }
}

extension DataSpec: CustomStringConvertible {
  public var description: String {
    "\(source)\(part.map { ":\($0.rawValue)" } ?? "")" + suffix
  }
}

extension DataSpec.Source: CustomStringConvertible {
  public var description: String {
    switch self {
    case .fashionMNIST: "fashion-mnist"
    case .cifar10(let folder): "cifar10:\(folder)"
    case .cifar100(let folder): "cifar100:\(folder)"
    case .idx(let folder): "idx:\(folder)"
    case .images(let folder): "images:\(folder)"
    case .list(let file): "list:\(file)"
    case .npz(let path): "npz:\(path)"
    case .npy(let samples, let labels): "npy:\(samples)\(labels.map { ",\($0)" } ?? "")"
    case .inputs(let path): "inputs:\(path)"
    }
  }
}

extension DataSpec.Slice: CustomStringConvertible {
  public var description: String { "[\(lower)..<\(upper)]" }

  /// The text before its trailing slices, and the slices.
  static func trailing(
    _ text: String, _ invalid: (String) -> SwiftletError
  ) throws -> (rest: Substring, slices: [DataSpec.Slice]) {
    var rest = text[...]
    var slices: [DataSpec.Slice] = []
    while rest.last == "]", let open = rest.lastIndex(of: "[") {
      guard let slice = DataSpec.Slice(parsing: rest[open...].dropFirst().dropLast()) else {
        throw invalid("\(rest[open...]) is not a slice")
      }
      slices.insert(slice, at: 0)
      rest = rest[..<open]
    }
    return (rest, slices)
  }

  /// The slice between the brackets, or `nil` if it is invalid.
  init?(parsing text: Substring) {
    guard let dots = text.firstRange(of: "..<") else {
      // A single number would be ambiguous.
      guard let upper = Bound(parsing: text), case .percent = upper else { return nil }
      self.init(from: .percent(0), to: upper)
      return
    }
    guard
      let lower = Bound(parsing: text[..<dots.lowerBound]),
      let upper = Bound(parsing: text[dots.upperBound...])
    else { return nil }
    self.init(from: lower, to: upper)
  }

  /// The range of the slice among `count` images.
  ///
  /// - Throws: `badInput` if it is empty, or if there are too few images.
  func range(of count: Int) throws -> Range<Int> {
    let (start, end) = (lower.position(in: count), upper.position(in: count))
    guard start < end, end <= count else {
      throw SwiftletError(
        .badInput, "the slice \(self) of \(count) samples is empty or exceeds them")
    }
    return start..<end
  }
}

extension DataSpec.Slice.Bound: CustomStringConvertible {
  public var description: String {
    switch self {
    case .index(let index): "\(index)"
    case .percent(let percent): "\(percent)%"
    }
  }

  init?(parsing text: Substring) {
    let isPercent = text.last == "%"
    let digits = isPercent ? text.dropLast() : text
    guard digits.allSatisfy({ "0"..."9" ~= $0 }), let number = Int(digits) else { return nil }
    guard !isPercent || number <= 100 else { return nil }
    self = isPercent ? .percent(number) : .index(number)
  }

  func position(in count: Int) -> Int {
    switch self {
    case .index(let index): index
    case .percent(let percent): count / 100 * percent + count % 100 * percent / 100
    }
  }
}
