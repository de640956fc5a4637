# SPDX-License-Identifier: Apache-2.0
"""Compares Swiftlet's inference with onnxruntime, OpenVINO and torch: the same models, images and
threads, in turns, in one run. Called by `make bench-peers-inference`.

Every turn is a process of its own, so no peer's threads spin while another is measured; the engines
take turns within each round, and ratios are formed within a round.
"""

import argparse
import importlib.metadata
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import engines
import picture
import report

HERE = Path(__file__).parent
BATCHES = {"seed": [1, 32, 256], "resnet18": [1, 8], "mobilenetv2": [1, 8]}
PACKAGES = ["numpy", "onnx", "onnxruntime", "openvino", "torch"]
FLAGS = ("avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "avx_vnni", "amx_int8", "amx_bf16")
MEMORY_MODEL = ("resnet18", "fp32", 1, 1)  # model, precision, batch, threads
TOLERANCE = 1e-4  # of fp32 logits, relative to the largest one


@dataclass(frozen=True)
class Cell:
    model: str
    precision: str
    batch: int
    threads: int

    def __str__(self) -> str:
        return f"{self.model} {self.precision} batch {self.batch}, {self.threads} thread(s)"

    def path(self, folder: Path) -> Path:
        return engines.path(folder, self.model, self.precision)


def parse_arguments() -> argparse.Namespace:
    def numbers(text: str) -> list[int]:
        return [int(each) for each in text.split(",")]

    processors = len(os.sched_getaffinity(0))
    parser = argparse.ArgumentParser(prog="run.sh inference", description=__doc__)
    parser.add_argument("out", type=Path, help="folder for models, peers.json and, unless the run "
                        "is complete, peers.md and peers.svg")
    parser.add_argument("--quick", action="store_true", help="the seed CNN only, 2 short rounds")
    parser.add_argument("--models", type=lambda text: text.split(","), help=",".join(BATCHES))
    parser.add_argument("--precisions", type=lambda text: text.split(","),
                        help=",".join(engines.ENGINES))
    parser.add_argument("--batches", type=numbers, help="default: 1,32,256, and 1,8 at 224 pixels")
    parser.add_argument("--threads", type=numbers, default=[1, 2] if processors > 1 else [1])
    parser.add_argument("--rounds", type=int, help="default: 3")
    parser.add_argument("--seconds", type=float, help="of each turn; default: 1")
    parser.add_argument("--docs", type=Path, help="folder for peers.md and pictures/peers.svg; "
                        "default: docs/ where the run covers all models, batches and rounds")
    options = parser.parse_args()
    complete = options.threads == [1, 2] and not (
        options.quick or options.models or options.batches or options.precisions)
    options.precisions = options.precisions or list(engines.ENGINES)
    if unknown := set(options.precisions) - set(engines.ENGINES):
        parser.error(f"unknown precisions: {', '.join(sorted(unknown))}")
    options.models = options.models or (["seed"] if options.quick else list(BATCHES))
    if unknown := set(options.models) - set(BATCHES):
        parser.error(f"unknown models: {', '.join(sorted(unknown))}")
    options.rounds = options.rounds or (2 if options.quick else 3)
    options.seconds = options.seconds or (0.3 if options.quick else 1)
    if options.docs is None and complete and options.rounds >= 3:
        options.docs = HERE.parent.parent / "docs"
    if shutil.which(engines.SWIFTLET) is None:
        parser.error(f"there is no command '{engines.SWIFTLET}': set SWIFTLET to its path")
    return options


def commit_of(binary: str) -> str | None:
    """The commit of the working copy that the binary lies in, and whether files are changed."""
    def git(*arguments: str) -> str | None:
        result = subprocess.run(
            ["git", "-C", str(Path(binary).parent), *arguments], capture_output=True, text=True)
        return result.stdout.strip() if result.returncode == 0 else None

    head = git("rev-parse", "--short", "HEAD")
    changed = git("status", "--porcelain", "--untracked-files=no")
    return head and head + (" with local changes" if changed else "")


def environment() -> dict:
    doctor = engines.document([engines.SWIFTLET, "doctor", "--json"])
    cpu = dict(
        map(str.strip, line.split(":", 1))
        for line in Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines())
    flags = cpu.get("flags", "").split()
    return {
        "date": time.strftime("%Y-%m-%d"),
        "cpu": f"{doctor['cpu']}, family {cpu.get('cpu family')}, model {cpu.get('model')}",
        "flags": [flag for flag in FLAGS if flag in flags],
        "processors": len(os.sched_getaffinity(0)),
        "loadAverage": os.getloadavg()[0],
        "openblasCore": doctor["blas"].get("core"),
        "openblasCoretype": os.environ.get("OPENBLAS_CORETYPE"),
        "isa": doctor["isa"],
        "commit": commit_of(shutil.which(engines.SWIFTLET)),
        "versions": {
            "swiftlet": doctor["version"], "python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in PACKAGES},
        },
    }


def note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def measure(cells: list[Cell], folder: Path, rounds: int, seconds: float) -> list[dict]:
    """Every cell with each engine's speeds by round, or why it has none."""
    rows = [
        {**asdict(cell), "engines": {
            engine: {"status": "ok", "rounds": []}
            for engine in engines.ENGINES[cell.precision]
        }} for cell in cells
    ]
    for number in range(rounds):
        for cell, row in zip(cells, rows):
            # Nobody always follows the same neighbour.
            order = list(row["engines"].items())
            start = number % len(order)
            for engine, record in order[start:] + order[:start]:
                if record["status"] != "ok":
                    continue
                turn, speed = engines.speed(
                    engine, cell.path(folder), cell.precision, cell.batch, cell.threads, seconds)
                if turn.status != "ok":
                    record.update(status=turn.status, message=turn.message)
                    note(f"{engine} on {cell}: {turn.status}: {turn.message}")
                    continue
                record["rounds"].append(speed)
            note(f"round {number + 1}/{rounds}: {cell}")
    return rows


def measure_memory(folder: Path) -> list[dict]:
    """Peak memory of one model beyond that of an idle process with the engine loaded."""
    cell = Cell(*MEMORY_MODEL)
    rows = []
    for engine in engines.ENGINES[cell.precision]:
        turn, _ = engines.speed(
            engine, cell.path(folder), cell.precision, cell.batch, cell.threads, seconds=0.1)
        row = {**asdict(cell), "engine": engine, "status": turn.status}
        if turn.status == "ok":
            idle = engines.idle(engine).peak_bytes
            row.update(peakBytes=turn.peak_bytes, idleBytes=idle, addedBytes=turn.peak_bytes - idle)
        rows.append(row)
    return rows


def add_ratios(row: dict, inexact: set[tuple]) -> None:
    """Adds medians, ratios to each peer, the peers whose fp32 answers are not fp32's, and the strongest
    of the others."""
    ours = row["engines"][engines.OURS]
    for record in row["engines"].values():
        if record["status"] == "ok":
            record["imagesPerSecond"] = statistics.median(record["rounds"])
    ratios = {
        engine: statistics.median(a / b for a, b in zip(ours["rounds"], record["rounds"]))
        for engine, record in row["engines"].items()
        if engine != engines.OURS and ours["status"] == record["status"] == "ok"
    }
    row["ratios"] = ratios
    row["inexact"] = [
        engine for engine in ratios if (row["model"], row["precision"], engine) in inexact
    ]
    fair = [engine for engine in ratios if engine not in row["inexact"]]
    row["strongest"] = min(fair, key=ratios.get, default=None)


def complain(rows: list[dict], answers: list[dict], inexact: set[tuple]) -> int:
    """The exit code: 1 if swiftlet failed or its fp32 answers are wrong. Unsupported is not a failure."""
    wrong = [f"{model}: fp32 answers differ by more than {TOLERANCE:g}"
             for model, _, engine in sorted(inexact) if engine == engines.OURS]
    failed = {
        f"{row['model']}-{row['precision']}: {record['message']}"
        for row, record in [(row, row["engines"][engines.OURS]) for row in rows]
        + [(row, row) for row in answers if row["engine"] == engines.OURS]
        if record["status"] == "failed"
    }
    for each in [*wrong, *sorted(failed)]:
        note(f"swiftlet on {each}")
    return 1 if wrong or failed else 0


def main() -> int:
    options = parse_arguments()
    folder = options.out / "models"
    result = environment()
    subprocess.run(
        [sys.executable, HERE / "models.py", folder, options.out / "seed.onnx", *options.models],
        check=True)
    note("comparing answers")
    answers = engines.document([
        sys.executable, str(HERE / "answers.py"), str(folder), str(max(options.threads)),
        ",".join(options.precisions), *options.models])
    cells = [
        Cell(model, precision, batch, threads)
        for model in options.models for precision in options.precisions
        for threads in options.threads for batch in options.batches or BATCHES[model]
    ]
    rows = measure(cells, folder, options.rounds, options.seconds)
    inexact = {
        (row["model"], row["precision"], row["engine"]) for row in answers
        if row["precision"] == "fp32" and row["status"] == "ok"
        and not row["largestDifference"] <= TOLERANCE
    }
    for row in rows:
        add_ratios(row, inexact)
    has_memory = MEMORY_MODEL[0] in options.models and MEMORY_MODEL[1] in options.precisions
    memory = measure_memory(folder) if has_memory else []
    result |= {
        "rounds": options.rounds, "seconds": options.seconds, "tolerance": TOLERANCE,
        "seedIsTrained": (options.out / "seed.onnx").exists(),
        "cells": rows, "answers": answers, "memory": memory,
    }
    (options.out / "peers.json").write_text(json.dumps(result, indent=1) + "\n")
    documents = options.docs or options.out
    pictures = options.docs / "pictures" if options.docs else options.out
    pictures.mkdir(parents=True, exist_ok=True)
    (pictures / "peers.svg").write_text(picture.draw(result))
    text = report.markdown(result, picture=(pictures / "peers.svg").relative_to(documents))
    (documents / "peers.md").write_text(text)
    print(text)
    note(f"written: {options.out}/peers.json, {documents}/peers.md, {pictures}/peers.svg")
    return complain(rows, answers, inexact)


if __name__ == "__main__":
    sys.exit(main())
