// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import SwiftletBLAS
public import SwiftletCore
public import SwiftletData
import SwiftletFiles
import SwiftletGraph
import SwiftletKernels
import SwiftletTraining

/// The record of a compression: everything that determines the model's bytes, and everything that
/// was measured. It allows to verify the model and to reproduce it.
public struct Manifest: Sendable, Codable {
  /// A file and its content.
  public struct File: Sendable, Codable, Equatable {
    /// The path, relative to the current directory in memory and to the manifest's folder on disk.
    public let path: String
    /// Size in bytes.
    public let bytes: Int
    /// SHA-256 of the content, hexadecimal.
    public let sha256: String

    /// Reads a file to record its size and digest.
    ///
    /// - Throws: `badInput` if the file cannot be read.
    public init(_ path: String) throws {
      let content = try InputFile.read(path, limit: .max)
      self.path = path
      bytes = content.count
      sha256 = Digest.sha256(content)
    }
  }

  /// Labelled images.
  public struct Images: Sendable, Codable, Equatable {
    /// The name of the data set, which equality ignores.
    public let name: String
    /// Number of images.
    public let count: Int
    /// SHA-256 of images and labels, hexadecimal.
    public let sha256: String

    /// Records a data set.
    ///
    /// - Parameters:
    ///   - images: The data set.
    ///   - progress: Called now and then while files are read.
    /// - Throws: `io` if a picture in a file cannot be read, and what `progress` throws.
    public init(_ images: ImageDataset, progress: Progress.Handler? = nil) throws {
      name = images.name
      count = images.count
      sha256 = try Digest.sha256(images, progress: progress)
    }

    /// Whether both have the same images and labels; names are ignored.
    public static func == (a: Images, b: Images) -> Bool {
      a.count == b.count && a.sha256 == b.sha256
    }
  }

  /// The machine that a model was compressed on.
  public struct Machine: Sendable, Codable, Equatable {
    /// The CPU model.
    public let cpu: String
    /// The instruction set that the kernels used.
    public let isa: String
    /// The configuration of the BLAS library and its core.
    public let blas: String
    /// Number of threads.
    public let threads: Int

    /// Describes this machine.
    public init(threads: Int) {
      cpu = CPU.model
      isa = ISA.current.rawValue
      blas = "\(Backend.configuration), core \(Backend.core)"
      self.threads = threads
    }

    /// Whether both are the same machine, whatever their versions of Swiftlet call its
    /// instructions.
    public static func == (a: Machine, b: Machine) -> Bool {
      (a.cpu, a.blas, a.threads) == (b.cpu, b.blas, b.threads)
        && (ISA(named: a.isa)?.rawValue ?? a.isa) == (ISA(named: b.isa)?.rawValue ?? b.isa)
    }
  }

  /// Samples without labels.
  public struct Samples: Sendable, Codable, Equatable {
    /// Number of samples.
    public let count: Int
    /// SHA-256 of the samples, hexadecimal.
    public let sha256: String

    /// Records samples: of pictures in files the files count, of others what the model gets.
    ///
    /// - Parameters:
    ///   - data: The data set.
    ///   - source: Its samples as a model takes them.
    ///   - progress: Called before each sample.
    /// - Throws: The errors of reading a sample, and what `progress` throws.
    public init(
      _ data: ImageDataset, _ source: CalibrationSource, progress: Progress.Handler? = nil
    ) throws {
      count = source.count
      let isInFiles = if case .files = data.pixels { true } else { false }
      sha256 =
        isInFiles || data.targets != nil || data.hasLabels
        ? try Digest.sha256(data, progress: progress)
        : try source.digest(0..<source.count, progress: progress)
    }
  }

  /// Which data were used, and how.
  public struct Use: Sendable, Codable, Equatable {
    /// The data specification as given; `nil` without data.
    public var data: String?
    /// The specification of the data to judge on, if given.
    public var judge: String?
    /// The fraction used for training or calibration, if given or if one part had to serve both
    /// purposes.
    public var split: Double?
    /// The image preprocessing, if given.
    public var preprocessing: Preprocessing?
    /// Names of the outputs to judge by; empty: all of them.
    public var outputs: [String] = []
    /// Inputs that are the same for all samples, as given: `NAME=FILE` or `NAME=NUMBERS`.
    public var fixed: [String] = []
    /// Values given for symbolic extents of the model, by name; `nil`: none.
    public var extents: [String: Int]?
    /// Number of pictures left out because they cannot be decoded; `nil`: they were not checked.
    public var damaged: Int?
    /// The name of the metric, if one was chosen.
    public var metric: String?

    /// The use of a data specification with no other options.
    public init(data: String?) { self.data = data }
  }

  /// Version of the manifest's format.
  public var format = 1
  /// The version of Swiftlet that made the model.
  public let version: String
  /// The machine it was made on.
  public let machine: Machine
  /// Seed of all random choices.
  public let seed: UInt64
  /// The original model.
  public internal(set) var model: File
  /// The data specification, see ``Use/data``; empty without data.
  public internal(set) var data: String
  /// How the data were used; `nil` in manifests of versions that always judged on the test part or
  /// the named part.
  public internal(set) var use: Use?
  /// The training images; `nil` without labels.
  public let training: Images?
  /// The validation images; `nil` without labels.
  public let validation: Images?
  /// The samples without labels; `nil` with labels or without data.
  public let samples: Samples?
  /// The samples to judge on, if given separately.
  public let judges: Samples?
  /// The recipe after the search for its goals.
  public internal(set) var recipe: Recipe
  /// Layer times in milliseconds that decisions were based on; with them, the same decisions can be
  /// reproduced.
  public let latencies: [String: Double]
  /// The compressed model.
  public internal(set) var output: File
  /// The report of a compression with labels.
  public let report: CompressionReport?
  /// The report of a compression without labels.
  public let answers: UnlabelledReport?

  /// The manifest of a compression with labels.
  public init(
    version: String, threads: Int, seed: UInt64, model: File, use: Use,
    training: Images, validation: Images, latencies: LatencyCache, output: File,
    report: CompressionReport
  ) {
    self.init(
      version, threads, seed, model, use, (training, validation), (nil, nil),
      latencies, output, report.recipe, report, nil)
  }

  /// The manifest of a compression without labels. `samples` is `nil` without data, `judges` if a
  /// part of the samples served for judging.
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

  /// A string that identifies everything that determines the result of a step except the steps
  /// themselves: the model with all its tensors, wherever they are stored, the data, and how they
  /// are used. `data` is the digest of the data for training and calibration.
  ///
  /// - Throws: The errors of `ONNXFile.encode`.
  public static func origin(
    _ context: CompressionContext, data: String, use: Use, version: String
  ) throws -> String {
    var own = use
    // The digest covers what the names stand for.
    (own.data, own.judge, own.damaged) = (nil, nil, nil)
    (own.extents, own.outputs) = (context.original.extents, context.outputs)
    own.metric = context.metric?.name
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    let parts = [
      version, try context.original.digest(), data,
      String(decoding: try encoder.encode(own), as: UTF8.self), "\(context.seed)",
      "\(context.threads.count)", LatencyCache.machine,
    ]
    return parts.joined(separator: " ")
  }

  /// Reads a manifest.
  ///
  /// - Throws: `badInput` if the file is not a manifest.
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
          .badInput, "the file is not a compression manifest",
          fix: "give the .manifest.json that 'swiftlet compress' wrote next to the model")
      }
      return manifest.relocated(from: path)
    }
  }

  /// Writes the manifest as JSON, with paths relative to its folder.
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
