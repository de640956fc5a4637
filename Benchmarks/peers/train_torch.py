# SPDX-License-Identifier: Apache-2.0
"""Training throughput of the seed CNN: ours and torch's, in turns, in one run.

Prints images per second of each round, the medians and their ratio.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

import torch
from networks import seed_cnn
from torch import nn

BATCH, STEPS, ROUNDS = 128, 60, 3


def torch_speed(threads: int, channels_last: bool) -> float:
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    model = seed_cnn().to(memory_format=layout)
    images = torch.randn(BATCH, 3, 32, 32).to(memory_format=layout)
    labels = torch.randint(0, 10, (BATCH,))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    loss = nn.CrossEntropyLoss()

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        loss(model(images), labels).backward()
        optimizer.step()

    for _ in range(5):
        step()
    start = time.perf_counter()
    for _ in range(STEPS):
        step()
    return BATCH * STEPS / (time.perf_counter() - start)


def our_speed(threads: int) -> float:
    swiftlet = os.environ.get("SWIFTLET", "swiftlet")
    with tempfile.TemporaryDirectory() as folder:
        images = BATCH * STEPS
        command = [
            swiftlet, "train", "--data", f"fashion-mnist:train[0..<{images + 512}]",
            "--split", str(images / (images + 512)), "--epochs", "1",
            "--threads", str(threads), "--json", "--quiet", "-o", f"{folder}/model.onnx",
        ]
        result = subprocess.run(command, check=True, capture_output=True)
        return json.loads(result.stdout)["imagesPerSecond"]


def main() -> None:
    for threads in (1, 2):
        speeds: dict[str, list[float]] = {"swiftlet": [], "torch nchw": [], "torch channels_last": []}
        for _ in range(ROUNDS):
            speeds["swiftlet"].append(our_speed(threads))
            speeds["torch nchw"].append(torch_speed(threads, False))
            speeds["torch channels_last"].append(torch_speed(threads, True))
        ours = statistics.median(speeds["swiftlet"])
        for name, values in speeds.items():
            median = statistics.median(values)
            rounds = ", ".join(f"{value:.0f}" for value in values)
            print(f"{threads} thread(s) {name:20} {median:7.0f} images/s ({rounds})"
                  f"  swiftlet is {ours / median:.2f} x")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
