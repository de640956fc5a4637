import Glibc
import SwiftletCore

/// A data set as named on the command line: source, part and slice.
///
///     fashion-mnist            cifar100:DIR:train         idx:DIR:test[0..<1000]
///     fashion-mnist[80%]       cifar10:DIR[20%..<40%]
public struct DataSpec: Sendable, Equatable {
  public enum Source: Sendable, Equatable {
    case fashionMNIST
    case cifar(CIFAR, folder: String)
    case idx(folder: String)
  }

  /// The two parts that the data sets come in.
  public enum Part: String, Sendable { case train, test }

  enum Bound: Equatable {
    case index(Int)
    case percent(Double)
  }

  public let source: Source
  /// The part that was named, if any.
  public let part: Part?
  let slice: Slice?

  struct Slice: Sendable, Equatable {
    let lower, upper: Bound
  }

  private init(_ source: Source) {
    self.source = source
    part = nil
    slice = nil
  }

  /// All of the same source, whatever part and slice were named.
  public var counterpart: DataSpec { DataSpec(source) }

  private static let known = "fashion-mnist, cifar10:DIR, cifar100:DIR, idx:DIR"

  /// - Throws: `badInput` or `unsupported` saying what is wrong with the text.
  public init(parsing text: String) throws {
    var rest = Substring(text)
    slice = try Self.takeSlice(&rest, text)
    part = Self.takePart(&rest)
    let (kind, folder) = Self.cut(rest)
    switch (kind, folder) {
    case ("fashion-mnist", nil): source = .fashionMNIST
    case ("cifar10", let folder?): source = .cifar(.cifar10, folder: folder)
    case ("cifar100", let folder?): source = .cifar(.cifar100, folder: folder)
    case ("idx", let folder?): source = .idx(folder: folder)
    case ("cifar10", nil), ("cifar100", nil), ("idx", nil):
      throw SwiftletError(
        .badInput, "data '\(text)' names no folder", mend: "write \(kind):DIR")
    case ("npz", _), ("images", _):
      throw SwiftletError(
        .unsupported, "data of kind '\(kind)'", mend: "this version knows \(Self.known)")
    default:
      throw SwiftletError(
        .badInput, "unknown data '\(text)'", mend: "this version knows \(Self.known)")
    }
  }

  private static func takePart(_ rest: inout Substring) -> Part? {
    for part in [Part.train, .test] where rest.hasSuffix(":\(part.rawValue)") {
      rest = rest.dropLast(part.rawValue.count + 1)
      return part
    }
    return nil
  }

  private static func cut(_ text: Substring) -> (kind: String, folder: String?) {
    guard let colon = text.firstIndex(of: ":") else { return (String(text), nil) }
    let folder = text[text.index(after: colon)...]
    return (String(text[..<colon]), folder.isEmpty ? nil : String(folder))
  }

  private static func takeSlice(_ rest: inout Substring, _ text: String) throws -> Slice? {
    guard rest.hasSuffix("]"), let open = rest.lastIndex(of: "[") else { return nil }
    let inner = rest[rest.index(after: open)...].dropLast()
    rest = rest[..<open]
    let bounds = inner.split(separator: "..<", omittingEmptySubsequences: false)
    let parsed = bounds.compactMap(bound)
    if parsed.count == bounds.count {
      if parsed.count == 2 { return Slice(lower: parsed[0], upper: parsed[1]) }
      if parsed.count == 1, case .percent = parsed[0] {
        return Slice(lower: .index(0), upper: parsed[0])
      }
    }
    throw SwiftletError(
      .badInput, "'[\(inner)]' in '\(text)' is no slice",
      mend: "write [0..<1000], [80%] or [20%..<40%]")
  }

  private static func bound(_ text: Substring) -> Bound? {
    if text.hasSuffix("%") {
      guard let percent = Double(text.dropLast()), 0...100 ~= percent else { return nil }
      return .percent(percent)
    }
    return Int(text).flatMap { $0 >= 0 ? .index($0) : nil }
  }

  // MARK: Loading

  /// Reads the data.
  ///
  /// - Parameters:
  ///   - fallback: The part to read where the text names none.
  ///   - dataDirectory: Where to look for Fashion-MNIST first.
  /// - Throws: `badInput` or `io` naming the file that is missing or damaged.
  public func load(_ fallback: Part, dataDirectory: String? = nil) throws -> ImageDataset {
    let training = (part ?? fallback) == .train
    let whole: ImageDataset
    switch source {
    case .fashionMNIST:
      whole = try FashionMNIST.read(training: training, dataDirectory: dataDirectory)
    case .cifar(let format, let folder):
      whole = try format.read(folder: folder, training: training)
    case .idx(let folder):
      whole = try IDXFolder(folder).read(
        training: training, name: "idx:\(training ? "train" : "test")")
    }
    return try cut(whole)
  }

  private func cut(_ data: ImageDataset) throws -> ImageDataset {
    guard let slice else { return data }
    func position(_ bound: Bound) -> Int {
      switch bound {
      case .index(let index): index
      case .percent(let percent): Int((Double(data.count) * percent / 100).rounded())
      }
    }
    let (lower, upper) = (position(slice.lower), position(slice.upper))
    guard lower < upper, upper <= data.count else {
      throw SwiftletError(
        .badInput, "the slice \(lower)..<\(upper) is empty or beyond the \(data.count) images",
        at: data.name)
    }
    return data.slice(lower..<upper)
  }
}

/// Fashion-MNIST (Xiao, Rasul & Vollgraf 2017): 28×28 pictures of clothing in 10 classes.
enum FashionMNIST {
  private static let classNames = [
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag",
    "Ankle boot",
  ]
  /// Where Debian's package `dataset-fashion-mnist` puts the files.
  private static let debianFolder = "/usr/share/datasets/fashion-mnist"

  static func read(training: Bool, dataDirectory: String?) throws -> ImageDataset {
    let variable = unsafe getenv("SWIFTLET_DATA").map { unsafe String(cString: $0) }
    let roots = [dataDirectory, variable].compactMap { $0 }
    let places = roots.flatMap { [$0, "\($0)/fashion-mnist"] } + [debianFolder]
    guard let folder = places.map(IDXFolder.init).first(where: { $0.has(training: training) })
    else {
      throw SwiftletError(
        .badInput, "Fashion-MNIST is in none of \(places.joined(separator: ", "))",
        mend: "apt-get install dataset-fashion-mnist, or pass --data-dir")
    }
    return try folder.read(
      training: training, name: "fashion-mnist:\(training ? "train" : "test")",
      classNames: classNames)
  }
}

/// A folder with images and labels in idx files, under the names that MNIST made customary.
struct IDXFolder {
  private let folder: String

  init(_ folder: String) { self.folder = folder }

  private func file(_ kind: String, training: Bool) -> String? {
    for part in training ? ["train"] : ["t10k", "test"] {
      for ending in ["", ".gz"] {
        let path = "\(folder)/\(part)-\(kind)\(ending)"
        if InputFile.exists(path) { return path }
      }
    }
    return nil
  }

  func has(training: Bool) -> Bool { file("images-idx3-ubyte", training: training) != nil }

  /// - Parameter classNames: `nil` takes the number of classes from the largest label.
  func read(training: Bool, name: String, classNames: [String]? = nil) throws -> ImageDataset {
    let prefix = training ? "train" : "t10k"
    guard let imageFile = file("images-idx3-ubyte", training: training),
      let labelFile = file("labels-idx1-ubyte", training: training)
    else {
      throw SwiftletError(
        .badInput, "\(prefix)-images-idx3-ubyte[.gz] or \(prefix)-labels-idx1-ubyte[.gz] is missing",
        at: folder)
    }
    let images = try IDX.read(imageFile)
    guard images.shape.rank == 3 else {
      throw SwiftletError(
        .badInput, "images of shape \(images.shape), expected count×height×width", at: imageFile)
    }
    let labels = try IDX.read(labelFile)
    guard labels.shape.rank == 1 else {
      throw SwiftletError(.badInput, "labels of shape \(labels.shape)", at: labelFile)
    }
    let classes = labels.elements.map(Int.init)
    return try locating(labelFile) {
      try ImageDataset(
        name: name,
        images: images.reshaped(to: [images.shape[0], 1, images.shape[1], images.shape[2]]),
        labels: classes, classCount: classNames?.count ?? (classes.max() ?? 0) + 1,
        classNames: classNames)
    }
  }
}
