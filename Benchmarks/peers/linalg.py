# SPDX-License-Identifier: Apache-2.0
"""Times numpy, scipy and torch beside Swiftlet's LinalgBenchmark: one thread, the same sizes, in
turns. Called by `make bench-linalg-peers`; prints a Markdown table and writes JSON.

usage: linalg.py LINALG_BENCHMARK OUT.json [ROUNDS]
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import numpy as np
import scipy.linalg
import torch

torch.set_num_threads(1)
SIZES = [128, 256, 512, 1024]


def peers(operation, n):
    """Callables by name, on a random (for eigen: symmetric) matrix."""
    a = np.random.default_rng(n).standard_normal((n, n))
    if operation == "eigen":
        a = np.triu(a) + np.triu(a, 1).T
    t = torch.from_numpy(a)
    return {
        "gemm": {"numpy": lambda: a @ a, "torch": lambda: t @ t},
        "svd": {
            "numpy": lambda: np.linalg.svd(a, full_matrices=False),
            "scipy": lambda: scipy.linalg.svd(a, full_matrices=False, check_finite=True),
            "torch": lambda: torch.linalg.svd(t, full_matrices=False),
        },
        "eigen": {
            "numpy": lambda: np.linalg.eigh(a),
            "scipy": lambda: scipy.linalg.eigh(a, driver="evd"),
            "torch": lambda: torch.linalg.eigh(t),
        },
        "qr": {
            "numpy": lambda: np.linalg.qr(a),
            "scipy": lambda: scipy.linalg.qr(a, mode="economic"),
            "torch": lambda: torch.linalg.qr(t),
        },
    }[operation]


def measure(call):
    call()
    times = []
    while len(times) < 3 or (sum(times) < 0.5 and len(times) < 50):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def ours(benchmark, n):
    """Medians of LinalgBenchmark for one size, by (operation, candidate)."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "linalg.json")
        subprocess.run(
            [benchmark, "--sizes", str(n), "--seconds", "0.5", "--json", path],
            check=True, stdout=subprocess.DEVNULL)
        with open(path) as file:
            report = json.load(file)
    rows = {
        (row["operation"], row["candidate"]): row["medianSeconds"]
        for row in report["rows"] if row["dtype"] == "float64"
    }
    return report, rows


def main():
    benchmark, output = sys.argv[1:3]
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 3
    times = {}
    for _ in range(rounds):
        for n in SIZES:
            report, rows = ours(benchmark, n)
            for (operation, candidate), seconds in rows.items():
                times.setdefault((operation, n, candidate), []).append(seconds)
            for operation in ("gemm", "svd", "eigen", "qr"):
                for peer, call in peers(operation, n).items():
                    times.setdefault((operation, n, peer), []).append(measure(call))
    medians = {key: statistics.median(values) for key, values in times.items()}
    print(f"{report['cpu']}, ours on {report['core']} kernels, {report['isa']}; "
          f"numpy {np.__version__}, scipy {scipy.__version__}, torch {torch.__version__}; ms\n")
    for operation in ("gemm", "svd", "eigen", "qr"):
        names = list(dict.fromkeys(key[2] for key in medians if key[0] == operation))
        print(f"| {operation} f64 | " + " | ".join(names) + " |")
        print("|" + "---|" * (len(names) + 1))
        for n in SIZES:
            cells = [medians.get((operation, n, name)) for name in names]
            print(f"| {n} | " + " | ".join(
                "" if cell is None else f"{cell * 1e3:.2f}" for cell in cells) + " |")
        print()
    with open(output, "w") as file:
        json.dump([
            {"operation": key[0], "n": key[1], "candidate": key[2], "medianSeconds": value}
            for key, value in medians.items()
        ], file, indent=1)


main()
