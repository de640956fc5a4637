# SPDX-License-Identifier: Apache-2.0
"""Damaged files against the command: hand-made lies, and valid files with random damage.

Every case runs with 4 GiB of address space, 10 s and 512 MB of memory. Counted are crashes, hangs,
too much memory, escapes from the folder, wrong refusals, wrong accepts and noisy refusals; the exit
code is 1 if there is any.

usage: damage.py SWIFTLET [--random N] [--seed S] [--only TEXT] [--verbose]
"""

import argparse
import os
import random
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import arrays
import models
import pictures
from harness import ACCEPTED, EITHER, KINDS, Case, judge


def damaged(data, generator):
    """The bytes with a few of them changed, cut out, doubled or replaced by what often hurts."""
    data = bytearray(data)
    for _ in range(generator.choice([1, 1, 2, 4, 16])):
        if not data:
            break
        start = generator.randrange(len(data))
        kind = generator.randrange(6)
        if kind == 0:
            data[start] ^= 1 << generator.randrange(8)
        elif kind == 1:
            data[start] = generator.choice([0, 1, 0x7F, 0x80, 0xFF])
        elif kind == 2:
            count = generator.choice([1, 2, 4, 8])
            data[start:start + count] = generator.choice([b"\xff", b"\x00", b"\x7f"]) * count
        elif kind == 3:
            del data[start:start + generator.randrange(1, 32)]
        elif kind == 4:
            data[start:start] = data[start:start + generator.randrange(1, 64)]
        else:
            del data[start:]
    return bytes(data)


def random_cases(count, seed):
    generator = random.Random(seed)
    good = [case for case in hand_made() if case.expected == ACCEPTED]
    for index in range(count):
        case = generator.choice(good)
        files = dict(case.files)
        name = generator.choice([name for name in files if name != "m.onnx" or "d/" not in str(list(files))])
        files[name] = damaged(files[name], generator)
        yield Case(f"random {seed}/{index} of {case.name}", files, case.arguments, EITHER, case.prepare)


def hand_made():
    yield from models.cases()
    yield from arrays.cases()
    yield from pictures.cases()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("swiftlet")
    parser.add_argument("--random", type=int, default=600)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="")
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()
    cases = [case for case in hand_made() if options.only in case.name]
    made = len(cases)
    cases += [case for case in random_cases(options.random, options.seed) if options.only in case.name]
    counts = judge(os.path.abspath(options.swiftlet), cases, options.verbose)
    print(f"{made} hand-made and {len(cases) - made} random files of seed {options.seed}: "
          f"{counts['accepted']} accepted, {counts['refused']} refused")
    print(", ".join(f"{counts[kind]} {kind}" for kind in KINDS))
    sys.exit(1 if any(counts[kind] for kind in KINDS) else 0)


main()
