import ArgumentParser
import FoundationEssentials
import Swiftlet

struct Compare: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Put the JSON reports of several compressions side by side.",
    discussion: """
      Reads what `swiftlet compress --json` printed. Speeds of one row were measured in turns, so \
      their ratio can be trusted; those of different rows were not.
      """)

  @Argument(help: "JSON files.")
  var reports: [String]

  @OptionGroup var common: CommonOptions

  func run() throws {
    let reports = try reports.map { path in
      try locating(path) {
        let bytes = try InputFile.read(path, limit: 1 << 26)
        guard let report = try? JSONDecoder().decode(CompressionReport.self, from: Data(bytes))
        else {
          throw SwiftletError(
            .badInput, "this is no report of a compression",
            mend: "give what 'swiftlet compress --json' printed")
        }
        return report
      }
    }
    if common.json { return try Console.json(reports) }
    let header = [
      "technique", "top-1", "file bytes", "MACs", "images/s dense", "compressed", "ratio",
      "ms dense", "compressed",
    ]
    let rows = reports.map { report in
      [
        report.techniques.map(\.rawValue).joined(separator: ","),
        fixed(report.after.top1, 4), "\(report.after.fileBytes)", "\(report.after.macs)",
        fixed(report.before.imagesPerSecond, 0), fixed(report.after.imagesPerSecond, 0),
        fixed(report.after.imagesPerSecond / report.before.imagesPerSecond, 2),
        fixed(report.before.latencyMs, 3), fixed(report.after.latencyMs, 3),
      ]
    }
    var dense: [[String]] = []
    if let first = reports.first {
      dense = [
        [
          "(dense)", fixed(first.before.top1, 4), "\(first.before.fileBytes)",
          "\(first.before.macs)", "", "", "", "", "",
        ]
      ]
    }
    print(table([header] + dense + rows))
    print("images/s at batch 32, ms at batch 1, on \(reports.first?.threads ?? 0) thread(s)")
  }
}
