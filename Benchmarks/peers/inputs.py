# SPDX-License-Identifier: Apache-2.0
"""Seeded images: noise of several coarsenesses, so that they differ as pictures do, not only as noise."""

import numpy

# Pixels along each side of the models' images, where they are not 224.
SIDES = {"seed": 32}


def side(model: str) -> int:
    """Pixels along each side of a model's images."""
    return SIDES.get(model.split("-")[0], 224)


def images(count: int, side: int, seed: int) -> numpy.ndarray:
    """`count` x 3 x `side` x `side` values of about unit variance."""
    generator = numpy.random.default_rng(seed)
    total = numpy.zeros((count, 3, side, side), numpy.float32)
    for cells in (2, 4, 8, 16, side):
        noise = generator.standard_normal((count, 3, cells, cells), numpy.float32)
        strength = generator.uniform(0, 1, (count, 1, 1, 1)).astype(numpy.float32)
        total += strength * noise.repeat(side // cells, 2).repeat(side // cells, 3)
    return total
