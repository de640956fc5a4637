# SPDX-License-Identifier: Apache-2.0
"""Writes the seeds of the fuzzers, small valid files of every format, into FOLDER/TARGET.

usage: seeds.py FOLDER
"""

import gzip
import io
import json
import os
import pathlib
import struct
import sys

import numpy as np
from onnx import TensorProto, helper, numpy_helper

TESTS = pathlib.Path(__file__).parents[1]
DTYPES = "f4 f8 i1 u1 i2 u2 i4 u4 i8 u8 ?".split()


def npy():
    for dtype in DTYPES:
        for shape in [(), (3,), (2, 3), (0, 2)]:
            buffer = io.BytesIO()
            np.save(buffer, np.ones(shape, dtype))
            yield buffer.getvalue()
    buffer = io.BytesIO()
    np.save(buffer, np.asfortranarray(np.arange(6, dtype="f4").reshape(2, 3)))
    yield buffer.getvalue()
    for version in [(2, 0), (3, 0)]:
        buffer = io.BytesIO()
        np.lib.format.write_array(buffer, np.ones(2, "f4"), version)
        yield buffer.getvalue()


def npz():
    arrays = {"a": np.ones((2, 3), "f4"), "b": np.arange(4)}
    for save in [np.savez, np.savez_compressed]:
        for count in range(3):
            buffer = io.BytesIO()
            save(buffer, **dict(list(arrays.items())[:count]))
            yield buffer.getvalue()


def tensors(header, data):
    """A safetensors file."""
    text = json.dumps(header, separators=(",", ":")).encode()
    return struct.pack("<Q", len(text)) + text + data


def safetensors():
    yield tensors({}, b"")
    yield tensors({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}, bytes(8))
    yield tensors(
        {"__metadata__": {"k\u00fc": "v\n"},
         "a": {"dtype": "I64", "shape": [], "data_offsets": [0, 8]},
         "b": {"dtype": "BOOL", "shape": [1, 3], "data_offsets": [8, 11], "x": [1.5e3, None]},
         "c": {"dtype": "U8", "shape": [0], "data_offsets": [11, 11]}}, bytes(11))


def rows():
    """Samples with labels, targets and parts, in files of every kind."""
    x, y = np.arange(12, dtype="f4").reshape(4, 3), np.array([0, 1, 1, 0])
    pictures = np.arange(36, dtype="u1").reshape(4, 1, 3, 3)
    files = [
        {"x": x, "y": y}, {"x": x, "y": x / 2}, {"x_train": x, "y_train": y, "x_test": x[:2]},
        {"images": pictures, "labels": y.reshape(4, 1)}, {"a": x, "b": y},
        {"x": x.astype("f2"), "size": np.float32(2)},
        {"x": np.zeros((4, 0), "f4"), "y": np.zeros((4, 0), "f4")},
        {"x": np.asfortranarray(x)}, {"x": x.astype(">f4"), "y": y.astype("?")}]
    for arrays in files:
        for save in [np.savez, np.savez_compressed]:
            buffer = io.BytesIO()
            save(buffer, **arrays)
            yield buffer.getvalue()
    codes = {"f2": "F16", "f4": "F32", "i8": "I64", "u1": "U8", "?": "BOOL"}
    for arrays in files[:6]:
        header, data = {}, b""
        for name, array in arrays.items():
            end = len(data) + array.nbytes
            dtype = next(code for like, code in codes.items() if array.dtype == like)
            header[name] = {"dtype": dtype, "shape": list(array.shape),
                            "data_offsets": [len(data), end]}
            data += array.tobytes()
        yield tensors(header, data)
    yield tensors({"x": {"dtype": "BF16", "shape": [2, 3], "data_offsets": [0, 12]}}, bytes(12))
    yield from npy()


def preprocessing():
    yield from [text.encode() for text in (
        "resize: shorter\nto: 12\ncrop: 0.9\n",
        "size: 8\nresize: exact\nto: [9, 10]\ninterpolation: bicubic\nantialias: false\n",
        "resize: letterbox\nborder: 114\nscale: 1/255\nmean: 0\ndeviation: 1\n",
        "resize: none\nborder: [1, 2, 3]\ncolours: bgr\nlayout: nhwc\ncropRounding: down\n",
        "scale: 1\nmean: [123.7, 116.3, 103.5]\ndeviation: [58.4, 57.1, 57.4]\n",
        "a: &a [1, 2]\nmean: *a\n")]
    half = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}
    kinds = ["ViT", "DeiT", "CLIP", "ConvNext", "EfficientNet", "PoolFormer", "Levit", "MobileViT"]
    for kind in kinds:
        yield json.dumps({"image_processor_type": f"{kind}ImageProcessor", "size": 8,
                          "crop_size": 8, "resample": 2}).encode()
    yield from [json.dumps(value).encode() for value in (
        {"do_resize": True, "size": {"height": 8, "width": 8}, "resample": 3, "do_rescale": True,
         "rescale_factor": 1 / 255, "do_normalize": True, **half},
        {"do_center_crop": True, "crop_size": {"height": 8, "width": 8}, "resample": 2,
         "size": {"shortest_edge": 10}, "crop_pct": 0.875, "do_flip_channel_order": True, **half},
        {"image_processor": {"image_processor_type": "BitImageProcessor", "size": [8, 8]}},
        {"feature_extractor_type": "ViTFeatureExtractor", "do_resize": False,
         "do_normalize": False, "rescale_offset": True},
        {"input_size": [3, 8, 8], "crop_pct": 0.9, "mean": [0.5], "std": [0.5],
         "interpolation": "bicubic", "crop_mode": "center"},
        {"pretrained_cfg": {"input_size": [3, 10, 10], "test_input_size": [3, 8, 8],
                            "test_crop_pct": 1.0, "crop_mode": "border"}},
        {"pretrained_cfg": {"input_size": [3, 8, 8], "crop_mode": "squash"}})]


def idx():
    for shape in [(3,), (2, 2), (2, 3, 3), (1, 3, 2, 2)]:
        data = struct.pack(">HBB", 0, 8, len(shape)) + struct.pack(f">{len(shape)}I", *shape)
        data += bytes(int(np.prod(shape)))
        yield data
        yield gzip.compress(data, mtime=0)


def images():
    for path in sorted((TESTS / "SwiftletImagesTests" / "Fixtures").iterdir()):
        if path.suffix in (".jpg", ".png", ".webp", ".bmp"):
            yield path.read_bytes()


def model(nodes, inputs, outputs, constants=(), opset=17, **fields):
    def values(entries):
        return [helper.make_tensor_value_info(*entry) for entry in entries]

    graph = helper.make_graph(
        nodes, "g", values(inputs), values(outputs),
        [numpy_helper.from_array(array, name) for name, array in constants], **fields)
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


FLOAT = TensorProto.FLOAT


def layers():
    node = helper.make_node
    weights = np.ones((2, 1, 3, 3), "f4")
    yield model(
        [node("Conv", ["x", "w"], ["h"], pads=[1, 1, 1, 1]), node("Relu", ["h"], ["r"]),
         node("MaxPool", ["r"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
         node("Flatten", ["p"], ["f"]), node("Gemm", ["f", "v"], ["y"], transB=1)],
        [("x", FLOAT, ["N", 1, 4, 4])], [("y", FLOAT, ["N", 3])],
        [("w", weights), ("v", np.ones((3, 8), "f4"))])
    yield model(
        [node("Shape", ["x"], ["s"]), node("Gather", ["s", "i"], ["n"], axis=0),
         node("Concat", ["n", "m"], ["t"], axis=0), node("Reshape", ["x", "t"], ["y"])],
        [("x", FLOAT, ["N", 2, 3])], [("y", FLOAT, None)],
        [("i", np.array([0])), ("m", np.array([-1]))])
    branch = [
        helper.make_graph([node(op, ["x"], ["b"])], op, [], [
            helper.make_tensor_value_info("b", FLOAT, [2])]) for op in ["Neg", "Abs"]]
    yield model(
        [node("If", ["c"], ["y"], then_branch=branch[0], else_branch=branch[1])],
        [("c", TensorProto.BOOL, []), ("x", FLOAT, [2])], [("y", FLOAT, [2])])
    yield model(
        [node("QuantizeLinear", ["x", "s", "z"], ["q"]),
         node("DequantizeLinear", ["q", "s", "z"], ["y"])],
        [("x", FLOAT, [4])], [("y", FLOAT, [4])],
        [("s", np.float32(0.1)), ("z", np.int8(3))])


def operators(limit):
    """Models of ONNX's own operator tests, which are small."""
    from onnx.backend.test.loader import load_model_tests

    for case in load_model_tests(kind="node"):
        data = case.model.SerializeToString()
        if len(data) <= limit:
            yield data


def onnx_files():
    for proto in layers():
        yield proto.SerializeToString()
    yield from operators(1200)


def main():
    folder = sys.argv[1]
    kinds = {"npy": npy, "npz": npz, "safetensors": safetensors, "rows": rows, "idx": idx,
             "image": images, "preprocessing": preprocessing, "onnx": onnx_files}
    for name, make in kinds.items():
        os.makedirs(f"{folder}/{name}", exist_ok=True)
        for count, data in enumerate(make()):
            with open(f"{folder}/{name}/seed-{count:04}", "wb") as file:
                file.write(data)
        print(f"{name}: {count + 1} seeds")


main()
