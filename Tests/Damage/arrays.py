# SPDX-License-Identifier: Apache-2.0
"""Hand-made files of arrays that lie: npy, npz, safetensors, idx and CIFAR."""

import gzip
import io
import json
import os
import struct
import zlib

import numpy as np
from harness import ACCEPTED, EITHER, REFUSED, Case
from onnx import TensorProto, helper, numpy_helper

LIMIT = ["--max-memory", "256M"]


def convert(name, extension, data, expected=REFUSED, output="o.npz"):
    return Case(f"{extension} {name}", {f"a.{extension}": data},
                ["convert", f"a.{extension}", f"out/{output}"] + LIMIT, expected,
                lambda folder: os.mkdir(f"{folder}/out"))


def npy_file(header, data=b"", version=(1, 0), length=None):
    text = header if isinstance(header, bytes) else header.encode()
    size = len(text) if length is None else length
    head = struct.pack("<H", size & 0xFFFF) if version[0] == 1 else struct.pack("<I", size)
    return b"\x93NUMPY" + bytes(version) + head + text + data


def npy():
    def header(descr="'<f4'", order="False", shape="(2,)"):
        return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}\n"

    def lie(name, data, expected=REFUSED):
        return convert(name, "npy", data, expected)

    yield lie("good", npy_file(header(), bytes(8)), ACCEPTED)
    yield lie("column-major", npy_file(header(order="True", shape="(2, 3)"), bytes(24)), ACCEPTED)
    for version in [(0, 0), (1, 1), (2, 0), (3, 0), (4, 0), (255, 255)]:
        expected = ACCEPTED if version in [(2, 0), (3, 0)] else REFUSED
        yield lie(f"version {version}", npy_file(header(), bytes(8), version), expected)
    for shape in ["(3,)", "(2)", "2", "[2]", "(-2,)", "(2,,)", "(,)", "(2.0,)", "('2',)", "(02,)",
                  "(9223372036854775807, 2)", "(4294967296, 4294967296)", "(0, 9223372036854775808)",
                  "(1" + ", 1" * 40000 + ", 2)", "(" * 500 + ")" * 500, "(2,", "None", "(True,)",
                  "(1099511627776,)", "(2L,)"]:
        yield lie(f"shape {shape[:30]}", npy_file(header(shape=shape), bytes(8)))
    for descr in ["'|O'", "'O'", "'<f3'", "''", "'<U4'", "'|V8'", "'<M8[ns]'", "'<c8'", "[('a', '<f4')]",
                  "(1,)", "'<f4", "None", "'\\x3cf4'", "b'<f4'", "'< f4'", "'\x00'"]:
        yield lie(f"descr {descr}", npy_file(header(descr=descr), bytes(8)))
    for text in ["", "{", "}", "{}", "{'descr': '<f4'}", header() + header(), "import os", "{'a': 1}",
                 header()[:-3], header().replace("'shape'", "'descr'"), header() + "#", "{" * 2000,
                 "{'descr': '<f4' 'fortran_order': False, 'shape': (2,)}", "\0" * 60,
                 "{'descr': '<f4', 'fortran_order': 0, 'shape': (2,)}",
                 "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'extra': 1}"]:
        yield lie(f"header {text[:30]!r}", npy_file(text, bytes(8)))
    yield lie("a header of 10000", npy_file(header().strip().ljust(9999) + "\n", bytes(8), (2, 0)), ACCEPTED)
    yield lie("a header of 10001", npy_file(header().strip().ljust(10000) + "\n", bytes(8), (2, 0)))
    for length in [0, 1, 60000, 65535]:
        yield lie(f"header length {length}", npy_file(header(), bytes(8), length=length))
    yield lie("header length 4 GiB", npy_file(header(), bytes(8), (2, 0), 2**32 - 1))
    for count in [0, 7, 9, 4096]:
        yield lie(f"{count} bytes for 8", npy_file(header(), bytes(count)))
    yield lie("latin", npy_file(header().encode() + b"\xff\xfe", bytes(8)))
    yield lie("empty", b"")
    pickle = b"\x80\x04\x95\x1d\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94\x8c\x06system\x94\x93\x94\x8c\x02id\x94\x85\x94R\x94."
    yield lie("a pickle", pickle)
    yield lie("a pickle behind a header", npy_file(header(descr="'|O'", shape="(1,)"), pickle))


def saved(**arrays):
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return bytearray(buffer.getvalue())


def bomb(megabytes, claimed=None):
    """A deflated entry of zeros, whose size the directory claims to be `claimed`."""
    text = b"{'descr': '|u1', 'fortran_order': False, 'shape': (%d,), }" % (megabytes << 20)
    head = npy_file(text.ljust(117) + b"\n")
    block = bytes(1 << 20)
    packer = zlib.compressobj(6, zlib.DEFLATED, -15)
    start = packer.compress(head) + packer.flush(zlib.Z_FULL_FLUSH)
    # Behind a full flush, equal blocks are equal bytes.
    repeated = packer.compress(block) + packer.flush(zlib.Z_FULL_FLUSH)
    data = start + repeated * megabytes + packer.flush()
    crc, size = zlib.crc32(head), len(head) + (megabytes << 20)
    for _ in range(megabytes):
        crc = zlib.crc32(block, crc)
    return entry(b"a.npy", data, crc, size if claimed is None else claimed)


def entry(name, data, crc, size, method=8, count=1, flags=0):
    shared = struct.pack("<HHHHHIIIHH", 20, flags, method, 0, 33, crc, len(data), size, len(name), 0)
    local = b"PK\x03\x04" + shared + name + data
    central = (b"PK\x01\x02" + struct.pack("<H", 20) + shared + struct.pack("<HHHII", 0, 0, 0, 0, 0)
               + name) * count
    end = struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, count, count, len(central), len(local), 0)
    return local + central + end


def npz():
    def lie(name, data, expected=REFUSED):
        return convert(name, "npz", bytes(data), expected, "o.safetensors")

    good = saved(a=np.ones(3, "f4"), b=np.zeros(2))
    yield lie("good", good, ACCEPTED)
    yield lie("empty", b"")
    yield lie("no entries", saved(), ACCEPTED)
    # A bomb may be refused or fit; it must not take more than it may.
    for size in [100, 200, 2000]:
        yield lie(f"a bomb of {size} MB", bomb(size), REFUSED if size > 100 else EITHER)
        yield lie(f"a bomb of {size} MB that claims 100 bytes", bomb(size, 100))
    small = npy_file("{'descr': '|u1', 'fortran_order': False, 'shape': (1,), }\n", b"x")
    crc = zlib.crc32(small)
    yield lie("stored", entry(b"a.npy", small, crc, len(small), 0), ACCEPTED)
    yield lie("one entry twice", entry(b"a.npy", small, crc, len(small), 0, count=2))
    yield lie("wrong checksum", entry(b"a.npy", small, crc ^ 1, len(small), 0))
    yield lie("encrypted", entry(b"a.npy", small, crc, len(small), 0, flags=1))
    for method in [1, 9, 12, 14, 93, 99]:
        yield lie(f"method {method}", entry(b"a.npy", small, crc, len(small), method))
    for name in [b"a.txt", b"", b"\xff.npy", b"a.NPY"]:
        yield lie(f"name {name}", entry(name, small, crc, len(small), 0))
    for name in [b"../../evil.npy", b"/tmp/evil.npy", b"\x1b[31m.npy"]:
        yield lie(f"name {name}", entry(name, small, crc, len(small), 0), EITHER)
    for size in [0, len(small) - 1, len(small) + 1, 2**32 - 2, 2**32 - 1]:
        yield lie(f"claimed size {size}", entry(b"a.npy", small, crc, size, 0))
    end = len(good) - 22
    for offset in range(4, 22, 2):
        for value in [0xFFFF, 0x7FFF, 1]:
            data = bytearray(good)
            struct.pack_into("<H", data, end + offset, value)
            yield lie(f"end record {offset} = {value}", data, EITHER)
    for size in range(0, len(good), 11):
        yield lie(f"cut to {size}", good[:size])


def safetensors_file(header, data=b"", length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def safetensors():
    def lie(name, data, expected=REFUSED):
        return convert(name, "safetensors", data, expected)

    def one(dtype="F32", shape=(2,), offsets=(0, 8), **more):
        return {"dtype": dtype, "shape": shape, "data_offsets": offsets, **more}

    yield lie("good", safetensors_file({"a": one()}, bytes(8)), ACCEPTED)
    yield lie("no tensors", safetensors_file({}), ACCEPTED)
    yield lie("metadata", safetensors_file({"__metadata__": {"a": "b"}, "a": one()}, bytes(8)), ACCEPTED)
    for name, header in [("of numbers", {"a": 1}), ("of null", {"a": None}), ("nested", {"a": {"b": "c"}}),
                         ("a list", []), ("a text", "x")]:
        yield lie(f"metadata {name}", safetensors_file({"__metadata__": header, "a": one()}, bytes(8)))
    for name, header in [
        ("a hole", {"a": one(offsets=(8, 16))}), ("an overlap", {"a": one(), "b": one(offsets=(4, 12))}),
        ("the same bytes", {"a": one(), "b": one()}), ("beyond the end", {"a": one(offsets=(0, 80))}),
        ("backwards", {"a": one(offsets=(8, 0))}), ("negative", {"a": one(offsets=(-8, 0))}),
        ("not all", {"a": one(shape=[1], offsets=(0, 4))}), ("three offsets", {"a": one(offsets=(0, 4, 8))}),
        ("one offset", {"a": one(offsets=(8,))}), ("too large", {"a": one(shape=[2**62, 4])}),
        ("overflow", {"a": one(shape=[2**63 - 1, 2**63 - 1])}), ("negative extent", {"a": one(shape=[-2])}),
        ("a fraction", {"a": one(shape=[2.0])}), ("2^64", {"a": one(shape=[2**64])}),
        ("wrong width", {"a": one("F64")}), ("unknown type", {"a": one("F31")}), ("no type", {"a": one(None)}),
        ("long offsets", {"a": one(offsets=(0, 2**63))}), ("rank 65", {"a": one(shape=[1] * 65 + [2])}),
        ("a list", []), ("a number", 5), ("null", None), ("a tensor that is a list", {"a": [1]}),
        ("no shape", {"a": {"dtype": "F32", "data_offsets": [0, 8]}}),
        ("deep", {"a": one(x=json.loads("[" * 90 + "]" * 90))})]:
        yield lie(name, safetensors_file(header, bytes(8)))
    good = json.dumps({"a": one()}).encode()
    yield lie("a leading space", safetensors_file(b" " + good, bytes(8)))
    yield lie("trailing spaces", safetensors_file(good + b"   ", bytes(8)), ACCEPTED)
    yield lie("trailing text", safetensors_file(good + b"x", bytes(8)))
    yield lie("a key twice", safetensors_file(good[:-1] + b"," + good[1:], bytes(8)))
    yield lie("a setting twice", safetensors_file(good.replace(b'"shape"', b'"shape": [2], "shape"'), bytes(8)))
    yield lie("broken UTF-8", safetensors_file(good.replace(b'"a"', b'"\xff"'), bytes(8)))
    yield lie("half a surrogate", safetensors_file(good.replace(b'"a"', b'"\\ud800"'), bytes(8)))
    yield lie("a comma too many", safetensors_file(good[:-1] + b",}", bytes(8)))
    yield lie("more data", safetensors_file({"a": one()}, bytes(9)))
    yield lie("less data", safetensors_file({"a": one()}, bytes(7)))
    for length in [0, 1, 2**31, 100_000_001, 2**63 - 1, 2**63, 2**64 - 1]:
        yield lie(f"header length {length}", safetensors_file({"a": one()}, bytes(8), length))
    yield lie("braces", safetensors_file(b"{" * 100_000))
    yield lie("brackets", safetensors_file(b'{"a":' + b"[" * 100_000))
    for size in range(0, 80, 5):
        yield lie(f"cut to {size}", safetensors_file({"a": one()}, bytes(8))[:size])


def classifier():
    graph = helper.make_graph(
        [helper.make_node("Flatten", ["x"], ["f"]), helper.make_node("Gemm", ["f", "w"], ["y"])], "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, 32, 32])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 10])],
        [numpy_helper.from_array(np.ones((3072, 10), "f4"), "w")])
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()


def idx_file(shape, data=None, dtype=8, rank=None):
    head = struct.pack(">HBB", 0, dtype, len(shape) if rank is None else rank)
    size = int(np.prod(shape)) if data is None else 0
    return head + struct.pack(f">{len(shape)}I", *shape) + (bytes(size) if data is None else data)


def pictures():
    network = classifier()
    good = idx_file((4, 8, 8)), idx_file((4,))

    def lie(name, images=good[0], labels=good[1], expected=REFUSED, ending=""):
        files = {"m.onnx": network, f"d/t10k-images-idx3-ubyte{ending}": images,
                 "d/t10k-labels-idx1-ubyte": labels}
        return Case(f"idx {name}", files, ["evaluate", "m.onnx", "--data", "idx:d", "--quiet"] + LIMIT, expected)

    yield lie("good", expected=ACCEPTED)
    yield lie("compressed", gzip.compress(good[0]), expected=ACCEPTED, ending=".gz")
    for shape in [(5, 8, 8), (4, 8, 9), (2**32 - 1,) * 3, (4, 0, 8), (0, 8, 8), (2**31, 1, 1)]:
        yield lie(f"shape {shape}", idx_file(shape, bytes(256)))
        yield lie(f"compressed shape {shape}", gzip.compress(idx_file(shape, bytes(256))), ending=".gz")
    for dtype in [0, 9, 11, 12, 13, 14, 255]:
        yield lie(f"type {dtype}", idx_file((4, 8, 8), dtype=dtype))
    for rank in [0, 1, 2, 5, 255]:
        yield lie(f"rank {rank}", idx_file((4, 8, 8), rank=rank))
    for count in [3, 5, 0]:
        yield lie(f"{count} labels", labels=idx_file((count,)))
    yield lie("label 10", labels=idx_file((4,), bytes([0, 1, 2, 10])), expected=EITHER)
    yield lie("empty", b"")
    yield lie("a bomb", gzip.compress(idx_file((2**31 - 1, 1, 1), bytes(100 << 20)), 6), ending=".gz")
    yield lie("a true bomb", gzip.compress(idx_file((150 << 10, 32, 32)), 6), ending=".gz")
    for size in range(0, 200, 17):
        yield lie(f"cut to {size}", good[0][:size])
    packed = gzip.compress(good[0])
    for size in range(0, len(packed), 3):
        yield lie(f"compressed, cut to {size}", packed[:size], ending=".gz")
    yield lie("compressed, and more", packed + b"x", ending=".gz")
    record = bytes([3]) + bytes(3072)
    for name, data, expected in [("good", record * 4, ACCEPTED), ("cut", (record * 4)[:-1], REFUSED),
                                 ("longer", record * 4 + b"\0", REFUSED), ("empty", b"", REFUSED),
                                 ("label 10", record + bytes([10]) + bytes(3072), REFUSED)]:
        yield Case(f"cifar {name}", {"m.onnx": network, "d/test_batch.bin": data},
                   ["evaluate", "m.onnx", "--data", "cifar10:d", "--quiet"] + LIMIT, expected)


def compressed(**arrays):
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def single(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def data():
    """Arrays that are read by rows."""
    network = classifier()
    x, y = np.linspace(0, 1, 4 * 3072, dtype="f4").reshape(4, 3, 32, 32), np.arange(4)

    def lie(name, files, spec="npz:a.npz", expected=REFUSED):
        files = files if isinstance(files, dict) else {"a.npz": bytes(files)}
        return Case(f"data {name}", {"m.onnx": network, **files},
                    ["evaluate", "m.onnx", "--data", spec, "--quiet"] + LIMIT, expected)

    for kind in ["f4", ">f4", "f8", "f2", "u1"]:
        yield lie(f"good {kind}", saved(x=x.astype(kind), y=y), expected=ACCEPTED)
    yield lie("good, column-major", saved(x=np.asfortranarray(x), y=y), expected=ACCEPTED)
    yield lie("good, compressed", compressed(x=x, y=y), expected=ACCEPTED)
    yield lie("good, parts", saved(x_train=x, y_train=y, x_test=x, y_test=y), expected=ACCEPTED)
    objects = np.array([{}, 1, "a", None], object)
    for name, labels in [("negative", y - 1), ("2⁶²", y + 2**62), ("floats", y + 0.5),
                         ("5", np.arange(5)), ("none", np.arange(0)), ("a number", np.array(1)),
                         ("NaN", y * np.nan), ("too large", y + 9), ("objects", objects),
                         ("text", np.array(["a", "b", "c", "d"])),
                         ("several", np.eye(4, dtype=int))]:
        yield lie(f"labels: {name}", saved(x=x, y=labels))
    for name, samples in [("none", x[:0]), ("a number", np.array(1)), ("a row", x[0]),
                          ("no pixels", x[:, :, :0]), ("complex", x.astype("c8"))]:
        yield lie(f"samples: {name}", saved(x=samples, y=y))
    header = npy_file(f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({2**63 - 1}, 0), }}")
    yield lie("samples: 2⁶³-1", entry(b"x.npy", header, zlib.crc32(header), len(header), 0))
    for arrays in [{}, {"x": x}, {"y": y}, {"x": x, "images": x, "y": y},
                   {"x": x, "x_test": x, "y": y}]:
        yield lie(f"only {sorted(arrays)}", saved(**arrays))
    stored = bytes(saved(x=x, y=y))
    for packed, whole in [("stored", stored), ("compressed", compressed(x=x, y=y))]:
        for size in range(0, len(whole), len(whole) // 40):
            yield lie(f"{packed}, cut to {size}", whole[:size])
        for place in range(0, len(whole), len(whole) // 60):
            damaged = bytearray(whole)
            damaged[place] ^= 0x55
            yield lie(f"{packed}, byte {place} changed", damaged, expected=EITHER)
    yield lie("a bomb", bomb(100))
    zeros = np.zeros((20_000, 3, 32, 32), "f4")
    yield lie("a compressed array of zeros", compressed(x=zeros, y=y))
    files = {"x.npy": single(x), "y.npy": single(y)}
    yield lie("good, two files", files, "npy:x.npy,y.npy", ACCEPTED)
    for size in [0, 1, 9, 10, 100, 127, 128, 129, len(files["x.npy"]) - 1]:
        cut = {**files, "x.npy": files["x.npy"][:size]}
        yield lie(f"x.npy cut to {size}", cut, "npy:x.npy,y.npy")
    for spec in ["npy:x.npy", "npy:x.npy,z.npy", "npy:x.npy,", "npy:,y.npy", "npy:y.npy,x.npy",
                 "npy:x.npy,y.npy:test", "npy:x.npy,y.npy[2..<9]", "npz:x.npy", "npz:.",
                 "npz:x.npy/a"]:
        yield lie(spec, files, spec)
    shards = {"d/a.npz": stored, "d/b.npz": compressed(x=x, y=y)}
    yield lie("good shards", shards, "npz:d", ACCEPTED)
    for name, other in [("cut", stored[:-30]), ("empty", b""), ("other names", saved(x=x, z=y)),
                        ("other type", saved(x=x.astype("f8"), y=y)),
                        ("other shape", saved(x=x[..., :9], y=y)),
                        ("fewer labels", saved(x=x, y=y[:2]))]:
        yield lie(f"shards: {name}", {"d/a.npz": stored, "d/b.npz": bytes(other)}, "npz:d")
    end = 32 + x.nbytes
    tensors = {"x": {"dtype": "F32", "shape": [4, 3, 32, 32], "data_offsets": [32, end]},
               "y": {"dtype": "I64", "shape": [4], "data_offsets": [0, 32]}}
    whole = safetensors_file(tensors, y.tobytes() + x.tobytes())
    yield lie("good safetensors", {"a.safetensors": whole}, "npz:a.safetensors", ACCEPTED)
    for size in range(0, len(whole), len(whole) // 20):
        cut = {"a.safetensors": whole[:size]}
        yield lie(f"safetensors cut to {size}", cut, "npz:a.safetensors")


def cases():
    for kind in [npy, npz, safetensors, pictures, data]:
        yield from kind()
