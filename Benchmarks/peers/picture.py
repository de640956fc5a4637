# SPDX-License-Identifier: Apache-2.0
"""The comparison as a picture: a row for each model, thread count and batch, a dot for each peer."""

import math
from html import escape

from engines import ENGINES, OURS, TITLES
from report import NAMES

COLORS = {
    "onnxruntime": "#1f6fb4", "openvino-f32": "#d9662b", "openvino": "#8a55a6",
    "openvino-bf16": "#8a55a6", "torch": "#3a9a4e", "torch-bf16": "#3a9a4e",
    "torch-int8": "#3a9a4e",
}
ROW, GROUP_GAP, LABELS, PANEL, GAP, TOP, BOTTOM, MARGIN = 24, 16, 142, 350, 44, 104, 52, 20


def text(x: float, y: float, content: str, size: int = 12, **style: str) -> str:
    attributes = "".join(f' {key.replace("_", "-")}="{value}"' for key, value in style.items())
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}"{attributes}>{escape(content)}</text>'


def line(x1: float, y1: float, x2: float, y2: float, color: str, width: float = 1) -> str:
    return (f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{color}" '
            f'stroke-width="{width}"/>')


class Scale:
    """Ratios to pixels, doubling by doubling: at least 1/2 to 2, at most 1/16 to 16."""

    def __init__(self, ratios: list[float]):
        self.low = max(-4, min(-1, math.floor(math.log2(min(ratios, default=1)))))
        self.high = min(4, max(1, math.ceil(math.log2(max(ratios, default=1)))))

    def holds(self, ratio: float) -> bool:
        return self.low <= math.log2(ratio) <= self.high

    def x(self, ratio: float) -> float:
        place = min(max(math.log2(ratio), self.low), self.high)
        return (place - self.low) / (self.high - self.low) * PANEL

    def ticks(self) -> list[tuple[float, str]]:
        return [
            (2.0 ** power, f"{2 ** power}x" if power >= 0 else f"1/{2 ** -power}x")
            for power in range(self.low, self.high + 1)
        ]


def row_positions(result: dict) -> tuple[dict[tuple, float], dict[str, float], float]:
    """The height of each row and of each model's heading, and where they end."""
    rows, headings, y = {}, {}, float(TOP)
    for cell in result["cells"]:
        key = (cell["model"], cell["threads"], cell["batch"])
        if cell["model"] not in headings:
            y += GROUP_GAP
            headings[cell["model"]] = y
            y += ROW
        if key not in rows:
            rows[key] = y
            y += ROW
    return rows, headings, y


def legend(engines: list[str], x: float, y: float) -> list[str]:
    parts = []
    for engine in engines:
        parts += [dot(x, y - 4, engine), text(x + 10, y, TITLES[engine])]
        x += 32 + 6.6 * len(TITLES[engine])
    return parts


def dot(x: float, y: float, engine: str, hollow: bool = False) -> str:
    fill, stroke = ("white", COLORS[engine]) if hollow else (COLORS[engine], "white")
    return (f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{4 if hollow else 5}" fill="{fill}" '
            f'stroke="{stroke}" stroke-width="{2 if hollow else 1}"/>')


def axis(left: float, scale: Scale, end: float) -> list[str]:
    parts = []
    for ratio, label in scale.ticks():
        x, equal = left + scale.x(ratio), ratio == 1
        parts.append(line(x, TOP - 8, x, end, "#444" if equal else "#ddd", 1.5 if equal else 1))
        parts.append(text(x, end + 16, label, 11, text_anchor="middle", fill="#555"))
    return parts


def dots(cell: dict, left: float, y: float, scale: Scale) -> list[str]:
    """A line over the range, and the peers' dots, a little apart in height so that none hides another."""
    if not cell["ratios"]:
        status = cell["engines"][OURS]["status"]
        return [text(left + scale.x(1) + 6, y + 4, status, 11, fill="#b00")]
    places = [scale.x(ratio) for ratio in cell["ratios"].values()]
    parts = [line(left + min(places), y, left + max(places), y, "#ccc", 1.5)]
    for index, (engine, ratio) in enumerate(cell["ratios"].items()):
        x, height = left + scale.x(ratio), y + 3 * (index - (len(places) - 1) / 2)
        parts.append(dot(x, height, engine, hollow=engine in cell["inexact"]))
        if not scale.holds(ratio):
            label, anchor = (f"{ratio:.0f}x", "end") if ratio > 1 else (f"1/{1 / ratio:.0f}x", "start")
            parts.append(text(x + (9 if ratio < 1 else -9), height + 10, label, 10,
                              text_anchor=anchor, fill="#555"))
    return parts


def draw(result: dict) -> str:
    rows, headings, end = row_positions(result)
    end -= ROW / 2
    scale = Scale([ratio for cell in result["cells"] for ratio in cell["ratios"].values()])
    precisions = list(dict.fromkeys(cell["precision"] for cell in result["cells"]))
    panels = len(precisions)
    width = MARGIN + LABELS + panels * PANEL + (panels - 1) * GAP + MARGIN
    height = end + BOTTOM
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height:.0f}" '
        'font-family="Helvetica, Arial, DejaVu Sans, sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="white"/>',
        text(MARGIN, 28, "Speed of swiftlet relative to each peer", 17, font_weight="bold"),
        *legend([each for each in ENGINES["fp32"] if each != OURS], MARGIN + 6, 52),
    ]
    for model, y in headings.items():
        parts.append(text(MARGIN, y, NAMES[model], 13, font_weight="bold"))
    for (_, threads, batch), y in rows.items():
        parts.append(text(MARGIN + 8, y, f"{threads} thread{'s' * (threads > 1)}, batch {batch}",
                          fill="#333"))
    for index, precision in enumerate(precisions):
        left = MARGIN + LABELS + index * (PANEL + GAP)
        parts += [text(left, TOP - 22, precision, 14, font_weight="bold"), *axis(left, scale, end)]
        for cell in result["cells"]:
            if cell["precision"] == precision:
                y = rows[cell["model"], cell["threads"], cell["batch"]] - 4
                parts += dots(cell, left, y, scale)
    parts.append(text(MARGIN, end + 40, "Right of 1x swiftlet is faster. Hollow: that peer computes "
                      "in bf16, not in fp32. "
                      f"{result['date']}, {result['cpu']}.", 11, fill="#555"))
    return "\n".join(parts) + "\n</svg>\n"
