# SPDX-License-Identifier: Apache-2.0
"""One turn of one peer: prints the median time of a run in milliseconds.

usage: peer_turn.py ENGINE MODEL.onnx BATCH THREADS SECONDS
"""

import statistics
import sys
import time
from pathlib import Path

import numpy
import peer
from architectures import SIDE


def main() -> None:
    engine, model, batch, threads, seconds = sys.argv[1:]
    images = numpy.random.default_rng(0).standard_normal(
        (int(batch), 3, SIDE, SIDE)).astype(numpy.float32)
    run, _ = getattr(peer, f"{engine}_run")(Path(model), images, int(threads))
    run()
    times: list[float] = []
    end = time.perf_counter() + float(seconds)
    while time.perf_counter() < end or len(times) < peer.LEAST_RUNS:
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    print(statistics.median(times) * 1e3)


if __name__ == "__main__":
    main()
