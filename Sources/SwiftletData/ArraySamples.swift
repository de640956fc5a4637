// SPDX-License-Identifier: Apache-2.0

import OrderedCollections
import SwiftletCore
import SwiftletFormats

/// Samples in an array, and what they show in another one: `images` or `x`, and `labels` or `y`, as
/// `numpy.savez` writes them. Arrays with other names are further inputs of the model.
///
/// Parts have their own arrays, as `x_train` or `train_images`; as for folders, `val` comes before
/// `test` unless `test` is asked for.
struct ArraySamples {
  private typealias Named = (name: String, array: StoredArray)

  /// The arrays of one part.
  private struct Group {
    var samples: Named?
    var labels: Named?
    /// Arrays of other names.
    var others: [Named] = []
  }

  private let path: String
  /// By the word for the part; `""` for arrays of none.
  private var groups: [String: Group] = [:]
  private let names: [String]

  private static let sampleNames = ["images", "x"]
  private static let labelNames = ["labels", "y"]

  /// The arrays of a file, or of a folder of files that each hold some of the samples.
  ///
  /// - Throws: As `ArrayFile.open`; `badInput` if two arrays have the same meaning.
  init(reading path: String) throws { try self.init(ArrayFile.open(path), path) }

  /// Samples and labels in npy files.
  ///
  /// - Throws: As `ArrayFile.open`.
  init(samples: String, labels: String?) throws {
    var arrays: OrderedDictionary<String, StoredArray> = [:]
    for (name, path) in [("x", samples), ("y", labels)] {
      guard let path else { continue }
      guard path.hasSuffix(".npy"), let array = try ArrayFile.open(path).values.first else {
        throw SwiftletError(
          .badInput, "this is not the name of an npy file", at: path,
          fix: "give npy:X.npy,Y.npy, or npz: for files of several arrays")
      }
      arrays[name] = array
    }
    try self.init(arrays, labels.map { "\(samples),\($0)" } ?? samples)
  }

  private init(_ arrays: OrderedDictionary<String, StoredArray>, _ path: String) throws {
    (self.path, names) = (path, Array(arrays.keys))
    for (name, array) in arrays {
      let (base, part) = Self.meaning(of: name)
      var group = groups[part] ?? Group()
      let isSamples = Self.sampleNames.contains(base)
      if isSamples || Self.labelNames.contains(base) {
        if let other = isSamples ? group.samples : group.labels {
          throw SwiftletError(
            .badInput,
            "the arrays '\(other.name)' and '\(name)' are both "
              + (isSamples ? "samples" : "labels"), at: path, fix: "leave one of them out")
        }
        if isSamples { group.samples = (name, array) } else { group.labels = (name, array) }
      } else {
        group.others.append((name, array))
      }
      groups[part] = group
    }
    if let plain = groups[""]?.samples, let other = groups.first(where: { $0.key != "" })?.value {
      throw SwiftletError(
        .badInput,
        "'\(plain.name)' is of no part, but '\((other.samples ?? other.labels)!.name)' is",
        at: path, fix: "leave one of them out")
    }
  }

  /// What the name of an array says: `x_train` and `train_images` are of a part.
  private static func meaning(of name: String) -> (base: String, part: String) {
    let words = name.lowercased().split(separator: "_").map(String.init)
    let known = sampleNames + labelNames
    if words.count == 1, known.contains(words[0]) { return (words[0], "") }
    let parts = DataSpec.Part.allCases.flatMap { ImageFolder.names(of: $0, isNamed: false) }
    for (base, part) in words.count == 2 ? [(words[0], words[1]), (words[1], words[0])] : []
    where known.contains(base) && parts.contains(part) {
      return (base, part)
    }
    return (name, "")
  }

  /// Whether there are parts to choose from.
  var hasParts: Bool { groups.contains { $0.key != "" && $0.value.samples != nil } }

  /// The word for a part, if it is there.
  func find(_ part: DataSpec.Part, isNamed: Bool = false) -> String? {
    ImageFolder.names(of: part, isNamed: isNamed).first { groups[$0]?.samples != nil }
  }

  /// Whether the arrays of a part have class labels; their numbers are not read.
  func hasLabels(part: DataSpec.Part?, usual: DataSpec.Part) throws -> Bool {
    guard let labels = try group(part, usual).labels else { return false }
    return Self.areClasses(labels.array)
  }

  /// The samples of one part.
  ///
  /// - Parameters:
  ///   - part: The part that is asked for; `nil` if any will do.
  ///   - usual: The part to take then, if there are parts.
  /// - Throws: `io` if there is no such part; `badInput` if there are no samples, or labels do not
  ///   fit them.
  func load(part: DataSpec.Part?, usual: DataSpec.Part) throws -> ImageDataset {
    let group = try group(part, usual)
    return try locating(path) {
      let samples = try samples(of: group)
      var (classes, targets): ([Int], StoredArray?) = ([], nil)
      if let labels = group.labels {
        let rows = labels.array.shape.dimensions.first ?? 0
        guard rows == samples.count else {
          throw SwiftletError(
            .badInput,
            "array '\(labels.name)' is \(labels.array.shape) for \(samples.count) samples",
            fix: "give one label, or one row of targets, for each sample")
        }
        if Self.areClasses(labels.array) {
          classes = try Self.classes(labels.array, named: labels.name)
        } else {
          try Self.checkTargets(labels.array, named: labels.name)
          targets = labels.array
        }
      }
      let classCount = (classes.max() ?? -1) + 1
      let data =
        switch samples {
        case .images(let images):
          try ImageDataset(name: path, images: images, labels: classes, classCount: classCount)
        case .inputs(let arrays):
          try ImageDataset(name: path, arrays: arrays, labels: classes, classCount: classCount)
        }
      return try targets.map(data.with(targets:)) ?? data.spreadIfSorted()
    }
  }

  private func group(_ part: DataSpec.Part?, _ usual: DataSpec.Part) throws -> Group {
    guard let word = part.map({ find($0, isNamed: true) }) ?? find(usual) ?? (hasParts ? nil : "")
    else {
      let word = (part ?? usual).rawValue
      throw SwiftletError(
        .io, "there are no samples of part '\(word)'", at: path,
        fix: "name arrays x_\(word) and y_\(word); there are " + names.joined(separator: ", "))
    }
    var group = groups[word] ?? Group()
    if word != "" { group.others = groups[""]?.others ?? [] }
    return group
  }

  // MARK: Samples

  private enum Samples {
    case images(StoredImages)
    case inputs(InputArrays)

    var count: Int {
      switch self {
      case .images(let images): images.count
      case .inputs(let arrays): arrays.count
      }
    }
  }

  private func samples(of group: Group) throws -> Samples {
    guard let first = group.samples ?? (group.others.count == 1 ? group.others.first : nil) else {
      guard !group.others.isEmpty else {
        throw SwiftletError(
          .badInput, "there are no samples",
          fix: "name their array 'images' or 'x'"
            + (names.isEmpty ? "" : "; there are " + names.joined(separator: ", ")))
      }
      return .inputs(
        InputArrays(Dictionary(uniqueKeysWithValues: group.others.map { ($0.name, $0.array) })))
    }
    guard first.array.shape.rank > 0 else {
      throw SwiftletError(
        .badInput, "array '\(first.name)' is a single number", fix: "give one row for each sample")
    }
    let others = group.samples == nil ? [] : group.others
    if others.isEmpty, first.array.dtype == .uint8, 3...4 ~= first.array.shape.rank {
      return .images(try locating("array '\(first.name)'") { try StoredImages(first.array) })
    }
    var arrays = Dictionary(uniqueKeysWithValues: others.map { ($0.name, $0.array) })
    arrays[first.name] = first.array
    return .inputs(InputArrays(arrays, main: first.name))
  }

  // MARK: Labels

  /// Whether numbers are classes rather than targets: one integer for each sample.
  private static func areClasses(_ array: StoredArray) -> Bool {
    !array.dtype.isFloat && array.shape.rank > 0 && array.rowShape.count == 1
      && array.shape.rank <= 2
  }

  /// More classes are taken for a mistake.
  private static let mostClasses = 1 << 20

  private static func classes(_ array: StoredArray, named name: String) throws -> [Int] {
    var classes: [Int] = []
    classes.reserveCapacity(array.count)
    try array.forEachPart { part, _ in
      let numbers = part.converted(to: .int64)
      for number in try numbers.require(Int64.self).elements {
        guard 0..<Int64(mostClasses) ~= number else {
          let shown = array.dtype == .uint64 ? "\(UInt64(bitPattern: number))" : "\(number)"
          throw SwiftletError(
            .badInput, "label \(classes.count) of array '\(name)' is \(shown)",
            fix: "number classes from 0 on, below \(mostClasses); save other targets as float32")
        }
        classes.append(Int(number))
      }
    }
    return classes
  }

  /// Refuses NaN and infinities, as far as that is quick.
  private static func checkTargets(_ array: StoredArray, named name: String) throws {
    guard array.dtype.isFloat, array.byteCount <= 64 << 20 else { return }
    try array.forEachPart { part, rows in
      let numbers = try part.converted(to: .float64).require(Double.self)
      guard let place = numbers.elements.firstIndex(where: { !$0.isFinite }) else { return }
      let row = rows.lowerBound + place / max(1, array.rowShape.count)
      throw SwiftletError(
        .badInput, "row \(row) of array '\(name)' has \(numbers.elements[place])",
        fix: "leave such samples out")
    }
  }
}
