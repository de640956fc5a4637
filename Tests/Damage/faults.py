# SPDX-License-Identifier: Apache-2.0
"""Lets the system fail under the command, at one call after the other: no memory, failing reads,
writes, syncs, renames and maps. Each run must end with an exit code of the contract, and leave the
output as it was or complete.

usage: faults.py SWIFTLET [POINTS]
"""

import collections
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import arrays
import models
import numpy as np
import pictures

OLD = b"what was there before"


def main():
    swiftlet, points = os.path.abspath(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1000
    here = os.path.dirname(os.path.abspath(__file__))
    counts, failures = collections.Counter(), 0
    with tempfile.TemporaryDirectory() as folder:
        shim = f"{folder}/faults.so"
        subprocess.run(["cc", "-O1", "-shared", "-fPIC", f"{here}/faults.c", "-o", shim], check=True)
        os.chdir(folder)
        with open("m.onnx", "wb") as file:
            file.write(models.identity(models.constant("w", np.ones(5000, "f4"))).SerializeToString())
        np.savez_compressed("a.npz", w=np.arange(3000.0))
        with open("c.onnx", "wb") as file:
            file.write(arrays.classifier())
        os.mkdir("d")
        for name in ["jpeg-420.jpg", "png-rgb-8.png", "webp-lossy.webp", "bmp-24.bmp"]:
            with open(f"d/{name}", "wb") as file:
                file.write(pictures.fixture(name))
        # Arguments, the output, and how far apart the allocations are that fail: compressing takes
        # many, and long.
        commands = {
            "model": (["convert", "m.onnx", "o.onnx"], "o.onnx", 1),
            "run": (["run", "m.onnx", "--output", "o.npz", "--threads", "1"], "o.npz", 1),
            "arrays": (["convert", "a.npz", "o.safetensors"], "o.safetensors", 1),
            "pictures": (["compress", "c.onnx", "--technique", "quantize", "--data", "images:d",
                          "--no-timing", "--threads", "1", "-o", "o.onnx"], "o.onnx", 20),
        }
        for name, (arguments, output, stride) in commands.items():
            def run(number, calls, short=False):
                with open(output, "wb") as file:
                    file.write(OLD)
                environment = {**os.environ, "LD_PRELOAD": shim, "SWIFTLET_FAULT": str(number),
                               "SWIFTLET_FAULT_CALLS": calls, "OPENBLAS_NUM_THREADS": "1"}
                if short:
                    environment["SWIFTLET_FAULT_SHORT"] = "1"
                done = subprocess.run([swiftlet] + arguments, env=environment, capture_output=True,
                                      timeout=120)
                with open(output, "rb") as file:
                    return done.returncode, file.read(), done.stderr

            code, good, _ = run(0, "")
            assert code == 0 and good != OLD, name
            assert run(0, "", short=True)[:2] == (0, good), f"{name}: short reads and writes"
            for calls, last in [("rwsnp", 60), ("m", points)]:
                step = stride if calls == "m" else 1
                for number in range(1, last * step, step * step):
                    code, content, text = run(number, calls)
                    verdict = {0: "unharmed", 2: "refused", 70: "given up"}.get(code, f"exit {code}")
                    counts[f"{calls}: {verdict}"] += 1
                    expected = [good] if code == 0 else [OLD] if calls == "m" else [OLD, good]
                    if code not in (0, 2, 70) or content not in expected:
                        failures += 1
                        print(f"{name}, {calls} {number}: exit {code}, {len(content)} bytes, {text[-200:]}",
                              flush=True)
    print(", ".join(f"{count} {name}" for name, count in sorted(counts.items())))
    print(f"{failures} failures")
    sys.exit(1 if failures else 0)


main()
