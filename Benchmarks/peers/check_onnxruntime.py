# SPDX-License-Identifier: Apache-2.0
"""Checks one of our ONNX files against onnx and onnxruntime.

onnx's full check must pass, our logits for test images must be onnxruntime's, and so must the
accuracy that `swiftlet evaluate` reports. The images are prepared independently here, so this checks
our preprocessing as well.
"""

import gzip
import json
import os
import subprocess
import sys
import tempfile

import numpy
import onnx
import onnxruntime

DATA = "/usr/share/datasets/fashion-mnist"
SWIFTLET = os.environ.get("SWIFTLET", "swiftlet")


def idx(name: str, header: int) -> numpy.ndarray:
    with gzip.open(f"{DATA}/{name}.gz") as file:
        return numpy.frombuffer(file.read(), numpy.uint8, offset=header)


def test_images() -> tuple[numpy.ndarray, numpy.ndarray]:
    """Zero-padded to 32x32, one channel repeated for three, ImageNet's mean and deviation."""
    pixels = idx("t10k-images-idx3-ubyte", 16).reshape(-1, 1, 28, 28)
    padded = numpy.pad(pixels, ((0, 0), (0, 0), (2, 2), (2, 2))).astype(numpy.float32) / 255
    mean = numpy.array([0.485, 0.456, 0.406], numpy.float32).reshape(1, 3, 1, 1)
    deviation = numpy.array([0.229, 0.224, 0.225], numpy.float32).reshape(1, 3, 1, 1)
    images = ((padded - mean) / deviation).astype(numpy.float32)
    return images, idx("t10k-labels-idx1-ubyte", 8)


def swiftlet(*arguments: str) -> dict:
    result = subprocess.run(
        [SWIFTLET, *arguments, "--json", "--quiet"], check=True, capture_output=True)
    return json.loads(result.stdout)


def main(path: str) -> int:
    onnx.checker.check_model(onnx.load(path), full_check=True)
    images, labels = test_images()
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    theirs = session.run(None, {name: images})[0]
    with tempfile.TemporaryDirectory() as folder:
        numpy.save(f"{folder}/images.npy", images)
        result = swiftlet("run", path, "--input", f"{name}={folder}/images.npy",
                          "--output-dir", folder)
        ours = numpy.load(result["outputs"][0]["file"])
    reported = swiftlet("evaluate", path, "--data", "fashion-mnist")["top1"]
    error = numpy.abs(ours - theirs).max() / numpy.abs(theirs).max()
    agreement = (ours.argmax(1) == theirs.argmax(1)).mean()
    accuracy = (theirs.argmax(1) == labels).mean()
    print(f"{path}: largest difference {error:.2e} of the largest logit, same class for "
          f"{agreement:.2%} of {len(images)} images; top-1 {reported:.4f} ours, "
          f"{accuracy:.4f} onnxruntime's")
    # Integer kernels may round the other way where a value lies between two codes.
    limit = 0.1 if "quantize" in path else 1e-4
    return 0 if error < limit and agreement > 0.98 and abs(reported - accuracy) < 0.01 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
