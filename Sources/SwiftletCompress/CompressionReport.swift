import SwiftletTraining

/// What a compression did, as one document for scripts and one page for people.
public struct CompressionReport: Sendable, Codable {
  public struct Side: Sendable, Codable {
    public let top1: Double
    public let fileBytes: Int
    public let parameters: Int
    public let macs: Int
    public let imagesPerSecond: Double
    public let latencyMs: Double

    init(_ cost: ModelCost, _ accuracy: Evaluation, _ speed: CompressionResult.Speed) {
      top1 = accuracy.top1
      fileBytes = cost.fileBytes
      parameters = cost.parameters
      macs = cost.macs
      imagesPerSecond = speed.imagesPerSecond
      latencyMs = speed.latencyMs
    }
  }

  public let model: String
  public let output: String
  public let techniques: [Technique]
  public let recipe: Recipe
  /// Images that the accuracies were measured on.
  public let images: Int
  public let threads: Int
  public let before: Side
  public let after: Side
  /// Points of top-1 accuracy lost, in percent.
  public let drop: Double
  /// What that many images say about it.
  public let paired: PairedTest
  public let layers: [LayerReport]

  public init(_ result: CompressionResult, model: String, output: String, threads: Int) {
    self.model = model
    self.output = output
    self.threads = threads
    recipe = result.recipe
    techniques = result.recipe.steps.map(\.technique)
    images = result.accuracyAfter.images
    before = Side(result.before, result.accuracyBefore, result.speedBefore)
    after = Side(result.after, result.accuracyAfter, result.speedAfter)
    drop = result.drop
    paired = result.paired
    layers = result.layers
  }

  /// One page that needs nothing else.
  public var html: String {
    let rows = [
      row("top-1", before.top1, after.top1),
      row("file bytes", Double(before.fileBytes), Double(after.fileBytes)),
      row("parameters", Double(before.parameters), Double(after.parameters)),
      row("MACs", Double(before.macs), Double(after.macs)),
      row("images/s, batch 32", before.imagesPerSecond, after.imagesPerSecond),
      row("ms, batch 1", before.latencyMs, after.latencyMs),
    ]
    let layerRows = layers.map { layer in
      let rank = layer.rank.map { "\($0) of \(layer.fullRank ?? $0)" } ?? ""
      let energy = layer.energy.map { "\(($0 * 1e4).rounded() / 100) %" } ?? ""
      return cells([
        layer.layer, layer.technique.rawValue, layer.changed ? "changed" : "kept", rank, energy,
        layer.remark,
      ])
    }
    return """
      <!doctype html>
      <html lang="en"><head><meta charset="utf-8"><title>\(escaped(model)), compressed</title>
      <style>body{font-family:sans-serif;margin:2em;max-width:60em}
      table{border-collapse:collapse;margin:1em 0}td,th{border:1px solid #bbb;padding:.3em .7em}
      th{background:#eee;text-align:left}</style></head><body>
      <h1>\(escaped(model)) → \(escaped(output))</h1>
      <p>Techniques: \(techniques.map(\.rawValue).joined(separator: ", ")). Accuracy on \
      \(images) images: \(escaped(paired.summary)). Speed on \(threads) thread(s), both models in turns.</p>
      <table><tr><th></th><th>before</th><th>after</th><th>after / before</th></tr>
      \(rows.joined(separator: "\n"))
      </table>
      <h2>Layers</h2>
      <table><tr><th>layer</th><th>technique</th><th></th><th>rank</th><th>energy kept</th>\
      <th>remark</th></tr>
      \(layerRows.joined(separator: "\n"))
      </table></body></html>

      """
  }

  private func row(_ name: String, _ before: Double, _ after: Double) -> String {
    func short(_ value: Double) -> String {
      value == value.rounded() && abs(value) < 1e15
        ? "\(Int(value))" : "\((value * 1e4).rounded() / 1e4)"
    }
    return cells([name, short(before), short(after), before > 0 ? short(after / before) : ""])
  }

  private func cells(_ texts: [String]) -> String {
    "<tr>" + texts.map { "<td>\(escaped($0))</td>" }.joined() + "</tr>"
  }

  private func escaped(_ text: String) -> String {
    text.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;")
  }
}
