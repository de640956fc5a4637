# SPDX-License-Identifier: Apache-2.0
"""Makes seeded pages of text, turned by 0, 90, 180 and 270 degrees, as inputs of a model.

usage: pages.py OUT.npz NAME COUNT HEIGHT WIDTH    N x 3 x HEIGHT x WIDTH, of ImageNet's mean and spread
"""

import random
import sys

import numpy
from PIL import Image, ImageDraw, ImageFont

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


def page(seed: int, height: int, width: int) -> Image.Image:
    generator = random.Random(seed)
    side = max(height, width)
    paper = generator.randint(200, 255)
    image = Image.new("RGB", (side, side), (paper, paper, generator.randint(180, paper)))
    draw = ImageDraw.Draw(image)
    size = generator.randint(max(8, side // 28), side // 9)
    font = ImageFont.load_default(size)
    ink = generator.randint(0, 90)
    y = generator.randint(0, size)
    while y < side:
        words = ("".join(generator.choices(LETTERS, k=generator.randint(2, 9))) for _ in range(12))
        draw.text((generator.randint(0, size), y), " ".join(words), fill=(ink, ink, ink), font=font)
        y += int(size * generator.uniform(1.2, 1.9))
    return image.rotate(90 * (seed % 4)).crop((0, 0, width, height))


def main() -> None:
    path, name, *numbers = sys.argv[1:]
    count, height, width = map(int, numbers)
    pixels = numpy.stack([
        numpy.asarray(page(seed, height, width), numpy.float32) / 255 for seed in range(count)])
    pixels = (pixels - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    numpy.savez(path, **{name: pixels.transpose(0, 3, 1, 2).astype(numpy.float32)})


if __name__ == "__main__":
    main()
