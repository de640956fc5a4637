# SPDX-License-Identifier: Apache-2.0
"""What needs more memory than is allowed, or than there is, raises OutOfMemory, which is a MemoryError; and the
process goes on. Where a limit of the system is tried, in processes of their own.

usage: memory.py [CASE]
"""

import os
import resource
import subprocess
import sys

import models
import numpy as np
import swiftlet

RANDOM = np.random.default_rng(1)
N = 500


def model(count):
    """The bytes of an ONNX model with one node: y = [x, x] of fp32, with so many elements in x."""
    return models.model([models.node("Concat", ["x", "x"], "y", axis=0)],
                        [models.value("x", count)], [models.value("y", 2 * count)])


def calls(n):
    """What takes memory of its own, for matrices of n² elements that are there already."""
    a64, a32 = np.zeros((n, n)), np.zeros((n, n), "f4")
    wide = np.zeros((1, n * n), "i1")
    x = np.zeros((1, 4, n // 2, n // 2), "f4")
    weights = np.ones((4, 4, 3, 3), "f4")
    many = np.zeros(n * n, "f4")
    return {
        "svd of values": lambda: swiftlet.svd(a64, compute_uv=False),
        "svd of fp32": lambda: swiftlet.svd(a32),
        "svd of a view": lambda: swiftlet.svd(a64[:, 1:], compute_uv=False),
        "eigh": lambda: swiftlet.eigh(a64),
        "eigvalsh": lambda: swiftlet.eigvalsh(a64),
        "eigvalsh of fp32": lambda: swiftlet.eigvalsh(a32),
        "qr": lambda: swiftlet.qr(a64),
        "randomized svd": lambda: swiftlet.randomized_svd(a64, n // 2),
        "bytes": lambda: swiftlet.gemm(np.zeros((1, 1), "u1"), wide),
        "conv2d": lambda: swiftlet.conv2d(x, weights),
        "run": lambda: swiftlet.Session(model(n * n)).run({"x": many}),
    }


def expect_error(name, body, kind=swiftlet.OutOfMemory):
    try:
        body()
    except kind as error:
        if isinstance(error, swiftlet.OutOfMemory):
            assert isinstance(error, MemoryError) and isinstance(error, swiftlet.Error)
            assert error.status == 6 and "\n" not in str(error), error
        return str(error)
    raise AssertionError(f"{name}: no error")


def works():
    """The library is as good as before."""
    a = RANDOM.normal(size=(30, 20))
    u, s, vt = swiftlet.svd(a)
    np.testing.assert_allclose(u * s @ vt, a, atol=1e-12)
    x = np.arange(3, dtype="f4")
    np.testing.assert_array_equal(
        swiftlet.Session(model(3)).run({"x": x})["y"], np.concatenate([x, x]))


def limit_of_the_library():
    cases = calls(N)
    for name, body in cases.items():
        swiftlet.set_max_memory(1 << 20)
        message = expect_error(name, body)
        assert "limit of 1048576 bytes" in message, message
        works()
        swiftlet.set_max_memory(1 << 30)
        body()
        swiftlet.set_max_memory(0)
        body()
    # Products in place take no memory.
    swiftlet.set_max_memory(1)
    a = np.ones((N, N))
    assert swiftlet.gemm(a, a, threads=2)[0, 0] == N
    swiftlet.set_max_memory(0)


def limit_of_the_system(megabytes=40):
    """The address space ends a little above what is in use."""
    cases = calls(4000)
    works()
    a, one, several = RANDOM.normal(size=(400, 400)), np.empty((400, 400)), np.empty((400, 400))
    swiftlet.gemm(a, a, out=one, threads=1)
    with open("/proc/self/statm") as file:
        used = int(file.read().split()[0]) * os.sysconf("SC_PAGESIZE")
    limit = used + (megabytes << 20)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    # OpenBLAS wants 128 MB for each thread that is inside at once: they go in one after the other.
    swiftlet.gemm(a, a, out=several, threads=3)
    np.testing.assert_allclose(several, one)
    for name, body in cases.items():
        # Numpy makes the arrays for the factors, and may be the first that finds no memory.
        expect_error(name, body, MemoryError)
        works()


def memory_of_the_machine():
    """Linux would give the memory out, and end the process that touches it."""
    with open("/proc/meminfo") as file:
        available = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in file}["MemAvailable"]
    n = int((0.3 * available / 8) ** 0.5)
    a = np.zeros((n, n))
    larger = np.zeros((int(1.6 * n), int(1.6 * n)))
    for name, body in {"svd": lambda: swiftlet.svd(a), "qr": lambda: swiftlet.qr(larger),
                       "eigh": lambda: swiftlet.eigh(larger),
                       "eigvalsh of a view": lambda: swiftlet.eigvalsh(larger[:, :-1][1:])}.items():
        message = expect_error(name, body)
        assert "available" in message or "cannot allocate" in message, message
    works()


CASES = [limit_of_the_library, limit_of_the_system, memory_of_the_machine]

if __name__ == "__main__":
    if len(sys.argv) > 1:
        CASES[int(sys.argv[1])]()
        sys.exit()
    for case in range(len(CASES)):
        status = subprocess.run([sys.executable, __file__, str(case)]).returncode
        if status != 0:
            sys.exit(f"memory: {CASES[case].__name__} ends with {status}")
    print("memory: ok")
