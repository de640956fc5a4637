// SPDX-License-Identifier: Apache-2.0

import SwiftletCharts

extension CompressionReport {
  /// How accuracy and mistakes changed per class.
  var confusionSection: ReportPage.Section? {
    guard let confusion, !confusion.classes.isEmpty else { return nil }
    let classes = changed(confusion.classes)
    let pairs = confusion.pairs.filter {
      confusion.classes.indices.contains($0.label)
        && confusion.classes.indices.contains($0.predicted)
    }
    let worse = pairs.filter { $0.after > $0.before }.prefix(Self.rowLimit)
    let better = pairs.filter { $0.after < $0.before }.prefix(Self.rowLimit)
    guard !pairs.isEmpty || classes.contains(where: { $0.change != 0 }) else { return nil }
    let widest = pairs.map { abs($0.change) }.max() ?? 0
    func list(_ title: String, _ pairs: ArraySlice<Confusion.Pair>) -> String? {
      guard !pairs.isEmpty else { return nil }
      let rows = pairs.map { pair in
        let (label, taken) = (confusion.classes[pair.label], confusion.classes[pair.predicted])
        return change(
          "\(label.name) → \(taken.name)", pair.before, pair.after, of: widest)
      }
      return "<div><h3>\(title)</h3>\n\(rows.joined(separator: "\n"))</div>"
    }
    let columns = [
      list("More often mistaken", worse), list("Less often mistaken", better),
    ].compactMap { $0 }
    var content = "<div class=\"columns\">\(columns.joined(separator: "\n"))</div>"
    if !classes.isEmpty { content += "\n<h3>Images recognised, by class</h3>\n" + table(classes) }
    return ReportPage.Section(
      title: "Changes per class",
      explanation:
        "“shirt → coat” counts shirts classified as coats, before and after. Bars to the "
        + "right are mistakes that became more frequent, bars to the left less frequent.",
      content: content)
  }

  /// Maximum number of rows in a list.
  private static let rowLimit = 8
  /// Maximum number of classes shown; if there are more, those that changed most.
  private static let classLimit = 20

  private func changed(_ classes: [Confusion.Class]) -> [Confusion.Class] {
    let seen = classes.filter { $0.images > 0 }
    guard seen.count > Self.classLimit else { return seen }
    let order = seen.indices.sorted {
      let (a, b) = (seen[$0], seen[$1])
      return (-abs(a.change), $0) < (-abs(b.change), $1)
    }
    return order.prefix(Self.classLimit).map { seen[$0] }
  }

  private func table(_ classes: [Confusion.Class]) -> String {
    let widest = classes.map { abs(points($0)) }.max() ?? 0
    let rows = classes.map { one in
      let change = points(one)
      return """
        <tr><th class="name">\(Markup.escaped(one.name))</th>\
        <td>\(ReportNumber.percent(Double(one.hitsBefore) / Double(one.images)))</td>\
        <td>\(ReportNumber.percent(Double(one.hitsAfter) / Double(one.images)))</td>\
        <td>\(ReportNumber.points(change))</td>\
        <td style="width:24%">\(middleBar(-change, of: widest))</td></tr>
        """
    }
    return ReportPart.table(
      [.init("class"), .init("before"), .init("after"), .init("points"), .init("")], rows,
      isWide: true)
  }

  /// Change of a class's accuracy, in percentage points.
  private func points(_ one: Confusion.Class) -> Double {
    100 * one.change / Double(one.images)
  }

  private func change(
    _ name: String, _ before: Int, _ after: Int, of widest: Double
  ) -> String {
    """
    <div class="change"><span>\(Markup.escaped(name))</span>\
    \(middleBar(Double(after) - Double(before), of: widest))\
    <span>\(ReportNumber.count(before)) → \(ReportNumber.count(after))</span></div>
    """
  }

  /// A bar to the right for worse, to the left for better.
  private func middleBar(_ worse: Double, of widest: Double) -> String {
    let share = widest > 0 && worse.isFinite ? min(1, abs(worse) / widest) * 100 : 0
    let side = worse > 0 ? "more" : "less"
    return """
      <span class="middle"><i class="\(side)" style="width:\(ReportNumber.fixed(share, 1))%"></i></span>
      """
  }
}
