// SPDX-License-Identifier: Apache-2.0

import SwiftletCharts

/// A self-contained HTML page: no scripts, fonts or pictures from elsewhere. Its content security
/// policy forbids the browser to load any.
struct ReportPage {
  let title: String
  /// The result in one line, under the title.
  let verdict: CompressionVerdict?
  /// Facts in a line under the verdict.
  let facts: [String]
  /// Headline figures, in large type.
  let tiles: [Tile]
  /// The sections of the page.
  let sections: [Section]

  /// A section of the page; its content is HTML.
  struct Section {
    let title: String
    /// What is shown and how to read it, as plain text.
    let explanation: String
    let content: String
  }

  /// A headline figure.
  struct Tile {
    let name, value, detail: String
  }

  /// - Parameter sections: `nil` for sections without content, which are left out.
  init(
    title: String, verdict: CompressionVerdict? = nil, facts: [String?], tiles: [Tile] = [],
    sections: [Section?]
  ) {
    self.title = title
    self.verdict = verdict
    self.facts = facts.compactMap { $0 }.filter { !$0.isEmpty }
    self.tiles = tiles
    self.sections = sections.compactMap { $0 }
  }

  var html: String {
    let verdict = verdict.map { verdict in
      let style = verdict.concerns.isEmpty ? "verdict" : "verdict bad"
      return "<p class=\"\(style)\">\(Markup.escaped(verdict.sentence))</p>"
    }
    let facts = facts.map { "<li>\(Markup.escaped($0))</li>" }.joined()
    let tiles = tiles.map { tile in
      """
      <div class="tile"><span>\(Markup.escaped(tile.name))</span>\
      <b>\(Markup.escaped(tile.value))</b><span>\(Markup.escaped(tile.detail))</span></div>
      """
    }
    let sections = sections.map { section in
      let explanation =
        section.explanation.isEmpty
        ? "" : "<p class=\"why\">\(Markup.escaped(section.explanation))</p>\n"
      return """
        <section><h2>\(Markup.escaped(section.title))</h2>
        \(explanation)\(section.content)
        </section>
        """
    }
    return """
      <!doctype html>
      <html lang="en"><head><meta charset="utf-8">
      <meta name="viewport" content="width=device-width, initial-scale=1">
      <meta name="color-scheme" content="light dark">
      <meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
      <title>\(Markup.escaped(title))</title>
      <style>
      \(Self.style)
      </style></head><body><main>
      <header><h1>\(Markup.escaped(title))</h1>\(verdict ?? "")<ul class="facts">\(facts)</ul>
      \(tiles.isEmpty ? "" : "<div class=\"tiles\">\n\(tiles.joined(separator: "\n"))\n</div>")</header>
      \(sections.joined(separator: "\n"))
      <footer>Made by Swiftlet. The JSON printed by <code>--json</code> has the same numbers.</footer>
      </main></body></html>

      """
  }

  /// The colours are Okabe and Ito's, lighter on a dark background.
  private static let style = """
    :root{--ground:#fff;--card:#f6f7f9;--text:#1b1f24;--soft:#59636e;--line:#d5dae0;--good:#00704f;
    --bad:#b04a00;--c0:#0072b2;--c1:#d55e00;--c2:#009e73;--c3:#b0578f;--c4:#b87d00;--c5:#2b8fc7;
    --c6:#7a828c}
    @media (prefers-color-scheme:dark){:root{--ground:#14171b;--card:#1e2228;--text:#e6e9ed;
    --soft:#a0a9b4;--line:#39404a;--good:#4fcfa4;--bad:#ff9b5c;--c0:#56b4e9;--c1:#ff8c42;--c2:#35c79b;
    --c3:#e39bc4;--c4:#e69f00;--c5:#9ad4f5;--c6:#98a1ac}}
    *{box-sizing:border-box}
    body{margin:0;background:var(--ground);color:var(--text);overflow-wrap:anywhere;
    font:16px/1.5 system-ui,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;-webkit-text-size-adjust:100%}
    main{max-width:1080px;margin:0 auto;padding:24px 24px 48px}
    h1{font-size:1.6rem;line-height:1.25;margin:0 0 .4rem}
    h2{font-size:1.2rem;margin:2.4rem 0 .3rem;padding-top:.8rem;border-top:1px solid var(--line)}
    h3{font-size:1rem;margin:1.2rem 0 .4rem}
    .verdict{font-weight:600;margin:0 0 .5rem}
    .facts{display:flex;flex-wrap:wrap;gap:.1rem .5rem;margin:0;padding:0;list-style:none}
    .facts li+li:before{content:"·";margin-right:.5rem}
    .facts,.why,footer,figcaption,.soft{color:var(--soft);font-size:.9rem}
    .why{margin:.2rem 0 1rem;max-width:68ch}
    footer{margin-top:2.5rem;border-top:1px solid var(--line);padding-top:.8rem}
    .tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px;
    margin:1.4rem 0 0}
    .tile{background:var(--card);border-radius:8px;padding:12px 14px}
    .tile b{display:block;font-size:1.5rem;line-height:1.25;font-variant-numeric:tabular-nums}
    .tile span{display:block;font-size:.85rem;color:var(--soft)}
    .scroll{overflow-x:auto;max-width:100%}
    table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:.92rem}
    table.wide{width:100%}
    th,td{padding:.35rem .7rem;border-bottom:1px solid var(--line);text-align:right;
    vertical-align:baseline;overflow-wrap:normal}
    th:first-child,td:first-child{text-align:left;padding-left:0}
    td.left,th.left{text-align:left}
    td small,th small{display:block;color:var(--soft);font-size:.8rem;font-weight:400}
    td small{white-space:nowrap}td.name small{white-space:normal}
    thead th{color:var(--soft);font-weight:600;font-size:.82rem}
    tr.group th{padding-top:1rem;color:var(--soft);font-weight:600;font-size:.82rem}
    tbody th{font-weight:400;text-align:left}
    .name{overflow-wrap:anywhere;min-width:6rem}
    tr.chosen{font-weight:600}
    .good{color:var(--good)}.bad{color:var(--bad)}
    .figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,330px),1fr));gap:20px}
    .small figcaption{overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
    .figures.small{grid-template-columns:repeat(auto-fit,minmax(min(100%,270px),1fr))}
    figure{margin:0;max-width:560px;min-width:0}
    figcaption{font-weight:600;color:var(--text);margin-bottom:.2rem}
    svg{display:block;width:100%;height:auto;font-family:inherit}
    .axis{stroke:var(--soft)}.grid{stroke:var(--line)}.text{fill:var(--soft)}
    .key{display:flex;flex-wrap:wrap;gap:.2rem 1.2rem;margin:.6rem 0 1rem;padding:0;list-style:none;
    font-size:.9rem}
    .key svg{display:inline-block;width:14px;height:14px;vertical-align:-2px;margin-right:.35rem}
    .layer{display:grid;grid-template-columns:minmax(0,1fr) minmax(0,1fr);gap:.3rem 24px;
    padding:.8rem 0;border-bottom:1px solid var(--line)}
    .layer p{margin:.15rem 0}
    .tag{display:inline-block;border:1px solid var(--line);border-radius:99px;padding:0 .55rem;
    font-size:.78rem;color:var(--soft);margin-left:.35rem}
    .bar{display:grid;grid-template-columns:6.4rem minmax(0,1fr) 5.4rem;gap:.5rem;align-items:center;
    font-size:.82rem;font-variant-numeric:tabular-nums;line-height:1.6}
    .bar span:last-child{text-align:right}
    .bar:has(.b6)~.bar:has(.b1){margin-top:.45rem}
    .track{height:11px;border-radius:2px;background:var(--card)}
    .track i{display:block;height:100%;border-radius:2px;min-width:1px}
    .middle{display:grid;grid-template-columns:1fr 1fr;height:11px;background:var(--card)}
    .middle i{display:block;height:100%}
    .middle .less{justify-self:end;background:var(--c0)}
    .middle .more{grid-column:2;background:var(--c1)}
    .change{display:grid;grid-template-columns:minmax(0,1.5fr) minmax(0,1fr) 6.2rem;gap:.6rem;
    align-items:center;font-size:.88rem;font-variant-numeric:tabular-nums;padding:.15rem 0}
    .change span:last-child{text-align:right}
    .columns{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,330px),1fr));gap:8px 32px}
    summary{cursor:pointer;color:var(--c0);font-size:.88rem}
    pre{overflow-x:auto;background:var(--card);padding:.8rem;border-radius:8px;font-size:.82rem}
    \(rules("s", "stroke"))
    \(rules("f", "fill"))
    \(rules("b", "background"))
    @media (max-width:640px){main{padding:16px 16px 32px}h1{font-size:1.3rem}
    .facts li+li:before{content:none}
    table{font-size:.84rem}th,td{padding:.3rem .3rem}td:last-child,th:last-child{padding-right:0}
    td small,th small{font-size:.74rem}.name{min-width:4.2rem}.layer{grid-template-columns:minmax(0,1fr)}
    .tiles{grid-template-columns:1fr 1fr;gap:8px}.tile{padding:10px}.tile b{font-size:1.25rem}
    .bar{grid-template-columns:5.6rem minmax(0,1fr) 4.9rem}}
    @media print{details{display:block}}
    """

  private static func rules(_ prefix: String, _ property: String) -> String {
    (0...6).map { ".\(prefix)\($0){\(property):var(--c\($0))}" }.joined()
  }
}

/// HTML for tables and bars.
enum ReportPart {
  /// A table cell: text, which is escaped, and a smaller line below it.
  struct Cell {
    var text: String
    var small: String?
    /// CSS classes.
    var style: String?

    init(_ text: String, small: String? = nil, style: String? = nil) {
      self.text = text
      self.small = small
      self.style = style
    }

    fileprivate func html(_ tag: String) -> String {
      let small = small.map { "<small>\(Markup.escaped($0))</small>" } ?? ""
      let style = style.map { " class=\"\($0)\"" } ?? ""
      return "<\(tag)\(style)>\(Markup.escaped(text))\(small)</\(tag)>"
    }
  }

  /// A fact about pictures that were left out; `nil` if there are none.
  static func damaged(_ count: Int) -> String? {
    count == 0 ? nil : "\(count) damaged picture\(count == 1 ? "" : "s") left out"
  }

  static func row(_ cells: [Cell], style: String? = nil) -> String {
    let first = cells.first.map { $0.html("th") } ?? ""
    let attribute = style.map { " class=\"\($0)\"" } ?? ""
    return "<tr\(attribute)>\(first)\(cells.dropFirst().map { $0.html("td") }.joined())</tr>"
  }

  /// A heading row for the rows that follow.
  static func group(_ name: String, columns: Int) -> String {
    "<tr class=\"group\"><th colspan=\"\(columns)\">\(Markup.escaped(name))</th></tr>"
  }

  /// - Parameter rows: The HTML of the rows.
  static func table(_ header: [Cell], _ rows: [String], isWide: Bool = false) -> String {
    """
    <div class="scroll"><table\(isWide ? " class=\"wide\"" : "")>
    <thead><tr>\(header.map { $0.html("th") }.joined())</tr></thead>
    <tbody>
    \(rows.joined(separator: "\n"))
    </tbody></table></div>
    """
  }

  /// A bar with its name and value, with a length relative to the longest one.
  static func bar(_ name: String, _ value: Double, of longest: Double, _ text: String, colour: Int)
    -> String
  {
    let share = longest > 0 && value.isFinite ? max(0, min(1, value / longest)) : 0
    return """
      <div class="bar"><span>\(Markup.escaped(name))</span><span class="track">\
      <i class="b\(colour)" style="width:\(ReportNumber.fixed(share * 100, 1))%"></i></span>\
      <span>\(Markup.escaped(text))</span></div>
      """
  }

  static func figure(_ caption: String, _ svg: String) -> String {
    let caption = Markup.escaped(caption)
    return "<figure><figcaption title=\"\(caption)\">\(caption)</figcaption>\n\(svg)</figure>"
  }
}
