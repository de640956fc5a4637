# SPDX-License-Identifier: Apache-2.0
"""Opens reports in headless Chromium: readable, whole, quiet, offline.

    report.py SWIFTLET [FOLDER]

Trains and compresses a small network, and looks at the page of the compression, at that of a comparison,
and at one with every part that a report can have: at 1280 and 375 pixels, light and dark. Then checks that
the same checks refuse pages that are broken in the ways that they are there for.
"""

import json
import math
import os
import random
import subprocess
import sys
import tempfile
from collections import Counter

from browser import Browser, pixels

# What one look at a page tells.
FACTS = """
(width => {
  const box = e => e.getBoundingClientRect();
  const svgs = [...document.querySelectorAll('figure svg')];
  const outside = [];
  for (const svg of svgs)
    for (const text of svg.querySelectorAll('text')) {
      const [a, b] = [box(text), box(svg)];
      if (a.left < b.left - 1 || a.right > b.right + 1 || a.top < b.top - 1 || a.bottom > b.bottom + 1)
        outside.push(text.textContent);
    }
  const wide = [...document.querySelectorAll('main *')]
    .filter(e => box(e).right > width + 1 && !e.closest('.scroll, pre')).map(e => e.outerHTML.slice(0, 80));
  const rolling = [...document.querySelectorAll('.scroll')].filter(e => e.scrollWidth > e.clientWidth + 1)
    .map(e => e.innerText.slice(0, 40));
  return {
    rolling, scrollWidth: document.documentElement.scrollWidth,
    height: document.documentElement.scrollHeight,
    title: document.title, text: document.body.innerText,
    sections: [...document.querySelectorAll('h2')].map(e => e.innerText),
    flat: [...document.querySelectorAll('section, figure, table')].filter(e => box(e).height < 20).length,
    pictures: svgs.length, small: svgs.filter(e => box(e).width < 200 || box(e).height < 100).length,
    letters: Math.min(99, ...svgs.flatMap(s => [...s.querySelectorAll('text')]).map(t => box(t).height)),
    background: getComputedStyle(document.body).backgroundColor, outside, wide,
  };
})(%d)
"""


def faults(browser, path, width, dark=False, sections=(), picture=None):
    """What is wrong with a page; nothing, if all is well."""
    with browser.open("file://" + path, width, 800, dark) as page:
        facts = page.evaluate(FACTS % width)
        found = page.complaints() + [f"asks for {url}" for url in page.requests()]
        # A phone's browser widens its window for such a page: the window does not tell.
        if facts["scrollWidth"] > width:
            found.append(f"is {facts['scrollWidth']} pixels wide in a window of {width}: {facts['wide'][:3]}")
        if facts["rolling"]:
            found.append(f"tables are wider than the window: {facts['rolling']}")
        if facts["outside"]:
            found.append(f"text sticks out of pictures: {facts['outside'][:5]}")
        if facts["flat"] or facts["small"]:
            found.append(f"{facts['flat']} parts without height, {facts['small']} pictures too small")
        if facts["pictures"] and facts["letters"] < 9:
            found.append(f"letters of {facts['letters']} pixels in pictures")
        if "NaN" in facts["text"] or "nan" in facts["text"].split() or "inf" in facts["text"].split():
            found.append("says nan or inf")
        for section in sections:
            if section not in facts["sections"]:
                found.append(f"has no section '{section}', only {facts['sections']}")
        if facts["height"] < 400:
            found.append(f"is only {facts['height']} pixels high")
        shades = [int(x) for x in facts["background"].strip("rgba()").split(",")[:3]]
        if (sum(shades) < 300) != dark:
            found.append(f"background {facts['background']} in {'dark' if dark else 'light'} mode")
        if picture:
            with open(picture, "wb") as file:
                file.write(page.screenshot())
        colours = Counter(colour for row in pixels(page.screenshot(0.25)) for colour in row)
        share = colours.most_common(1)[0][1] / sum(colours.values())
        if len(colours) < 100 or share > 0.98:
            found.append(f"looks blank: {len(colours)} colours, {share:.1%} of it one of them")
        return found


# MARK: Pages to look at


def put_pictures(folder):
    """Data in MNIST's files: a bright square in one of four corners, not always easily seen."""
    generator = random.Random(1)
    for part, count in [("train", 400), ("t10k", 200)]:
        labels = [index % 4 for index in range(count)]
        images = bytearray()
        for label in labels:
            bright = generator.randint(60, 200)
            shown = label if generator.random() > 0.06 else generator.randrange(4)
            for y in range(12):
                for x in range(12):
                    inside = (y // 6, x // 6) == (shown // 2, shown % 2)
                    images.append(min(255, generator.randint(0, 70) + (bright if inside else 30)))

        def header(*sizes):
            return bytes([0, 0, 8, len(sizes)]) + b"".join(s.to_bytes(4, "big") for s in sizes)

        with open(f"{folder}/{part}-images-idx3-ubyte", "wb") as file:
            file.write(header(count, 12, 12) + images)
        with open(f"{folder}/{part}-labels-idx1-ubyte", "wb") as file:
            file.write(header(count) + bytes(labels))


def make_pages(swiftlet, folder):
    """Runs the commands; returns the pages and the sections that each must have."""
    def run(*arguments):
        result = subprocess.run([swiftlet, *arguments], stdout=subprocess.PIPE, check=False)
        if result.returncode:
            raise SystemExit(f"report test: swiftlet {' '.join(arguments)} ended with {result.returncode}")
        return result.stdout

    put_pictures(folder)
    data = f"idx:{folder}"
    # A name that would be markup, if it were not escaped.
    model = f"{folder}/a<b>&\"c'.onnx"
    run("train", "--data", data, "--epochs", "3", "--batch", "20", "--learning-rate", "1e-3", "--quiet", "-o", model)
    report = json.loads(run(
        # Of the methods, cp has no spectrum.
        "compress", model, "--technique", "lowrank", "--methods", "channel,spatial,tucker",
        "--max-drop", "3", "--data", data, "--json", "--quiet", "-o", f"{folder}/lowrank.onnx", "--report", f"{folder}/compress.html"))
    run("compress", model, "--technique", "quantize", "--data", data, "--json", "--quiet",
        "-o", f"{folder}/int8.onnx")
    run("compare", model, f"{folder}/lowrank.onnx", f"{folder}/int8.onnx", "--data", data, "--seconds", "0.1",
        "--report", f"{folder}/compare.html", "--json", "--quiet")
    with open(f"{folder}/whole.json", "w") as file:
        json.dump(whole(report), file)
    run("compare", f"{folder}/whole.json", "--report", f"{folder}/whole.html", "--quiet")
    usual = ["Before and after", "Trade-off", "Layers", "Recipe"]
    return {
        "compress": usual + ["Spectra"],
        "compare": ["Accuracy and size", "Trade-off", "Median time per run, ms"],
        "whole": usual + ["Changes per class", "Spectra", "Training"],
    }


def whole(report):
    """The report with every part that there is, with names that are long or would be markup."""
    generator = random.Random(2)
    for index, layer in enumerate(report["layers"]):
        size = 32 * (index + 1)
        spectrum = [math.exp(-k / (6 + 5 * index)) + 1e-5 for k in range(size)]
        total = sum(spectrum)
        rank = size // 3
        layer.update(
            spectrum=[s / total for s in spectrum], rank=rank, fullRank=size, changed=index != 0,
            energy=sum(spectrum[:rank]) / total, damage=0.004 * (index + 1), plainDamage=0.0061 * (index + 1),
            millisecondsBefore=0.31 * (index + 1), millisecondsAfter=0.19 * (index + 1) + (0.15 if not index else 0),
            rejected=[
                {"choice": f"tucker {rank}×{rank}", "milliseconds": 0.27, "damage": 0.0032, "reason": "not faster"},
                {"choice": "channel 16", "milliseconds": 0.11, "damage": 0.21,
                 "reason": "more damage for the time it saves"}])
    report["layers"][0]["layer"] = "/backbone/stage1/block0/very_long_layer_name_without_spaces_" + "x" * 60
    report["layers"][-1]["remark"] = "<script>console.error('not escaped')</script><img src=x>"
    report["candidates"] = [
        {"label": f"ratio {0.1 * (k + 1):.1f}", "top1": 0.5 + 0.44 * (1 - math.exp(-k / 2)),
         "milliseconds": 0.7 + 0.12 * k, "bytes": 150_000 * (k + 1), "chosen": k == 7,
         "reason": None if k == 7 else "top-1 drops by more than 0.5 points"} for k in range(9)]
    report["candidates"].append({"label": "ratio 1.0", "bytes": 2_400_000, "chosen": False, "reason": "too large"})
    epochs = [
        {"epoch": k + 1, "trainingLoss": 1.2 * 0.8 ** k, "trainingTop1": 0.95 - 0.3 * 0.7 ** k,
         "validationLoss": 1.1 * 0.82 ** k + 0.05 * generator.random(), "validationTop1": 0.93 - 0.28 * 0.7 ** k,
         "learningRate": 1e-3, "seconds": 1, "imagesPerSecond": 1000} for k in range(8)]
    report["histories"] = [{"stage": "distill", "history": {"epochs": epochs}},
                           {"stage": "quantize <trained>", "history": {"epochs": epochs[:1]}}]
    names = ["T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"]
    report["confusion"] = {
        "classes": [{"name": name, "images": 1000, "hitsBefore": 900 - 13 * k, "hitsAfter": 890 - 11 * k + 4 * (k % 3)}
                    for k, name in enumerate(names)],
        "pairs": [{"label": k, "predicted": (k + 3) % 10, "before": 20 + k, "after": 20 + k + (-1) ** k * (15 - k)}
                  for k in range(10)]}
    return report


# MARK: Broken pages

BROKEN = {
    "wide": ("pixels wide in a window", lambda page: page.replace("<main>", "<main><div style='width:900px'>x</div>")),
    "blank": ("looks blank", lambda page: page.replace("</style>", "main{visibility:hidden}</style>")),
    "noisy": ("log: ", lambda page: page.replace("</main>", "<script>console.error('x')</script></main>")),
    "throwing": ("exception", lambda page: page.replace("http-equiv", "name").replace(
        "</main>", "<script>throw new Error('x')</script></main>")),
    "online": ("asks for", lambda page: page.replace("http-equiv", "name").replace(
        "</main>", "<img src='http://example.org/a.png'></main>")),
    "clipped": ("sticks out", lambda page: page.replace("viewBox=\"0 0 360 ", "viewBox=\"40 0 260 ")),
    "flat": ("without height", lambda page: page.replace("<section>", "<section style='height:0'>", 1)),
    "light": ("background", lambda page: page.replace("prefers-color-scheme:dark", "prefers-color-scheme:none")),
}


def main():
    swiftlet = os.path.abspath(sys.argv[1])
    with tempfile.TemporaryDirectory() as temporary, Browser() as browser:
        folder = os.path.abspath(sys.argv[2]) if len(sys.argv) > 2 else temporary
        os.makedirs(folder, exist_ok=True)
        pages = make_pages(swiftlet, folder)
        failures = 0
        for name, sections in pages.items():
            for width, dark in [(1280, False), (375, False), (375, True), (1280, True)]:
                label = f"{name} at {width}, {'dark' if dark else 'light'}"
                picture = f"{folder}/{name}-{width}{'-dark' if dark else ''}.png"
                found = faults(browser, f"{folder}/{name}.html", width, dark, sections, picture)
                failures += bool(found)
                print(f"{'FAILED' if found else 'ok':6} {label}" + "".join(f"\n       {fault}" for fault in found))
        with open(f"{folder}/whole.html") as file:
            page = file.read()
        for name, (symptom, damage) in BROKEN.items():
            path = f"{folder}/broken-{name}.html"
            with open(path, "w") as file:
                file.write(damage(page))
            found = faults(browser, path, 375, dark=name == "light")
            seen = any(symptom in fault for fault in found)
            failures += not seen
            print(f"{'ok' if seen else 'FAILED':6} a page that is {name} is refused" + ("" if seen else f": {found}"))
    if failures:
        raise SystemExit(f"report test: {failures} failed")


if __name__ == "__main__":
    main()
