# SPDX-License-Identifier: Apache-2.0
"""Writes the models that all engines run: NAME-fp32.onnx, NAME-int8.onnx, NAME-int7.onnx (weights of 7 bits), NAME.pt
(torch's weights) and NAME-int8.pt (the network quantized by torch itself, which cannot run the QDQ file).

The weights are random but seeded; only the seed CNN takes those of the demo's seed.onnx where it is
there. What is newer than its sources is kept.

usage: models.py FOLDER SEED.onnx NAME...
"""

import logging
import os
import sys
import warnings
from pathlib import Path

import onnx
import torch
from inputs import images, side
from networks import NETWORKS
from onnx import numpy_helper
from onnxruntime import quantization
from torch import nn
from torch.ao import quantization as ao

CALIBRATION_IMAGES = {32: 256, 224: 16}
CALIBRATION_BATCH = 8
SOURCES = [Path(__file__).with_name(name) for name in ("models.py", "networks.py", "inputs.py")]


def is_current(target: Path, sources: list[Path]) -> bool:
    return target.exists() and all(
        source.stat().st_mtime <= target.stat().st_mtime for source in sources)


def normalize_as_trained(network: nn.Module, side: int) -> None:
    """Gives each batch normalization random scales and shifts, and the statistics of seeded images."""
    layers = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]
    for layer in layers:
        nn.init.uniform_(layer.weight, 0.5, 1.5)
        nn.init.normal_(layer.bias, 0, 0.3)
        layer.momentum = None  # the mean over all batches
    if layers:
        network.train()
        for seed in range(2):
            network(torch.from_numpy(images(CALIBRATION_BATCH, side, seed)))


def random_network(name: str) -> nn.Module:
    torch.manual_seed(1)
    network = NETWORKS[name]()
    with torch.no_grad():
        normalize_as_trained(network, side(name))
    return network.eval()


def with_weights_of(network: nn.Module, path: Path) -> nn.Module:
    """Takes the ONNX file's initializers, in order: seed.onnx stores them as torch does."""
    arrays = [numpy_helper.to_array(each) for each in onnx.load(path).graph.initializer]
    tensors = [torch.from_numpy(array.copy()) for array in arrays]
    network.load_state_dict(dict(zip(network.state_dict(), tensors, strict=True)))
    return network


def export(network: nn.Module, side: int, path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of deprecation: the new exporter writes no opset 17
        torch.onnx.export(
            network, (torch.zeros(1, 3, side, side),), str(path), opset_version=17,
            input_names=["input"], output_names=["logits"], dynamo=False,
            dynamic_axes={"input": {0: "N"}, "logits": {0: "N"}})


class CalibrationImages(quantization.CalibrationDataReader):
    def __init__(self, side: int):
        count = CALIBRATION_IMAGES[side]
        self.batches = iter([
            images(CALIBRATION_BATCH, side, seed=100 + index)
            for index in range(count // CALIBRATION_BATCH)
        ])

    def get_next(self) -> dict | None:
        batch = next(self.batches, None)
        return None if batch is None else {"input": batch}


def quantize(source: Path, target: Path, side: int, bits: int = 8) -> None:
    """onnxruntime's static quantization: u8 activations, s8 weights per channel, as QDQ."""
    logging.disable(logging.WARNING)
    prepared = target.with_suffix(".prepared.onnx")
    quantization.shape_inference.quant_pre_process(str(source), str(prepared))
    quantization.quantize_static(
        str(prepared), str(target), CalibrationImages(side),
        quant_format=quantization.QuantFormat.QDQ, per_channel=True, reduce_range=bits == 7,
        activation_type=quantization.QuantType.QUInt8, weight_type=quantization.QuantType.QInt8)
    prepared.unlink()


def fuse(network: nn.Module) -> None:
    """Joins convolutions with the batch normalization and the ReLU after them."""
    for sequence in [each for each in network.modules() if isinstance(each, nn.Sequential)]:
        groups: list[list[str]] = []
        for name, layer in sequence.named_children():
            starts = isinstance(layer, (nn.Conv2d, nn.Linear))
            if starts:
                groups.append([name])
            elif groups and int(name) == int(groups[-1][-1]) + 1 and isinstance(
                    layer, (nn.BatchNorm2d, nn.ReLU)):
                groups[-1].append(name)
        if groups := [group for group in groups if len(group) > 1]:
            ao.fuse_modules(sequence, groups, inplace=True)


def quantize_with_torch(network: nn.Module, target: Path, side: int) -> None:
    """Torch's static quantization for its oneDNN kernels, with the images that onnxruntime has."""
    torch.backends.quantized.engine = "onednn"
    fuse(network)
    whole = nn.Sequential(ao.QuantStub(), network, ao.DeQuantStub()).eval()
    whole.qconfig = ao.get_default_qconfig("onednn")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.ao is to move into a package of its own
        ao.prepare(whole, inplace=True)
        with torch.no_grad():
            reader = CalibrationImages(side)
            while batch := reader.get_next():
                whole(torch.from_numpy(batch["input"]))
            ao.convert(whole, inplace=True)
            traced = torch.jit.trace(whole, torch.zeros(1, 3, side, side))
        torch.jit.save(torch.jit.freeze(traced.eval()), target)


def make(name: str, folder: Path, seed_onnx: Path) -> None:
    fp32, int8, int7, weights = (
        folder / f"{name}{ending}" for ending in ("-fp32.onnx", "-int8.onnx", "-int7.onnx", ".pt"))
    trained = name == "seed" and seed_onnx.exists()
    # The int8 file is written last, so that it is current only when all of them are.
    if is_current(int8, SOURCES + [seed_onnx] * trained):
        return
    print(f"making {fp32} and {int8}"
          + (f" with the weights of {seed_onnx}" if trained else " with random weights"),
          file=sys.stderr)
    network = random_network(name)
    if trained:
        with_weights_of(network, seed_onnx)
    torch.save(network.state_dict(), weights)
    export(network, side(name), fp32)
    quantize_with_torch(network, int8.with_suffix(".pt"), side(name))
    quantize(fp32, int7, side(name), bits=7)
    unfinished = int8.with_suffix(".unfinished")
    quantize(fp32, unfinished, side(name))
    os.replace(unfinished, int8)


def main() -> None:
    folder, seed_onnx, names = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        make(name, folder, seed_onnx)


main()
