// SPDX-License-Identifier: Apache-2.0

public import SwiftletCore

/// The binary versions of CIFAR-10 and CIFAR-100: files of records, each with the label bytes
/// followed by a 3×32×32 image (Krizhevsky 2009, https://www.cs.toronto.edu/~kriz/cifar.html).
public struct CIFAR: Sendable {
  package let name: String
  /// The folder that the published archive unpacks to.
  package let archiveFolder: String
  package let trainingFiles: [String]
  package let testFiles: [String]
  /// How many classes each label byte of a record can name; the last one is the label.
  let labelCounts: [Int]
  package let classNamesFile: String

  /// CIFAR-10: ten classes.
  public static let cifar10 = CIFAR(
    name: "cifar10", archiveFolder: "cifar-10-batches-bin",
    trainingFiles: (1...5).map { "data_batch_\($0).bin" }, testFiles: ["test_batch.bin"],
    labelCounts: [10], classNamesFile: "batches.meta.txt")

  /// The label is the fine one, of 100 classes; the coarse one is validated and ignored.
  public static let cifar100 = CIFAR(
    name: "cifar100", archiveFolder: "cifar-100-binary",
    trainingFiles: ["train.bin"], testFiles: ["test.bin"],
    labelCounts: [20, 100], classNamesFile: "fine_label_names.txt")

  private static let pixelCount = 3 * 32 * 32

  private var recordLength: Int { labelCounts.count + Self.pixelCount }
  package var classCount: Int { labelCounts[labelCounts.count - 1] }

  /// The images, N×3×32×32, and labels in the bytes of some files, in their order.
  ///
  /// - Throws: `badInput` naming file and record if a length or a label is wrong.
  package func decode(
    _ files: [(path: String, bytes: [UInt8])]
  ) throws -> (images: Tensor<UInt8>, labels: [Int]) {
    for file in files { try checkLength(file.bytes.count, of: file.path) }
    let count = files.reduce(0) { $0 + $1.bytes.count / recordLength }
    var images = Tensor<UInt8>(uninitialized: [count, 3, 32, 32])
    var labels: [Int] = []
    labels.reserveCapacity(count)
    for file in files { try appendRecords(of: file, to: &images, &labels) }
    return (images, labels)
  }

  /// The bytes of a file with these images and labels; for CIFAR-100, `coarseLabels` are the first
  /// label of each record.
  ///
  /// - Throws: `badInput` if images, labels and classes do not match.
  public func encode(
    _ images: Tensor<UInt8>, labels: [Int], coarseLabels: [Int]? = nil
  ) throws -> [UInt8] {
    let columns = (coarseLabels.map { [$0] } ?? []) + [labels]
    guard images.shape.dimensions == [labels.count, 3, 32, 32],
      columns.count == labelCounts.count, columns.allSatisfy({ $0.count == labels.count })
    else {
      throw SwiftletError(
        .badInput,
        "images of shape \(images.shape) with \(columns.map(\.count)) labels are not \(name)")
    }
    for (column, limit) in zip(columns, labelCounts) {
      guard let wrong = column.first(where: { !(0..<limit ~= $0) }) else { continue }
      throw SwiftletError(.badInput, "\(name): label \(wrong) is not in 0..<\(limit)")
    }
    let pixels = images.elements
    var bytes: [UInt8] = []
    bytes.reserveCapacity(labels.count * recordLength)
    for record in labels.indices {
      bytes += columns.map { UInt8($0[record]) }
      bytes += pixels[record * Self.pixelCount..<(record + 1) * Self.pixelCount]
    }
    return bytes
  }

  private func checkLength(_ length: Int, of path: String) throws {
    guard length > 0, length.isMultiple(of: recordLength) else {
      throw SwiftletError(
        .badInput, "\(length) bytes are not a whole number of records of \(recordLength) bytes",
        at: path, fix: "get a fresh copy of the binary version")
    }
  }

  /// Appends the records that follow the first `labels.count` ones.
  private func appendRecords(
    of file: (path: String, bytes: [UInt8]), to images: inout Tensor<UInt8>, _ labels: inout [Int]
  ) throws {
    let source = file.bytes.span
    var target = images.mutableSpan
    for record in 0..<file.bytes.count / recordLength {
      let start = record * recordLength
      for (position, limit) in labelCounts.enumerated() where source[start + position] >= limit {
        throw SwiftletError(
          .badInput,
          "record \(record) has label \(source[start + position]), which must be in 0..<\(limit)",
          at: "\(file.path), byte \(start + position)", fix: "get a fresh copy")
      }
      let pixels = start + labelCounts.count
      let image = source.extracting(pixels..<pixels + Self.pixelCount)
      target.copy(image, to: labels.count * Self.pixelCount)
      labels.append(Int(source[pixels - 1]))
    }
  }
}
