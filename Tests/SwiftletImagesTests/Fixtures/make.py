# SPDX-License-Identifier: Apache-2.0
"""Makes the pictures of the tests, and what Pillow reads in them.

usage: make.py     needs Pillow and NumPy; writes into the folder that it is in

NAME.EXT is a picture, NAME.npy its pixels: grey (height, width) or RGB (height, width, 3).
digests.txt has the SHA-256 of other pixels: those of a picture with its opacity, and those of
scene….npy in another size.
  FILE rgba DIGEST
  SCENE INTERPOLATION WIDTHxHEIGHT DIGEST
"""

import hashlib
import io
import pathlib
import struct
import zlib

import numpy as np
from PIL import Image, ImageOps

FOLDER = pathlib.Path(__file__).parent
RESAMPLING = {
    "nearest": Image.Resampling.NEAREST, "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC, "area": Image.Resampling.BOX,
    "lanczos": Image.Resampling.LANCZOS,
}
SIZES = [
    (1, 1), (1, 40), (40, 1), (11, 7), (37, 12), (12, 29), (74, 58), (100, 13), (38, 30), (5, 200)]
digests = []


def scene(width, height, channels=3):
    """Smooth colours with a sharp edge and some noise."""
    y, x = np.mgrid[:height, :width]
    noise = np.random.RandomState(1).randint(0, 24, (height, width, channels))
    waves = [np.sin(x / 5 + c) + np.cos(y / (4 + c)) for c in range(channels)]
    picture = 110 + 45 * np.stack(waves, -1) + noise
    picture[(x - width / 2) ** 2 + (y - height / 2) ** 2 < 40] = [240, 10, 60, 128][:channels]
    return picture.clip(0, 255).astype(np.uint8)


def digest(pixels):
    return hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest()


def keep(name, data, rgba=False):
    """Writes a file, and what Pillow reads in it."""
    (FOLDER / name).write_bytes(data)
    picture = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    if rgba:
        digests.append(f"{name} rgba {digest(picture.convert('RGBA'))}")
    is_grey = picture.mode in ("1", "L", "LA", "I;16") or "greya" in name
    pixels = np.asarray(picture.convert("L" if is_grey else "RGB"))
    np.save(FOLDER / f"{name.rsplit('.', 1)[0]}.npy", pixels)


def saved(picture, kind, **options):
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def jpegs():
    colour = Image.fromarray(scene(37, 29))
    for name, sampling in [("444", 0), ("422", 1), ("420", 2)]:
        keep(f"jpeg-{name}.jpg", saved(colour, "JPEG", subsampling=sampling))
    # Sampling factors that Pillow does not write.
    for name, factors in [("440", 0x12), ("411", 0x41)]:
        keep(f"jpeg-{name}.jpg", resampled(colour, factors))
    keep("jpeg-progressive.jpg", saved(colour, "JPEG", progressive=True))
    keep("jpeg-restarts.jpg", saved(colour, "JPEG", restart_marker_rows=1, optimize=True))
    keep("jpeg-grey.jpg", saved(colour.convert("L"), "JPEG"))
    keep("jpeg-rgb.jpg", saved(colour, "JPEG", keep_rgb=True))
    cmyk = Image.fromarray(scene(21, 18, 4), "CMYK")
    keep("jpeg-cmyk.jpg", saved(cmyk, "JPEG"))
    keep("jpeg-ycck.jpg", ycck(saved(cmyk, "JPEG")))
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        data = saved(Image.fromarray(scene(19, 11)), "JPEG", exif=exif)
        keep(f"jpeg-turned-{orientation}.jpg", data)
    exif = b"Exif\0\0II*\0" + struct.pack("<IHHHIHH", 8, 1, 0x0112, 3, 1, 6, 0) + bytes(4)
    keep("jpeg-turned-little.jpg", saved(Image.fromarray(scene(19, 11)), "JPEG", exif=exif))


def resampled(picture, factors):
    """A JPEG with other sampling factors of luminance, one row of units high.

    The blocks are those of a 4:4:4 file, where a unit has three of them; here it has
    across·down + 2. What is to be seen is another picture.
    """
    data = saved(picture, "JPEG", subsampling=0)
    frame = data.index(b"\xff\xc0")
    height, width = struct.unpack(">HH", data[frame + 5:frame + 9])
    across, down = factors >> 4, factors & 15
    units = -(-width // 8) * -(-height // 8) * 3 // (across * down + 2)
    changed = bytearray(data)
    changed[frame + 5:frame + 9] = struct.pack(">HH", 8 * down, 8 * across * units - 3)
    changed[frame + 11] = factors
    return bytes(changed)


def ycck(data):
    """The same numbers, declared to be YCCK by the transform in Adobe's segment."""
    place = data.index(b"Adobe") + 11
    return data[:place] + b"\x02" + data[place + 1:]


def chunk(name, content):
    checksum = zlib.crc32(name + content)
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", checksum)


def png(width, height, depth, colour, rows, *chunks, interlaced=False):
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, int(interlaced))
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(chunk(*c) for c in chunks)
            + chunk(b"IDAT", pixels) + chunk(b"IEND", b""))


def packed(values, depth):
    """Rows of samples of 1, 2, 4, 8 or 16 bits."""
    for row in values:
        bits = "".join(f"{value:0{depth}b}" for value in row.ravel())
        bits += "0" * (-len(bits) % 8)
        yield bytes(int(bits[i:i + 8], 2) for i in range(0, len(bits), 8))


def interlaced(values, depth):
    for x, y, right, down in [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4),
                              (1, 0, 2, 2), (0, 1, 1, 2)]:
        part = values[y::down, x::right]
        if part.size:
            yield from packed(part, depth)


def pngs():
    random = np.random.RandomState(2)
    width, height = 19, 13
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
    palette = random.randint(0, 256, (256, 3)).astype(np.uint8)
    for colour, name in [(0, "grey"), (2, "rgb"), (3, "palette"), (4, "greya"), (6, "rgba")]:
        for depth in {0: [1, 2, 4, 8, 16], 3: [1, 2, 4, 8]}.get(colour, [8, 16]):
            values = random.randint(0, 1 << depth, (height, width, channels[colour]))
            if (colour, depth) == (0, 16):
                values[::2] = values[::2] % 300
            chunks = [(b"PLTE", palette[:1 << depth].tobytes())] if colour == 3 else []
            file = f"png-{name}-{depth}"
            rows = list(packed(values, depth))
            keep(f"{file}.png", png(width, height, depth, colour, rows, *chunks), rgba=colour >= 4)
            if depth != 4 and depth != 2:
                rows = list(interlaced(values, depth))
                data = png(width, height, depth, colour, rows, *chunks, interlaced=True)
                keep(f"{file}-interlaced.png", data)
            first = [int(value) for value in values[0, 0]]
            transparent = struct.pack(f">{len(first)}H", *first) if colour in (0, 2) else b""
            if colour == 3:
                transparent = bytes([0, 100, 255][:1 << depth])
            if transparent and (colour, depth) != (2, 16):
                chunks = [*chunks, (b"tRNS", transparent)]
                rows = list(packed(values, depth))
                # Pillow compares grey of 2 and 4 bits with the wrong numbers.
                data = png(width, height, depth, colour, rows, *chunks)
                keep(f"{file}-transparent.png", data, rgba=colour > 0 or depth not in (2, 4))
    exif = b"MM\0*" + struct.pack(">IHHHIHH", 8, 1, 0x0112, 3, 1, 5, 0) + bytes(4)
    rows = list(packed(random.randint(0, 256, (3, 5, 3)), 8))
    keep("png-turned.png", png(5, 3, 8, 2, rows, (b"eXIf", exif)))


def webps():
    colour, opacity = Image.fromarray(scene(37, 29)), Image.fromarray(scene(37, 29, 4))
    keep("webp-lossy.webp", saved(colour, "WEBP", quality=70))
    keep("webp-lossless.webp", saved(colour, "WEBP", lossless=True), rgba=True)
    keep("webp-lossy-alpha.webp", saved(opacity, "WEBP", quality=70), rgba=True)
    keep("webp-lossless-alpha.webp", saved(opacity, "WEBP", lossless=True, exact=True), rgba=True)
    exif = Image.Exif()
    exif[0x0112] = 8
    keep("webp-turned.webp", saved(colour, "WEBP", lossless=True, exif=exif))
    others = [Image.fromarray(255 - scene(37, 29))]
    data = saved(colour, "WEBP", save_all=True, append_images=others, lossless=True)
    keep("webp-animated.webp", data)


def bmp(width, height, bits, data, compression=0, palette=b"", masks=b"", length=40, colours=0):
    if length == 12:
        header = struct.pack("<IHHHH", 12, width, height, 1, bits)
    else:
        header = struct.pack("<IiiHHIIiiII", length, width, height, 1, bits, compression, len(data),
                             0, 0, colours, 0)
        header += masks[:length - 40].ljust(length - 40, b"\0")
    rest = masks[max(length, 40) - 40:] + palette
    start = 14 + len(header) + len(rest)
    return b"BM" + struct.pack("<IHHI", start + len(data), 0, 0, start) + header + rest + data


def bmps():
    random = np.random.RandomState(3)
    width, height = 19, 7

    def rows(values, depth):
        return b"".join(row + bytes(-len(row) % 4) for row in packed(values, depth))

    palette = random.randint(0, 256, (256, 4)).astype(np.uint8)
    for bits in [1, 4, 8]:
        colours = palette[:1 << bits].tobytes()
        values = random.randint(0, 1 << bits, (height, width))
        keep(f"bmp-{bits}.bmp", bmp(width, height, bits, rows(values, bits), palette=colours))
        short = palette[:1 << bits, :3].tobytes()
        keep(f"bmp-{bits}-short.bmp",
             bmp(width, height, bits, rows(values, bits), palette=short, length=12))
    values = random.randint(0, 5, (height, width))
    few = palette[:5].tobytes()
    keep("bmp-few.bmp", bmp(width, height, 8, rows(values, 8), palette=few, colours=5))
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 4, 1).tobytes()
    values = random.randint(0, 256, (height, width))
    keep("bmp-grey.bmp", bmp(width, height, 8, rows(values, 8), palette=ramp))
    colour = random.randint(0, 256, (height, width, 3))
    keep("bmp-24.bmp", bmp(width, height, 24, rows(colour, 8)))
    keep("bmp-24-short.bmp", bmp(width, height, 24, rows(colour, 8), length=12))
    keep("bmp-24-down.bmp", bmp(width, -height, 24, rows(colour, 8)))
    opaque = random.randint(0, 256, (height, width, 4))
    keep("bmp-32.bmp", bmp(width, height, 32, rows(opaque, 8)))
    words = random.randint(0, 1 << 15, (height, width))
    data = b"".join(row.astype("<u2").tobytes() + bytes(2) for row in words)
    keep("bmp-16.bmp", bmp(width, height, 16, data))
    masks = struct.pack("<III", 0xF800, 0x7E0, 0x1F)
    keep("bmp-565.bmp", bmp(width, height, 16, data, 3, masks=masks))
    masks = struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    keep("bmp-rgba.bmp", bmp(width, height, 32, rows(opaque, 8), 3, masks=masks, length=124), True)
    masks = struct.pack("<IIII", 0xFF000000, 0xFF0000, 0xFF00, 0)
    keep("bmp-xbgr.bmp", bmp(width, height, 32, rows(opaque, 8), 3, masks=masks, length=56))
    colours = palette.tobytes()
    # A row of runs and pixels, one of a run, one of pixels and a run; one that skips to the next;
    # the beginning of a row, and another run.
    runs = bytes([5, 7, 0, 3, 1, 2, 3, 0, 11, 200, 0, 0, 19, 9, 0, 0, 0, 4, 8, 7, 6, 5, 15, 1, 0, 0,
                  2, 3, 0, 2, 10, 1, 7, 77, 0, 0, 2, 19, 0, 0, 19, 1, 0, 1])
    keep("bmp-runs-8.bmp", bmp(width, height, 8, runs, 1, palette=colours))
    runs = bytes([5, 0x7A, 0, 3, 0x12, 0x30, 11, 0xC0, 0, 0, 19, 0x95, 0, 0, 0, 6, 0x87, 0x65, 0x43,
                  0, 13, 0x11, 0, 0] + [19, 0x23, 0, 0] * 4 + [0, 1])
    keep("bmp-runs-4.bmp", bmp(width, height, 4, runs, 2, palette=palette[:16].tobytes()))


def resized():
    for name, pixels in [("scene", scene(37, 29)), ("scene-grey", scene(37, 29, 1)[..., 0]),
                         ("scene-rgba", scene(37, 29, 4))]:
        np.save(FOLDER / f"{name}.npy", pixels)
        picture = Image.fromarray(pixels)
        for interpolation, filter in RESAMPLING.items():
            for size in SIZES:
                result = digest(np.asarray(picture.resize(size, filter)))
                digests.append(f"{name} {interpolation} {size[0]}x{size[1]} {result}")


for make in [jpegs, pngs, webps, bmps, resized]:
    make()
(FOLDER / "digests.txt").write_text("\n".join(digests) + "\n")
