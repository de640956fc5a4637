# SPDX-License-Identifier: Apache-2.0
"""Folders and lists of pictures that lie, through the whole command: with labels and without, and
with --skip-damaged, which has to leave out what the plain command refuses."""

import functools
import os
import struct
import zlib

from arrays import LIMIT, classifier
from harness import ACCEPTED, EITHER, REFUSED, Case

FIXTURES = f"{os.path.dirname(os.path.abspath(__file__))}/../SwiftletImagesTests/Fixtures"


def fixture(name):
    with open(f"{FIXTURES}/{name}", "rb") as file:
        return file.read()


def bmp_header(width, height, bits=24, code=0, offset=54, size=40, colours=0):
    return (
        b"BM"
        + struct.pack("<IHHI", 54, 0, 0, offset)
        + struct.pack("<IiiHHIIiiII", size, width, height, 1, bits, code, 0, 0, 0, colours, 0)
    )


def png(width, height, data, bits=8, kind=2):
    def chunk(name, content):
        return (
            struct.pack(">I", len(content))
            + name
            + content
            + struct.pack(">I", zlib.crc32(name + content))
        )

    header = struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )


@functools.cache
def bomb():
    """A PNG of 30 000 × 30 000 black pixels in 3 MB, and of 2.7 GB in memory."""
    rows = 30_000
    packer = zlib.compressobj(6)
    row = bytes(1 + rows * 3)
    return png(rows, rows, b"".join(packer.compress(row) for _ in range(rows)) + packer.flush())


def jpeg_of(width, height):
    """A good JPEG whose header claims another size."""
    data = bytearray(fixture("jpeg-444.jpg"))
    place = data.index(b"\xff\xc0") + 5
    data[place : place + 4] = struct.pack(">HH", height, width)
    return bytes(data)


def folder_of(files):
    """A model, and three good pictures of each of two classes."""
    good = {
        f"d/{name}/{index}.{ending}": fixture(picture)
        for name in ["a", "b"]
        for index, (ending, picture) in enumerate(
            [("jpg", "jpeg-420.jpg"), ("png", "png-rgb-8.png"), ("bmp", "bmp-24.bmp")]
        )
    }
    return {"m.onnx": classifier(), **good, **files}


def evaluate(name, files, expected=REFUSED, data="images:d", prepare=None, options=()):
    return Case(
        f"picture {name}",
        folder_of(files),
        ["evaluate", "m.onnx", "--data", data, "--quiet", *options] + LIMIT,
        expected,
        prepare,
    )


def compress(name, files, expected=REFUSED, data="images:d:unlabelled", prepare=None, options=()):
    return Case(
        f"picture {name}, compressed",
        folder_of(files),
        [
            "compress",
            "m.onnx",
            "--technique",
            "quantize",
            "--data",
            data,
            "-o",
            "o.onnx",
            "--no-timing",
            "--quiet",
            *options,
        ]
        + LIMIT,
        expected,
        prepare,
    )


def each(name, files, expected=REFUSED, prepare=None, skipped=ACCEPTED):
    """Refused by itself, left out if that is asked for."""
    yield evaluate(name, files, expected, prepare=prepare)
    yield evaluate(f"{name}, skipped", files, skipped, prepare=prepare, options=["--skip-damaged"])
    yield compress(f"{name}, skipped", files, skipped, prepare=prepare, options=["--skip-damaged"])


def contents():
    for name in [
        "jpeg-420.jpg",
        "jpeg-progressive.jpg",
        "png-rgb-8.png",
        "webp-lossy.webp",
        "webp-lossless.webp",
        "bmp-24.bmp",
    ]:
        data, ending = fixture(name), name.split(".")[1]
        yield evaluate(f"good {name}", {f"d/a/x.{ending}": data}, ACCEPTED)
        yield evaluate(f"{name} as another", {"d/a/x.jpg": data, "d/a/x.png": data}, ACCEPTED)
        for part in [0, 1, 2, 7]:
            yield from each(
                f"{name} cut to {part}/8", {f"d/a/x.{ending}": data[: len(data) * part // 8]}
            )
        for place in range(0, len(data), max(1, len(data) // 12)):
            changed = bytearray(data)
            changed[place : place + 2] = b"\xff\x00"
            yield evaluate(
                f"{name} changed at {place}", {f"d/a/x.{ending}": bytes(changed)}, EITHER
            )
            yield evaluate(
                f"{name} changed at {place}, skipped",
                {f"d/a/x.{ending}": bytes(changed)},
                ACCEPTED,
                options=["--skip-damaged"],
            )
    for name, data in [
        ("empty", b""),
        ("text", b"hello"),
        ("zeros", bytes(5000)),
        ("GIF", b"GIF89a" + bytes(20)),
        ("PNG signature", b"\x89PNG\r\n\x1a\n"),
        ("JPEG marker", b"\xff\xd8\xff"),
        ("RIFF", b"RIFF\xff\xff\xff\xffWEBP"),
        ("ends in the header", bmp_header(4, 3)[:30]),
        ("no pixels", bmp_header(4, 3)),
        ("a model", classifier()),
    ]:
        yield from each(name, {"d/a/x.jpg": data})
    for width, height in [(65535, 65535), (65535, 1), (1, 65535), (0, 7), (7, 0)]:
        yield from each(f"JPEG of {width}×{height}", {"d/a/x.jpg": jpeg_of(width, height)})
    for width, height in [
        (2**31 - 1, 2**31 - 1),
        (2**31 - 1, 1),
        (-1, 5),
        (5, -(2**31)),
        (60000, 60000),
        (0, 0),
    ]:
        yield from each(f"BMP of {width}×{height}", {"d/a/x.bmp": bmp_header(width, height)})
    for width, height in [(2**31 - 1, 2**31 - 1), (2**31, 1), (0, 1), (50000, 50000)]:
        yield from each(
            f"PNG of {width}×{height}", {"d/a/x.png": png(width, height, zlib.compress(bytes(100)))}
        )
    yield from each("a bomb", {"d/a/x.png": bomb()})
    yield evaluate(
        "a thin line", {"d/a/x.png": png(1, 20000, zlib.compress(bytes(4 * 20000)))}, ACCEPTED
    )


def places():
    yield from each("in another format", {"d/a/x.gif": b"GIF89a"})
    yield evaluate(
        "notes", {"d/a/notes.txt": b"x", "d/readme.md": b"x", "d/a/noending": b"x"}, ACCEPTED
    )
    yield evaluate("a folder named x.jpg", {"d/a/x.jpg/y.jpg": fixture("jpeg-420.jpg")}, ACCEPTED)
    yield evaluate("a class named x.jpg", {"d/x.jpg/y.jpg": fixture("jpeg-420.jpg")}, ACCEPTED)
    yield evaluate("beside classes", {"d/x.jpg": fixture("jpeg-420.jpg")})
    yield compress("beside folders", {"d/x.jpg": fixture("jpeg-420.jpg")}, ACCEPTED)
    yield evaluate("an empty class", {}, prepare=lambda folder: os.mkdir(f"{folder}/d/c"))
    yield evaluate(
        "a class of empty files", {"d/c/1.jpg": b"", "d/c/2.png": b""}, options=["--skip-damaged"]
    )
    yield evaluate("no folder", {}, data="images:none")
    yield evaluate("a file for a folder", {}, data="images:m.onnx")
    yield evaluate(
        "an empty folder", {}, data="images:e", prepare=lambda folder: os.mkdir(f"{folder}/e")
    )
    yield evaluate("a part that is missing", {}, data="images:d:test")

    def links(target, *names):
        def prepare(folder):
            for name in names:
                os.symlink(target, f"{folder}/d/a/{name}")

        return prepare

    yield from each("a link to nowhere", {}, prepare=links("nowhere", "x.jpg"))
    yield evaluate("a link to itself", {}, prepare=links("x.jpg", "x.jpg"))
    yield evaluate("a circle of folders", {}, prepare=links(".", "self", "again"))
    yield evaluate(
        "a link to a class", {}, ACCEPTED, prepare=lambda folder: os.symlink("a", f"{folder}/d/c")
    )
    yield evaluate("a link outside", {}, prepare=links("../../../secret", "x.jpg"))
    yield evaluate("a pipe", {}, ACCEPTED, prepare=lambda folder: os.mkfifo(f"{folder}/d/a/x.jpg"))
    # The administrator reads what nobody may.
    closed = EITHER if os.geteuid() == 0 else REFUSED
    yield from each(
        "closed",
        {"d/a/x.jpg": fixture("jpeg-420.jpg")},
        closed,
        prepare=lambda folder: os.chmod(f"{folder}/d/a/x.jpg", 0),
    )
    yield evaluate(
        "a closed folder",
        {"d/c/x.jpg": fixture("jpeg-420.jpg")},
        closed,
        prepare=lambda folder: os.chmod(f"{folder}/d/c", 0),
    )
    for name in [
        "ü ñ 漢.jpg",
        "line\nbreak.jpg",
        "\x1b[31m.jpg",
        "x" * 250 + ".jpg",
        "-o.jpg",
        "a:test.jpg",
    ]:
        yield evaluate(f"named {name[:12]!r}", {f"d/a/{name}": fixture("jpeg-420.jpg")}, ACCEPTED)
        yield from each(f"damaged and named {name[:12]!r}", {f"d/a/{name}": b"x"})

    def not_text(folder):
        os.mkdir(f"{folder.encode().decode()}/d/a/sub")
        with open(os.fsencode(folder) + b"/d/a/sub/\xff\xfe.jpg", "wb") as file:
            file.write(fixture("jpeg-420.jpg"))

    yield evaluate("named in Latin", {}, prepare=not_text)
    deep = "d/a/" + "x/" * 70
    yield evaluate("70 folders deep", {f"{deep}y.jpg": fixture("jpeg-420.jpg")})


def lists():
    def lie(name, text, expected=REFUSED, options=(), file="l.csv"):
        data = text if isinstance(text, bytes) else text.encode()
        return evaluate(f"list {name}", {file: data}, expected, f"list:{file}", options=options)

    yield lie("good", "d/a/0.jpg,0\nd/b/0.jpg,1\n", ACCEPTED)
    yield lie(
        "of Windows", b'\xef\xbb\xbfpath,label\r\n"d/a/0.jpg",0\r\n"d/b/0.jpg",1\r\n', ACCEPTED
    )
    yield lie("of tabs", "d/a/0.jpg\t0\nd/b/0.jpg\t1\n", ACCEPTED, file="l.tsv")
    for name, text in [
        ("empty", ""),
        ("a header alone", "path,label\n"),
        ("without labels", "d/a/0.jpg\n"),
        ("of three columns", "d/a/0.jpg,0,1\n"),
        ("uneven", "d/a/0.jpg,0\nd/b/0.jpg\n"),
        ("an open quote", '"d/a/0.jpg,0\n'),
        ("of zeros", bytes(100)),
        ("UTF-16", "d/a/0.jpg,0".encode("utf-16")),
        ("Latin", b"d/a/\xe9.jpg,0\n"),
        ("label -1", "d/a/0.jpg,-1\n"),
        ("label 2^64", "d/a/0.jpg,18446744073709551616\n"),
        ("label 10", "d/a/0.jpg,10\n"),
        ("label NaN", "d/a/0.jpg,nan\nd/b/0.jpg,1\n"),
        ("a folder", "d/a,0\n"),
        ("a device", "/dev/zero,0\n"),
        ("NUL", "d/a/0.jpg\0,0\n"),
        ("itself", "l.csv,0\n"),
        ("commas", "," * 100_000 + "\n"),
        ("a million quotes", '"' * 1_000_001),
    ]:
        yield lie(name, text)
    many = "d/a/0.jpg,0\n" + "\n".join(f"none{i}.jpg,0" for i in range(20_000))
    yield lie("of missing files", many)
    yield lie("of missing files, skipped", many, ACCEPTED, ["--skip-damaged"])
    yield compress(
        "list without labels",
        {"l.csv": b"d/a/0.jpg\nd/b/0.jpg\nd/a/1.png\n"},
        ACCEPTED,
        "list:l.csv",
    )
    yield compress(
        "list of nothing", {"l.csv": b"none.jpg\n"}, data="list:l.csv", options=["--skip-damaged"]
    )


def cases():
    for kind in [contents, places, lists]:
        yield from kind()
