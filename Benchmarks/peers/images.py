# SPDX-License-Identifier: Apache-2.0
"""Decodes JPEGs and resizes them to 224×224: our loader beside Pillow in torch's DataLoader.

usage: images.py IMAGE-BENCHMARK OUT [--threads 1,2] [--seconds S] [--rounds R]

Photographs that scikit-image and scikit-learn ship are saved in several sizes, qualities and
samplings of colours. Both loaders take turns; a ratio is that of two neighbours in time, and the
median of the rounds is shown.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import time

import numpy
import torch
from PIL import Image
from skimage import data
from sklearn.datasets import load_sample_images
from torch.utils.data import DataLoader, Dataset

SIDE, BATCH = 224, 32
# The longer side, and how many pictures there are of it.
SIZES = {200: 160, 500: 120, 1000: 60, 2000: 30, 4000: 12}
MEAN = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
DEVIATION = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)


def photographs():
    names = ["astronaut", "chelsea", "coffee", "rocket"]
    pictures = [getattr(data, name)() for name in names] + list(load_sample_images().images)
    return [Image.fromarray(picture[..., :3]) for picture in pictures]


def make(folder):
    """Writes the pictures that are missing."""
    sources = photographs()
    for size, count in SIZES.items():
        (folder / str(size)).mkdir(parents=True, exist_ok=True)
        for index in range(count):
            path = folder / str(size) / f"{index:03}.jpg"
            if path.exists():
                continue
            source = sources[index % len(sources)]
            if index % 5 == 4:
                source = source.transpose(Image.Transpose.ROTATE_90)
            scale = size / max(source.size)
            wanted = [max(1, round(extent * scale)) for extent in source.size]
            picture = source.resize(wanted, Image.Resampling.LANCZOS)
            # Enlarged pictures are too smooth: grain is what photographs have.
            grain = numpy.random.RandomState(index).normal(0, 4, (*wanted[::-1], 1))
            picture = Image.fromarray((numpy.asarray(picture) + grain).clip(0, 255).astype("u1"))
            picture.save(path, quality=[75, 85, 92][index % 3], subsampling=[2, 2, 2, 0][index % 4],
                         progressive=index % 10 == 9)


class Pictures(Dataset):
    def __init__(self, paths, numbers):
        self.paths, self.numbers = paths, numbers

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, index):
        with Image.open(self.paths[index]) as file:
            picture = file.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BILINEAR)
        pixels = torch.from_numpy(numpy.array(picture))
        if self.numbers == "u8":
            return pixels
        return (pixels.permute(2, 0, 1).float().div(255) - MEAN) / DEVIATION


def pillow(paths, workers, seconds, numbers):
    """Pictures per second, after a first batch of every worker."""
    # An epoch's beginning and end do not count: there is one, long enough.
    many = paths * 200
    loader = DataLoader(Pictures(many, numbers), batch_size=BATCH, num_workers=workers)
    batches = iter(loader)
    for _ in range(2 * workers):
        next(batches)
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        count += len(next(batches))
    rate = count / (time.perf_counter() - began)
    del batches, loader
    return rate


def ours(benchmark, folder, threads, seconds, *options):
    command = [benchmark, folder, "--threads", threads, "--seconds", seconds, *options]
    return float(subprocess.run(list(map(str, command)), check=True, capture_output=True).stdout)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("benchmark")
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    folder = options.out / "pictures"
    make(folder)
    rows = []
    for threads in map(int, options.threads.split(",")):
        for size in SIZES:
            paths = sorted((folder / str(size)).iterdir())
            for numbers in ["u8", "fp32"]:
                pairs, scaled = [], []
                for _ in range(options.rounds):
                    theirs = pillow(paths, threads, options.seconds, numbers)
                    arguments = (options.benchmark, folder / str(size), threads, options.seconds,
                                 "--numbers", numbers)
                    pairs.append((ours(*arguments), theirs))
                    scaled.append(ours(*arguments, "--scaled") / theirs)
                rows.append({
                    "threads": threads, "size": size, "numbers": numbers,
                    "imagesPerSecond": statistics.median(mine for mine, _ in pairs),
                    "pillow": statistics.median(theirs for _, theirs in pairs),
                    "ratio": statistics.median(mine / theirs for mine, theirs in pairs),
                    "scaledRatio": statistics.median(scaled)})
                row = rows[-1]
                print(f"{threads} threads, {size:4} pixels, {numbers:4}: "
                      f"{row['imagesPerSecond']:8.1f} images/s, Pillow {row['pillow']:8.1f}: "
                      f"{row['ratio']:.2f} times; {row['scaledRatio']:.2f} with scaled decoding",
                      flush=True)
    (options.out / "images.json").write_text(json.dumps({"rows": rows}, indent=1))


main()
