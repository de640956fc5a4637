# SPDX-License-Identifier: Apache-2.0
"""Compares the engines' logits with onnxruntime's on the same images; prints JSON.

usage: answers.py FOLDER THREADS PRECISION,... MODEL...
"""

import json
import sys
import tempfile
from pathlib import Path

import engines
import numpy
from inputs import images, side

COUNTS = {"seed": 512, "resnet18": 32, "mobilenetv2": 32}


def difference(ours: numpy.ndarray, reference: numpy.ndarray) -> dict:
    return {
        "images": len(reference),
        "largestDifference": float(numpy.abs(ours - reference).max() / numpy.abs(reference).max()),
        "top1Agreement": float((ours.argmax(1) == reference.argmax(1)).mean()),
    }


def compare(folder: Path, name: str, precision: str, threads: int, scratch: Path) -> list[dict]:
    model = engines.path(folder, name, precision)
    source = scratch / "images.npy"
    numpy.save(source, images(COUNTS[name], side(name), seed=2))
    rows, reference = [], None
    others = [each for each in engines.ENGINES[precision] if each != engines.REFERENCE]
    for engine in [engines.REFERENCE, *others]:
        output = scratch / f"{engine}.npy"
        result = engines.answers(engine, model, precision, threads, source, output)
        row = {"model": name, "precision": precision, "engine": engine, "status": result.status}
        if result.status != "ok":
            rows.append(row | {"message": result.message})
        elif engine == engines.REFERENCE:
            reference = numpy.load(output)
        elif reference is not None:
            rows.append(row | difference(numpy.load(output), reference))
    return rows


def main() -> None:
    folder, threads, names = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[4:]
    precisions = sys.argv[3].split(",")
    with tempfile.TemporaryDirectory() as scratch:
        print(json.dumps([
            row for name in names for precision in precisions
            for row in compare(folder, name, precision, threads, Path(scratch))
        ]))


main()
