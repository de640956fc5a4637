import FoundationEssentials
import SwiftletBLAS
import SwiftletCore
public import SwiftletFormats
import SwiftletGraph
import SwiftletKernels

/// How a compressed model came to be: everything that decides its bytes, and everything that was
/// measured on the way. With it the model can be checked, and made again.
public struct Manifest: Sendable, Codable {
  public struct File: Sendable, Codable, Equatable {
    public let path: String
    public let bytes: Int
    public let sha256: String

    /// - Throws: `badInput` if the file cannot be read.
    public init(_ path: String) throws {
      let content = try InputFile.read(path, limit: .max)
      self.path = path
      bytes = content.count
      sha256 = Digest.sha256(content)
    }
  }

  public struct Images: Sendable, Codable, Equatable {
    public let name: String
    public let count: Int
    public let sha256: String

    public init(_ images: ImageDataset) {
      name = images.name
      count = images.count
      sha256 = Digest.sha256(images)
    }
  }

  /// Where it was made.
  public struct Machine: Sendable, Codable, Equatable {
    public let cpu: String
    public let isa: String
    public let blas: String
    public let threads: Int

    public init(threads: Int) {
      cpu = CPU.model
      isa = ISA.current.rawValue
      blas = "\(Backend.configuration), core \(Backend.core)"
      self.threads = threads
    }
  }

  /// Of the manifest's own form.
  public var format = 1
  public let version: String
  public let machine: Machine
  public let seed: UInt64
  public let model: File
  public let data: String
  /// What extents of the model were given that it leaves open, by name; `nil`: none.
  public let extents: [String: Int]?
  public let training: Images
  public let validation: Images
  /// What was asked for, and what came out of the search for its goals.
  public let recipe: Recipe
  /// Times that decisions rest on, in milliseconds: made again with these, decisions are the same.
  public let latencies: [String: Double]
  public let output: File
  public let report: CompressionReport

  public init(
    version: String, threads: Int, seed: UInt64, model: File, data: String,
    extents: [String: Int] = [:], training: ImageDataset, validation: ImageDataset,
    latencies: LatencyCache, output: File,
    report: CompressionReport
  ) {
    self.version = version
    machine = Machine(threads: threads)
    self.seed = seed
    self.model = model
    self.data = data
    self.extents = extents.isEmpty ? nil : extents
    self.training = Images(training)
    self.validation = Images(validation)
    recipe = report.recipe
    self.latencies = latencies.used
    self.output = output
    self.report = report
  }

  /// Names all that decides what a step makes, but for the steps themselves: the model with all its tensors,
  /// wherever they are stored, the data, and how both are looked at.
  ///
  /// - Throws: As `ONNXFile.serialized`.
  public static func origin(
    _ context: CompressionContext, version: String
  ) throws -> String {
    let extents = context.original.extents.sorted { $0.key < $1.key }
      .map { "\($0.key)=\($0.value)" }
    let parts = [
      version, try context.original.digest(), Digest.sha256(try context.training),
      Digest.sha256(try context.validation), "\(context.seed)", "\(context.threads.count)",
      LatencyCache.machine, "\(extents)", "\(context.outputs)",
    ]
    return parts.joined(separator: " ")
  }

  /// - Throws: `badInput` if the file is no manifest.
  public init(reading path: String) throws {
    self = try locating(path) {
      let bytes = try InputFile.read(path, limit: 1 << 28)
      let decoder = JSONDecoder()
      decoder.nonConformingFloatDecodingStrategy = .convertFromString(
        positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
      guard let manifest = try? decoder.decode(Manifest.self, from: Data(bytes)),
        manifest.format == 1
      else {
        throw SwiftletError(
          .badInput, "this is no manifest of a compression",
          mend: "give the .manifest.json that 'swiftlet compress' wrote beside the model")
      }
      return manifest
    }
  }

  /// - Throws: `badInput` if the file cannot be written.
  public func write(to path: String) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
    encoder.nonConformingFloatEncodingStrategy = .convertToString(
      positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
    try AtomicFile.write(String(decoding: encoder.encode(self), as: UTF8.self), to: path)
  }
}
