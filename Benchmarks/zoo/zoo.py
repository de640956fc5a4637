# SPDX-License-Identifier: Apache-2.0
"""Compares Swiftlet with onnxruntime and OpenVINO on modern architectures: `make bench-zoo`.

Every turn is a process of its own; engines take turns within a round, and the best round of each
counts. Prints a table, and writes zoo-PRECISION.json to the folder.
"""

import argparse
import importlib.metadata
import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import architectures
import numpy

PEER = Path(__file__).parent.parent / "peers" / "peer.py"
PEERS = {"fp32": ["onnxruntime", "openvino-f32"], "bf16": ["openvino-bf16"],
         "int8": ["onnxruntime", "openvino"]}
# Of the largest answer. Roundings of 8-bit layers add up differently in every engine.
TOLERANCE = {"fp32": 1e-4, "bf16": 0.2, "int8": 0.5}
SWIFTLET = os.environ.get("SWIFTLET", "swiftlet")


def parse_arguments() -> argparse.Namespace:
    def words(text: str) -> list[str]:
        return text.split(",")

    parser = argparse.ArgumentParser(prog="run.sh", description=__doc__)
    parser.add_argument("out", type=Path, help="folder for models and results")
    parser.add_argument("--models", type=words,
                        default=architectures.TORCHVISION + architectures.TIMM)
    parser.add_argument("--precision", choices=list(PEERS), default="fp32")
    parser.add_argument("--threads", type=words, default=["1"], help="such as 1,2")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=1)
    return parser.parse_args()


def ours(model: Path, arguments: argparse.Namespace, threads: str) -> float:
    """Milliseconds per run."""
    result = subprocess.run(
        [SWIFTLET, "bench", model, "--batch", str(arguments.batch), "--threads", threads,
         "--seconds", str(arguments.seconds), "--precision",
         "bf16" if arguments.precision == "bf16" else "fp32", "--json", "--quiet"],
        capture_output=True, text=True, check=True)
    return json.loads(result.stdout)["rows"][0]["p50ms"]


def theirs(engine: str, model: Path, arguments: argparse.Namespace, threads: str) -> float:
    result = subprocess.run(
        [sys.executable, PEER, "speed", engine, model, str(arguments.batch), threads,
         str(arguments.seconds)], capture_output=True, text=True, check=False)
    if result.returncode != 0:
        # OpenVINO 2026.4 crashes on the int8 file of densenet121.
        print(f"{engine} fails on {model.name}", file=sys.stderr)
        return math.inf
    return 1e3 * arguments.batch / float(result.stdout)


def difference(model: Path, folder: Path) -> float:
    """Between our answers and onnxruntime's, of the largest one."""
    import onnxruntime

    onnxruntime.set_default_logger_severity(3)
    images = numpy.random.default_rng(1).standard_normal(
        (1, 3, architectures.SIDE, architectures.SIDE)).astype(numpy.float32)
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    expected = session.run(None, {"input": images})[0]
    given, answers = folder / "input.npz", folder / "answers.npz"
    numpy.savez(given, input=images)
    subprocess.run([SWIFTLET, "run", model, "--input", given, "--output", answers, "--quiet"],
                   capture_output=True, check=True)
    found = numpy.load(answers)[session.get_outputs()[0].name]
    return float(abs(found - expected).max() / max(abs(expected).max(), 1e-30))


def measure(model: Path, arguments: argparse.Namespace, threads: str) -> dict[str, float]:
    engines: dict[str, Callable[[], float]] = {
        "swiftlet": lambda: ours(model, arguments, threads)}
    for peer in PEERS[arguments.precision]:
        engines[peer] = lambda peer=peer: theirs(peer, model, arguments, threads)
    best: dict[str, float] = {}
    for _ in range(arguments.rounds):
        for name, run in engines.items():
            best[name] = min(best.get(name, math.inf), run())
    return best


def main() -> None:
    arguments = parse_arguments()
    folder = arguments.out / "zoo"
    folder.mkdir(parents=True, exist_ok=True)
    peers = PEERS[arguments.precision]
    versions = {each: importlib.metadata.version(each)
                for each in ("onnxruntime", "openvino", "timm", "torchvision")}
    print(f"batch {arguments.batch}, {arguments.precision}, ms; " + ", ".join(
        f"{name} {version}" for name, version in versions.items()))
    rows, failed = [], []
    for threads in arguments.threads:
        columns = ["swiftlet", *peers]
        print(f"\n{threads} thread(s)\n{'':24}" + "".join(f"{each:>15}" for each in columns)
              + "     ratio  difference")
        ratios = []
        for name in arguments.models:
            build = (architectures.quantize if arguments.precision == "int8"
                     else architectures.export)
            model = build(name, folder)
            off = difference(model, folder)
            best = measure(model, arguments, threads)
            ratio = min(best[peer] for peer in peers) / best["swiftlet"]
            ratios.append(ratio)
            rows.append({"model": name, "threads": int(threads), "ms": best, "ratio": ratio,
                         "difference": off})
            print(f"{name:24}" + "".join(f"{best[each]:15.2f}" for each in columns)
                  + f"{ratio:10.2f}{off:12.1e}", flush=True)
            if off > TOLERANCE[arguments.precision]:
                failed.append(name)
        mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
        print(f"geometric mean of best peer / swiftlet: {mean:.3f}; smallest {min(ratios):.2f}")
    result = {"versions": versions, "batch": arguments.batch, "precision": arguments.precision,
              "rows": rows}
    (arguments.out / f"zoo-{arguments.precision}.json").write_text(json.dumps(result, indent=1))
    if failed:
        sys.exit("answers differ from onnxruntime's: " + ", ".join(failed))


if __name__ == "__main__":
    main()
