# SPDX-License-Identifier: Apache-2.0
"""The comparison as a Markdown page."""

from pathlib import Path

from engines import ENGINES, REFERENCE, TITLES

NAMES = {"seed": "seed CNN", "resnet18": "ResNet-18", "mobilenetv2": "MobileNetV2"}
SECTIONS = {
    "fp32": "fp32",
    "bf16": "bf16: the fp32 files, computed in bf16",
    "int8": "int8: the same QDQ file for every engine except torch, which quantizes the network itself",
    "int7": "int8 with 7-bit weights: onnxruntime's advice for processors without VNNI, where it "
            "saturates with 8 bits (`reduce_range`)",
}
MISSING = {"unsupported": "unsupported", "failed": "failed"}


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] + ["--:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def number(value: float) -> str:
    return f"{value:,.0f}".replace(",", " ") if value >= 100 else f"{value:.1f}"


def speed_cell(row: dict, engine: str) -> str:
    record = row["engines"][engine]
    if record["status"] != "ok":
        return MISSING[record["status"]]
    ratio = row["ratios"].get(engine)
    return number(record["imagesPerSecond"]) + (f" ({ratio:.2f} x)" if ratio else "")


def strongest_cell(row: dict) -> str:
    peer = row["strongest"]
    return f"**{row['ratios'][peer]:.2f} x** {TITLES[peer]}" if peer else ""


def speeds(result: dict, precision: str) -> str:
    peers = ENGINES[precision]
    return table(
        ["model", "threads", "batch", *(TITLES[each] for each in peers), "vs. the strongest"],
        [
            [NAMES[row["model"]], str(row["threads"]), str(row["batch"]),
             *(speed_cell(row, each) for each in peers), strongest_cell(row)]
            for row in result["cells"] if row["precision"] == precision
        ])


def answer_cell(row: dict) -> str:
    if row["status"] != "ok":
        return MISSING[row["status"]]
    agreement = "" if row["precision"] == "fp32" else f", {row['top1Agreement']:.1%}"
    return f"{row['largestDifference']:.1e}{agreement}"


def answers(result: dict) -> str:
    by_key = {(row["model"], row["precision"], row["engine"]): row for row in result["answers"]}
    engines = [each for each in TITLES if each != REFERENCE]
    models = dict.fromkeys((row["model"], row["precision"]) for row in result["answers"])
    return table(
        ["model", *(TITLES[each] for each in engines)],
        [
            [f"{NAMES[model]} {precision}", *(
                answer_cell(by_key[model, precision, each]) if (model, precision, each) in by_key
                else "" for each in engines)]
            for model, precision in models
        ])


def memory(result: dict) -> str:
    def megabytes(row: dict, key: str) -> str:
        return f"{row[key] / 2 ** 20:.0f}" if row["status"] == "ok" else MISSING[row["status"]]

    return table(
        ["MiB", *(TITLES[row["engine"]] for row in result["memory"])],
        [
            [title, *(megabytes(row, key) for row in result["memory"])]
            for title, key in (("added by the model", "addedBytes"), ("idle process", "idleBytes"),
                               ("peak", "peakBytes"))
        ])


def machine(result: dict) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    coretype = result["openblasCoretype"]
    rounds = f"Medians of {result['rounds']} rounds" if result["rounds"] > 1 else "One round"
    busy = result["loadAverage"] > result["processors"] / 4
    return (
        f"{result['date']}; {result['cpu']} ({', '.join(result['flags'])}), "
        f"{result['processors']} processors, load {result['loadAverage']:.1f} at the start; OpenBLAS on "
        f"{result['openblasCore']} kernels (`OPENBLAS_CORETYPE` {coretype or 'not set'}), our kernels: "
        f"{result['isa']}; swiftlet at commit {result['commit'] or 'unknown'}; {versions}. "
        f"{rounds}, {result['seconds']:g} s per turn."
        + " **Others were using the machine: figures are too low, and ratios uncertain.**" * busy)


def markdown(result: dict, picture: Path) -> str:
    parts = [
        "# Swiftlet and its peers: inference",
        "Written by `make bench-peers`; [benchmarks.md](benchmarks.md) describes the method.",
        machine(result),
        f"![speed of swiftlet relative to each peer]({picture})",
        "Images per second; in parentheses swiftlet's speed relative to that peer: above 1, swiftlet is "
        "faster. The last column is the ratio to the strongest peer in the same precision whose fp32 "
        f"answers are within {result['tolerance']:g}.",
        *(part for precision, title in SECTIONS.items()
          if any(row["precision"] == precision for row in result["cells"])
          for part in (f"## {title}", speeds(result, precision))),
        "## Answers",
        "Largest difference from onnxruntime's logits of the same file, relative to the largest logit, "
        "and for bf16 and int8 how often the class is the same. Weights are random"
        + (", except the seed CNN's, which are trained" if result["seedIsTrained"] else "")
        + "; the classes of random networks lie close together, so rounding changes them more often than "
        "in trained ones.",
        answers(result),
    ]
    if result["memory"]:
        parts += ["## Peak memory, ResNet-18 fp32, batch 1, 1 thread", memory(result)]
    return "\n\n".join(part.rstrip("\n") for part in parts) + "\n"
