# SPDX-License-Identifier: Apache-2.0
"""What calling the library from Python costs: products and SVD beside numpy on the same OpenBLAS, and
sessions beside the command's `bench`.

The fair numpy is Debian's, which uses the system's OpenBLAS as the library does; wheels from PyPI bring
another one. The script says which one it finds.

usage: python.py [--models SWIFTLET MODEL.onnx…]   from run.sh, which sets the environment
"""

import ctypes
import json
import os
import statistics
import subprocess
import sys
import time

import numpy as np
import swiftlet


def openblas():
    """The OpenBLAS that both use, if it is one."""
    with open("/proc/self/maps") as maps:
        return sorted({line.split()[-1] for line in maps if "blas" in line and ".so" in line})


def set_threads(count):
    library = ctypes.CDLL("libopenblas.so.0")
    library.openblas_set_num_threads(count)


def turns(calls, seconds=2.0):
    """Median times of calls that take turns, so that what the machine does meanwhile meets all."""
    times = [[] for _ in calls]
    for call in calls:
        call()
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times[0]) < 5:
        for call, own in zip(calls, times):
            start = time.perf_counter()
            call()
            own.append(time.perf_counter() - start)
    return [statistics.median(own) for own in times]


def linear_algebra():
    random = np.random.default_rng(1)
    for threads in (1, 2):
        for dtype in ("f4", "f8"):
            for n in (512, 1024):
                a = random.normal(size=(n, n)).astype(dtype)
                b = random.normal(size=(n, n)).astype(dtype)
                out = np.empty((n, n), dtype)
                # Swiftlet holds OpenBLAS to one thread but for factorisations of its own.
                def numpy_call(body):
                    def call():
                        set_threads(threads)
                        body()
                        set_threads(1)
                    return call

                ours, theirs = turns([lambda: swiftlet.gemm(a, b, out=out, threads=threads),
                                      numpy_call(lambda: np.matmul(a, b, out=out))])
                row("gemm", dtype, n, threads, ours, theirs)
                if n <= 512:
                    ours, theirs = turns(
                        [lambda: swiftlet.svd(a, threads=threads),
                         numpy_call(lambda: np.linalg.svd(a, full_matrices=False))], 4)
                    row("svd", dtype, n, threads, ours, theirs)


def row(name, dtype, n, threads, ours, theirs):
    print(f"{name:5} {dtype} n={n:5} threads={threads} swiftlet {ours * 1e3:9.3f} ms "
          f"numpy {theirs * 1e3:9.3f} ms ratio {ours / theirs:.3f}")


def sessions(command, models):
    for path in models:
        for batch, threads in ((1, "1"), (1, "2"), (32, "2")):
            session = swiftlet.Session(path, threads=int(threads))
            value = session.inputs[0]
            x = np.random.default_rng(1).normal(
                size=[batch if extent is None else extent for extent in value.shape]).astype("f4")
            request = session.request()
            request.bind(value.name, x)
            for name, array in request.run().items():
                request.bind_output(name, array.copy())
            bench, python = [], []
            for _ in range(5):
                text = subprocess.run([command, "bench", path, "--batch", str(batch), "--threads", threads,
                                       "--json", "--quiet"], capture_output=True, check=True).stdout
                bench.append(json.loads(text)["rows"][0]["p50ms"])
                python += [turns([request.run], 1.0)[0] * 1e3]
            theirs, ours = min(bench), min(python)
            print(f"{os.path.basename(path)} batch {batch}, {threads} thread(s): python {ours:.4f} ms, bench {theirs:.4f} ms, "
                  f"ratio {ours / theirs:.3f}")


print("BLAS:", *openblas(), "numpy", np.__version__)
if "--models" in sys.argv:
    arguments = sys.argv[sys.argv.index("--models") + 1:]
    sessions(arguments[0], arguments[1:])
else:
    linear_algebra()
