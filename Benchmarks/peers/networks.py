# SPDX-License-Identifier: Apache-2.0
"""The networks that are compared, in torch. ResNet-18 and MobileNetV2 are those of their papers, layer
for layer as in torchvision (whose parameters fit in the same order), without needing torchvision."""

import torch
from torch import nn

# Adds as `+` does, and can be told to add 8-bit values.
from torch.ao.nn.quantized import FloatFunctional


def seed_cnn() -> nn.Sequential:
    """The network that `swiftlet train --model seed-cnn` trains; 32x32 images."""
    layers, channels = [], 3
    for width in (32, 64, 128, 128):
        layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        channels = width
    layers += [nn.Flatten(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10)]
    return nn.Sequential(*layers)


def convolution(inputs: int, outputs: int, size: int, stride: int = 1, groups: int = 1,
                activation: type[nn.Module] | None = nn.ReLU) -> nn.Sequential:
    """Convolution, batch normalization and activation."""
    layers = [
        nn.Conv2d(inputs, outputs, size, stride, size // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
    ]
    return nn.Sequential(*layers, activation()) if activation else nn.Sequential(*layers)


class BasicBlock(nn.Module):
    """ResNet's two 3x3 convolutions and a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.body = nn.Sequential(
            convolution(inputs, outputs, 3, stride),
            convolution(outputs, outputs, 3, activation=None))
        self.shortcut = nn.Identity() if stride == 1 and inputs == outputs else convolution(
            inputs, outputs, 1, stride, activation=None)
        self.sum = FloatFunctional()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.sum.add_relu(self.body(images), self.shortcut(images))


class InvertedResidual(nn.Module):
    """MobileNetV2's expansion, depthwise convolution and linear projection."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int):
        super().__init__()
        hidden = inputs * expansion
        expand = [] if expansion == 1 else [convolution(inputs, hidden, 1, activation=nn.ReLU6)]
        self.body = nn.Sequential(
            *expand,
            convolution(hidden, hidden, 3, stride, groups=hidden, activation=nn.ReLU6),
            convolution(hidden, outputs, 1, activation=None))
        self.sum = FloatFunctional() if stride == 1 and inputs == outputs else None

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.sum.add(images, self.body(images)) if self.sum else self.body(images)


def resnet18() -> nn.Sequential:
    layers: list[nn.Module] = [convolution(3, 64, 7, 2), nn.MaxPool2d(3, 2, 1)]
    channels = 64
    for width in (64, 128, 256, 512):
        layers += [BasicBlock(channels, width, 1 if width == 64 else 2), BasicBlock(width, width, 1)]
        channels = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 1000))


def mobilenet_v2() -> nn.Sequential:
    layers: list[nn.Module] = [convolution(3, 32, 3, 2, activation=nn.ReLU6)]
    channels = 32
    for expansion, width, count, stride in (
            (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1),
            (6, 160, 3, 2), (6, 320, 1, 1)):
        for index in range(count):
            layers.append(InvertedResidual(channels, width, stride if index == 0 else 1, expansion))
            channels = width
    layers += [convolution(320, 1280, 1, activation=nn.ReLU6), nn.AdaptiveAvgPool2d(1)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(1280, 1000))


NETWORKS = {"seed": seed_cnn, "resnet18": resnet18, "mobilenetv2": mobilenet_v2}
