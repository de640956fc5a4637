# SPDX-License-Identifier: Apache-2.0
"""Runs ONNX's backend tests (operators, and the sets simple, pytorch-operator and
pytorch-converted) through `swiftlet run` and counts per operator what passed, what failed and what
was refused as unsupported (exit code 3). Writes a Markdown table; the last line printed is
`N passed, N failed, N unsupported`, and the exit code is 1 if anything failed.

usage: conformance.py SWIFTLET OUT.md [OPERATOR...]
"""

import collections
import concurrent.futures
import os
import subprocess
import sys
import tempfile
import warnings

warnings.simplefilter("ignore")

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper
from onnx.backend.test.loader import load_model_tests

SETS = ["node", "simple", "pytorch-operator", "pytorch-converted"]
# What an npy file can hold and Swiftlet computes on.
KNOWN_TYPES = {
    TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.BOOL, TensorProto.INT8, TensorProto.UINT8,
    TensorProto.INT16, TensorProto.UINT16, TensorProto.INT32, TensorProto.UINT32,
    TensorProto.INT64, TensorProto.UINT64,
}
# What goes in and comes out as a wider type: all values are the same.
WIDER_TYPES = {
    TensorProto.FLOAT16: np.float32, TensorProto.BFLOAT16: np.float32,
    TensorProto.FLOAT8E4M3FN: np.float32, TensorProto.FLOAT8E4M3FNUZ: np.float32,
    TensorProto.FLOAT8E5M2: np.float32, TensorProto.FLOAT8E5M2FNUZ: np.float32,
    TensorProto.FLOAT4E2M1: np.float32, TensorProto.INT4: np.int8, TensorProto.UINT4: np.uint8,
    TensorProto.INT2: np.int8, TensorProto.UINT2: np.uint8,
}
# What ONNX expects of these are the numbers of one generator, which nobody else has.
RANDOM = {"Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform",
          "RandomUniformLike"}
PASSED, FAILED, UNSUPPORTED = "passed", "failed", "unsupported"


def cases():
    """(operator, name, model path or proto, data sets as lists of arrays, tolerances)."""
    for kind in SETS:
        for case in load_model_tests(kind=kind):
            model = case.model or onnx.load(os.path.join(case.model_dir, "model.onnx"))
            name = model.graph.node[0].op_type if kind == "node" else f"({kind})"
            if kind == "node" and len(model.graph.node) > 1:
                name = case.name.removeprefix("test_").removesuffix("_expanded").split("_")[0]
                name = f"({name}, expanded)" if "expanded" in case.name else "(several)"
            yield name, case, model


def data_sets(case, model):
    if case.data_sets:
        yield from case.data_sets
        return
    count = 0
    while True:
        folder = os.path.join(case.model_dir, f"test_data_set_{count}")
        if not os.path.isdir(folder):
            return
        count += 1

        def load(prefix):
            values = []
            while os.path.exists(path := os.path.join(folder, f"{prefix}_{len(values)}.pb")):
                tensor = onnx.TensorProto()
                with open(path, "rb") as file:
                    tensor.ParseFromString(file.read())
                values.append(numpy_helper.to_array(tensor))
            return values

        yield load("input"), load("output")


def array(value):
    return numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else np.asarray(value)


def widened(tensor, value):
    """The array in the type that Swiftlet reads and writes for a declared input or output."""
    wider = WIDER_TYPES.get(value.type.tensor_type.elem_type)
    return tensor if wider is None else tensor.astype(wider)


def tolerance(value):
    """Four units in the last place of 16-bit floats: what is expected carries the rounding of every
    result between, what is found does not."""
    return {TensorProto.FLOAT16: 2.0**-8, TensorProto.BFLOAT16: 2.0**-5}.get(
        value.type.tensor_type.elem_type, 0)


def noise(model, expected):
    """Four units in the last place of the largest number: what is expected of Fourier transforms is
    rounded to fp32 on the way, and is not zero where the transform is."""
    if not any(node.op_type in ("DFT", "STFT") for node in model.graph.node) or expected.size == 0:
        return 0
    return 2.0**-22 * float(np.abs(expected.astype(np.float64)).max())


def data_inputs(model):
    constants = {tensor.name for tensor in model.graph.initializer}
    return [value for value in model.graph.input if value.name not in constants]


def run(swiftlet, case, model):
    """(verdict, reason) of one case."""
    values = data_inputs(model) + list(model.graph.output)
    for value in values:
        if value.type.WhichOneof("value") != "tensor_type":
            return UNSUPPORTED, "sequences, maps and optional values"
        if value.type.tensor_type.elem_type not in KNOWN_TYPES | WIDER_TYPES.keys():
            return UNSUPPORTED, TensorProto.DataType.Name(value.type.tensor_type.elem_type).lower()
    if any(node.op_type in RANDOM for node in model.graph.node):
        return UNSUPPORTED, "random numbers"
    for inputs, outputs in data_sets(case, model):
        with tempfile.TemporaryDirectory() as folder:
            onnx.save(model, f"{folder}/model.onnx")
            command = [swiftlet, "run", f"{folder}/model.onnx", "--output-dir", f"{folder}/out"]
            for index, (value, tensor) in enumerate(zip(data_inputs(model), inputs)):
                tensor = widened(array(tensor), value)
                np.save(f"{folder}/{index}.npy", np.ascontiguousarray(tensor).reshape(tensor.shape))
                command += ["--input", f"{value.name}={folder}/{index}.npy"]
            try:
                done = subprocess.run(command, capture_output=True, text=True, timeout=60)
            except subprocess.TimeoutExpired:
                return FAILED, "no end within 60 s"
            message = done.stderr.strip().splitlines()[-1:] or [""]
            if done.returncode == 3:
                return UNSUPPORTED, message[0]
            if done.returncode != 0:
                return FAILED, f"exit code {done.returncode}: {message[0]}"
            for value, expected in zip(model.graph.output, outputs):
                # What a model answers in float16 is written as that.
                if value.type.tensor_type.elem_type != TensorProto.FLOAT16:
                    expected = widened(array(expected), value)
                expected = array(expected)
                found = np.load(f"{folder}/out/{value.name.replace('/', '_')}.npy")
                if found.dtype != expected.dtype or found.shape != expected.shape:
                    return FAILED, (
                        f"{value.name} is {found.dtype} {found.shape}, "
                        f"expected {expected.dtype} {expected.shape}")
                rtol = max(case.rtol, tolerance(value))
                if not np.allclose(
                    found.astype(np.float64), expected.astype(np.float64), rtol=rtol,
                    atol=max(case.atol, noise(model, expected)), equal_nan=True):
                    return FAILED, f"{value.name} differs"
    return PASSED, ""


def main():
    swiftlet, output, *only = sys.argv[1:]
    counts = collections.defaultdict(collections.Counter)
    remarks = []
    selected = [entry for entry in cases() if not only or entry[0] in only]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        results = pool.map(lambda entry: run(swiftlet, entry[1], entry[2]), selected)
        for (name, case, _), (verdict, reason) in zip(selected, results):
            counts[name][verdict] += 1
            if verdict == FAILED:
                remarks.append(f"{case.name}: {reason}")
    total = collections.Counter()
    lines = [
        "# Conformance", "",
        f"ONNX's backend tests (onnx {onnx.__version__}) through `swiftlet run`; "
        "`make conformance` writes this page. 16-bit floats are computed as fp32 and compared within "
        "four units in the last place (ulp); smaller types are passed as int8, uint8 or fp32. Fourier "
        "transforms are compared within four ulp of their largest number. Random "
        "numbers are not compared and count as unsupported.", "",
        "| operator | passed | failed | unsupported |", "|---|---|---|---|",
    ]
    for name in sorted(counts, key=lambda name: (name.startswith("("), name)):
        row = counts[name]
        total.update(row)
        lines.append(f"| {name} | {row[PASSED]} | {row[FAILED]} | {row[UNSUPPORTED]} |")
    summary = ", ".join(f"{total[verdict]} {verdict}" for verdict in (PASSED, FAILED, UNSUPPORTED))
    lines += [f"| **all** | {total[PASSED]} | {total[FAILED]} | {total[UNSUPPORTED]} |", ""]
    if remarks:
        lines += ["Failed:", ""] + [f"- {remark}" for remark in remarks] + [""]
    with open(output, "w") as file:
        file.write("\n".join(lines))
    for remark in remarks:
        print(f"FAILED {remark}")
    print(summary)
    sys.exit(1 if total[FAILED] else 0)


main()
