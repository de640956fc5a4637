# SPDX-License-Identifier: Apache-2.0
"""The architectures of the zoo as ONNX: random weights, batch statistics of random images."""

import warnings
from pathlib import Path

SIDE = 224
TORCHVISION = [
    "convnext_tiny", "densenet121", "efficientnet_b0", "googlenet", "maxvit_t", "mnasnet1_0",
    "mobilenet_v3_large", "regnet_y_400mf", "resnet50", "shufflenet_v2_x1_0", "squeezenet1_1",
    "swin_t", "vit_b_16",
]
TIMM = [
    "cait_xxs24_224", "coat_lite_tiny", "convnextv2_atto", "deit_tiny_patch16_224",
    "edgenext_small", "efficientformer_l1", "fastvit_t8", "ghostnet_100", "gmlp_s16_224",
    "hrnet_w18_small", "levit_128", "mixer_s32_224", "mobilenetv4_conv_small", "mobilevit_s",
    "nfnet_l0", "poolformer_s12", "pvt_v2_b0", "repvit_m0_9", "res2net50_26w_4s", "resmlp_12_224",
    "tf_efficientnetv2_b0", "twins_svt_small", "xcit_nano_12_p16_224",
]


def export(name: str, folder: Path) -> Path:
    """The model's file, exported if it is missing."""
    path = folder / f"{name}.onnx"
    if path.exists():
        return path
    import timm
    import torch
    import torchvision
    from torch.nn.modules.batchnorm import _BatchNorm as BatchNorm

    warnings.filterwarnings("ignore")
    torch.manual_seed(0)
    model = (torchvision.models.get_model(name, weights=None)
             if name in TORCHVISION else timm.create_model(name, pretrained=False))
    model.eval()
    for layer in model.modules():
        if isinstance(layer, BatchNorm):
            layer.momentum = None
            layer.reset_running_stats()
            layer.train()
    with torch.no_grad():
        model(torch.randn(8, 3, SIDE, SIDE))
    model.eval()
    unfinished = path.with_suffix(".part")
    torch.onnx.export(
        model, (torch.randn(1, 3, SIDE, SIDE),), str(unfinished), opset_version=18, dynamo=False,
        input_names=["input"], output_names=["output"],
        dynamic_axes={"input": {0: "batch"}, "output": {0: "batch"}})
    unfinished.rename(path)
    return path


def quantize(name: str, folder: Path) -> Path:
    """The int8 file that onnxruntime's quantizer makes of it: QDQ, per channel, its defaults."""
    path = folder / f"{name}.int8.onnx"
    if path.exists():
        return path
    import numpy
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Images(CalibrationDataReader):
        def __init__(self) -> None:
            random = numpy.random.default_rng(0)
            self.left = [random.standard_normal((1, 3, SIDE, SIDE)) for _ in range(4)]

        def get_next(self) -> dict[str, numpy.ndarray] | None:
            return {"input": self.left.pop().astype(numpy.float32)} if self.left else None

    prepared = folder / f"{name}.prepared.onnx"
    quant_pre_process(str(export(name, folder)), str(prepared), skip_symbolic_shape=True)
    unfinished = path.with_suffix(".part")
    quantize_static(
        str(prepared), str(unfinished), Images(), quant_format=QuantFormat.QDQ, per_channel=True)
    prepared.unlink()
    unfinished.rename(path)
    return path
