import SwiftletCore

/// The binary versions of CIFAR-10 and CIFAR-100: records of label bytes and 3×32×32 pixels.
public enum CIFAR: String, Sendable {
  case cifar10, cifar100

  var classCount: Int { self == .cifar10 ? 10 : 100 }

  /// Label bytes of a record; the last one is the class (CIFAR-100 has the coarse class first).
  private var labelBytes: Int { self == .cifar10 ? 1 : 2 }

  private static let imageShape: Shape = [3, 32, 32]

  private var trainFiles: [String] {
    self == .cifar10 ? (1...5).map { "data_batch_\($0).bin" } : ["train.bin"]
  }

  private var testFiles: [String] { self == .cifar10 ? ["test_batch.bin"] : ["test.bin"] }

  /// The folder that the archive unpacks to, looked for inside the given one.
  private var archiveFolder: String {
    self == .cifar10 ? "cifar-10-batches-bin" : "cifar-100-binary"
  }

  private var namesFile: String {
    self == .cifar10 ? "batches.meta.txt" : "fine_label_names.txt"
  }

  /// Reads the training or the test part.
  ///
  /// - Throws: `badInput` naming file and record for a length that is no multiple of the record, or
  ///   a label out of range.
  func read(folder: String, training: Bool) throws -> ImageDataset {
    let inner = "\(folder)/\(archiveFolder)"
    let files = training ? trainFiles : testFiles
    let place = InputFile.exists("\(folder)/\(files[0])") ? folder : inner
    guard InputFile.exists("\(place)/\(files[0])") else {
      throw SwiftletError(
        .badInput, "there is no \(files[0])", at: folder,
        mend: "name the folder that the binary version of \(rawValue) was unpacked to")
    }
    var labels: [Int] = []
    var pixels: [UInt8] = []
    for file in files {
      let path = "\(place)/\(file)"
      try locating(path) { try append(InputFile.read(path, limit: 1 << 30), &labels, &pixels) }
    }
    let images = Tensor<UInt8>(
      Shape([labels.count] + Self.imageShape.dimensions), bytes: pixels.span)
    return try ImageDataset(
      name: "\(rawValue):\(training ? "train" : "test")", images: images, labels: labels,
      classCount: classCount, classNames: try names(in: place))
  }

  private func append(_ bytes: [UInt8], _ labels: inout [Int], _ pixels: inout [UInt8]) throws {
    let record = labelBytes + Self.imageShape.count
    guard !bytes.isEmpty, bytes.count % record == 0 else {
      throw SwiftletError(
        .badInput, "\(bytes.count) bytes are no whole number of \(record)-byte records",
        mend: "the file is cut off, or not of the binary version")
    }
    for start in stride(from: 0, to: bytes.count, by: record) {
      let label = Int(bytes[start + labelBytes - 1])
      guard label < classCount else {
        throw SwiftletError(
          .badInput, "label \(label) is not below \(classCount)", at: "record \(start / record)")
      }
      labels.append(label)
      pixels += bytes[start + labelBytes..<start + record]
    }
  }

  private func names(in folder: String) throws -> [String]? {
    let path = "\(folder)/\(namesFile)"
    guard InputFile.exists(path) else { return nil }
    let text = String(decoding: try InputFile.read(path, limit: 1 << 16), as: UTF8.self)
    let names = text.split(whereSeparator: \.isNewline).map(String.init)
    return names.count == classCount ? names : nil
  }
}
