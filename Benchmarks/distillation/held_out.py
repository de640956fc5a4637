# SPDX-License-Identifier: Apache-2.0
"""Fashion-MNIST with the last 10 000 training images in place of the test images."""

import gzip
import os
import sys
from pathlib import Path

KEPT = 50_000


def folders() -> list[Path]:
    """Where the images are looked for, as swiftlet does."""
    given = os.environ.get("SWIFTLET_DATA")
    found = [Path(given), Path(given, "fashion-mnist")] if given else []
    return [*found, Path("/usr/share/datasets/fashion-mnist")]


def read(name: str) -> bytes:
    for folder in folders():
        if (folder / name).exists():
            return (folder / name).read_bytes()
        if (folder / f"{name}.gz").exists():
            return gzip.decompress((folder / f"{name}.gz").read_bytes())
    sys.exit(f"there is no {name}: apt install dataset-fashion-mnist, or set SWIFTLET_DATA")


def make(folder: Path) -> Path:
    """Writes the four idx files, once."""
    folder.mkdir(parents=True, exist_ok=True)
    for kind, header in (("images-idx3", 16), ("labels-idx1", 8)):
        parts = {part: folder / f"{part}-{kind}-ubyte" for part in ("train", "t10k")}
        if all(path.exists() for path in parts.values()):
            continue
        data = read(f"train-{kind}-ubyte")
        count = int.from_bytes(data[4:8], "big")
        size = (len(data) - header) // count
        for part, (first, end) in (("train", (0, KEPT)), ("t10k", (KEPT, count))):
            head = data[:4] + (end - first).to_bytes(4, "big") + data[8:header]
            parts[part].write_bytes(head + data[header + first * size:header + end * size])
    return folder
