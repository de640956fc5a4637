// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import SwiftletBLAS
import SwiftletCore
public import SwiftletData
import SwiftletFiles
import SwiftletGraph
import SwiftletKernels
import SwiftletTraining

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

    public init(_ images: ImageDataset) throws {
      name = images.name
      count = images.count
      sha256 = try Digest.sha256(images)
    }

    /// Whether both are the same images with the same labels, whatever they are called.
    public static func == (a: Images, b: Images) -> Bool {
      a.count == b.count && a.sha256 == b.sha256
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

  /// Inputs without labels.
  public struct Samples: Sendable, Codable, Equatable {
    public let count: Int
    public let sha256: String

    /// - Throws: `badInput` if a sample cannot be made.
    public init(_ source: CalibrationSource) throws {
      count = source.count
      sha256 = try source.digest(0..<source.count)
    }
  }

  /// What data were used, and how.
  public struct Use: Sendable, Codable, Equatable {
    /// The data as they were named; those to judge on, if they were named; `nil` without data.
    public var data: String?
    public var judge: String?
    /// The fraction that was trained or calibrated with, if one was given or one part had to serve
    /// for both.
    public var split: Double?
    /// What is done to images, where that was given.
    public var preprocessing: Preprocessing?
    /// Outputs that count; none: all of them.
    public var outputs: [String] = []
    /// Inputs that are the same for all samples, as they were given.
    public var fixed: [String] = []
    /// What extents of the model were given that it leaves open, by name; `nil`: none.
    public var extents: [String: Int]?

    public init(data: String?) { self.data = data }
  }

  /// Of the manifest's own form.
  public var format = 1
  public let version: String
  public let machine: Machine
  public let seed: UInt64
  public internal(set) var model: File
  /// As ``Use/data``; empty without data.
  public internal(set) var data: String
  /// `nil` in manifests of versions that judged on the test part, or on the part that was named,
  /// and nothing else.
  public internal(set) var use: Use?
  /// Of labelled images.
  public let training: Images?
  public let validation: Images?
  /// Of inputs without labels, and of those to judge on, if they are others.
  public let samples: Samples?
  public let judges: Samples?
  /// What was asked for, and what came out of the search for its goals.
  public internal(set) var recipe: Recipe
  /// Times that decisions rest on, in milliseconds: made again with these, decisions are the same.
  public let latencies: [String: Double]
  public internal(set) var output: File
  /// With labels, and without.
  public let report: CompressionReport?
  public let answers: UnlabelledReport?

  /// Of a compression with labels.
  public init(
    version: String, threads: Int, seed: UInt64, model: File, use: Use,
    training: ImageDataset, validation: ImageDataset, latencies: LatencyCache, output: File,
    report: CompressionReport
  ) throws {
    self.init(
      version, threads, seed, model, use, (try Images(training), try Images(validation)),
      (nil, nil),
      latencies, output, report.recipe, report, nil)
  }

  /// Of a compression without labels; `samples` are `nil` without data, `judges` if they are among
  /// the samples.
  public init(
    version: String, threads: Int, seed: UInt64, model: File, use: Use, samples: Samples?,
    judges: Samples?, latencies: LatencyCache, output: File, answers: UnlabelledReport
  ) {
    self.init(
      version, threads, seed, model, use, (nil, nil), (samples, judges), latencies, output,
      answers.recipe, nil, answers)
  }

  private init(
    _ version: String, _ threads: Int, _ seed: UInt64, _ model: File, _ use: Use,
    _ images: (training: Images?, validation: Images?),
    _ samples: (all: Samples?, judges: Samples?), _ latencies: LatencyCache, _ output: File,
    _ recipe: Recipe, _ report: CompressionReport?, _ answers: UnlabelledReport?
  ) {
    self.version = version
    machine = Machine(threads: threads)
    self.seed = seed
    self.model = model
    data = use.data ?? ""
    self.use = use
    (training, validation) = images
    (self.samples, judges) = samples
    self.recipe = recipe
    self.latencies = latencies.used
    self.output = output
    (self.report, self.answers) = (report, answers)
  }

  /// Names all that decides what a step makes, but for the steps themselves: the model with all its
  /// tensors, wherever they are stored, the data, and how both are looked at. `data` is the digest
  /// of what is trained and calibrated with.
  ///
  /// - Throws: As `ONNXFile.encode`.
  public static func origin(
    _ context: CompressionContext, data: String, use: Use, version: String
  ) throws -> String {
    var own = use
    // Names say nothing that the digest does not.
    (own.data, own.judge) = (nil, nil)
    (own.extents, own.outputs) = (context.original.extents, context.outputs)
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    let parts = [
      version, try context.original.digest(), data,
      String(decoding: try encoder.encode(own), as: UTF8.self), "\(context.seed)",
      "\(context.threads.count)", LatencyCache.machine,
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
      return manifest.relocated(from: path)
    }
  }

  /// Paths are written as seen from the manifest's folder.
  ///
  /// - Throws: `badInput` if the file cannot be written.
  public func write(to path: String) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
    encoder.nonConformingFloatEncodingStrategy = .convertToString(
      positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
    let text = String(decoding: try encoder.encode(relocated(to: path)), as: UTF8.self)
    try AtomicFile.write(text, to: path)
  }
}
