# SPDX-License-Identifier: Apache-2.0
"""Small models and pictures in place of the ones that readers of the tutorials download. The models
are written by hand: filters that average colours, and noise, so that they work without training."""

import json
import os
import random
import struct
import zlib

SIZE = 64
COLOURS = {"leaf": (40, 160, 50), "sky": (60, 110, 210), "tomato": (200, 50, 40)}


# MARK: Pictures


def png(width, height, pixels):
    """A picture of RGB bytes."""
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    rows = b"".join(b"\0" + bytes(pixels[y * width * 3:(y + 1) * width * 3]) for y in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows))
            + chunk(b"IEND", b""))


def canvas(generator, width, height, colour, noise=40):
    """Pixels of a colour, with noise."""
    noises = [generator.randrange(-noise, noise + 1) for _ in range(997)]
    pixels = bytearray(width * height * 3)
    for place in range(len(pixels)):
        pixels[place] = min(255, max(0, colour[place % 3] + noises[place * 7 % 997]))
    return pixels


def write(path, data):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(data)


def coloured(generator, name):
    """A picture of a thing, of any size: its colour, more or less."""
    width, height = generator.randrange(70, 110), generator.randrange(70, 110)
    fade = generator.uniform(-0.02, 1)
    colour = [int(120 + (value - 120) * fade) for value in COLOURS[name]]
    return png(width, height, canvas(generator, width, height, colour))


# MARK: Models


def varint(value):
    data = b""
    while value > 127:
        data += bytes([value & 127 | 128])
        value >>= 7
    return data + bytes([value])


def field(number, value):
    """A field of a protocol buffer: an integer, a text, or bytes of any kind."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def tensor(name, shape, values, kind=1):
    data = struct.pack(f"<{len(values)}{'f' if kind == 1 else 'q'}", *values)
    return b"".join(field(1, extent) for extent in shape) + field(2, kind) + field(8, name) + field(9, data)


def value(name, shape):
    axes = b"".join(field(1, field(1 if isinstance(axis, int) else 2, axis)) for axis in shape)
    return field(1, name) + field(2, field(1, field(1, 1) + field(2, axes)))


class Model:
    """A model that grows node by node."""

    def __init__(self, generator, name, shape):
        self.generator, self.name, self.last, self.count = generator, name, "images", 0
        self.inputs, self.nodes, self.tensors = [value("images", shape)], [], []

    def add(self, operator, *inputs, output=None, **attributes):
        """A node that reads the last value, then the inputs."""
        self.count += 1
        output = output or f"{operator.lower()}{self.count}"
        names = ([self.last] if self.last else []) + list(inputs)
        data = b"".join(field(1, name) for name in names) + field(2, output)
        data += field(3, f"/{output}") + field(4, operator)
        for key, setting in attributes.items():
            if isinstance(setting, int):
                data += field(5, field(1, key) + field(3, setting) + field(20, 2))
            else:
                numbers = b"".join(field(8, number) for number in setting)
                data += field(5, field(1, key) + numbers + field(20, 7))
        self.nodes.append(data)
        self.last = output
        return output

    def constant(self, shape, values, kind=1):
        name = f"weights{len(self.tensors)}"
        self.tensors.append(tensor(name, shape, values, kind))
        return name

    def convolve(self, inputs, outputs, size=3, stride=1):
        """Each filter averages a third of the channels in a window, and adds noise."""
        area = size * size
        values = [
            (3 / (inputs * area) if source % 3 == target % 3 else 0)
            + self.generator.uniform(-0.3, 0.3) / (inputs * area)
            for target in range(outputs) for source in range(inputs) for _ in range(area)]
        weights = self.constant([outputs, inputs, size, size], values)
        margin = size // 2
        self.add("Conv", weights, pads=[margin] * 4, strides=[stride] * 2)
        self.add("Relu")

    def connect(self, inputs, outputs, weight):
        values = [weight(source, target) + self.generator.uniform(-0.02, 0.02)
                  for source in range(inputs) for target in range(outputs)]
        return self.constant([inputs, outputs], values)

    def write(self, path, output, shape):
        graph = b"".join(field(1, node) for node in self.nodes) + field(2, self.name)
        graph += b"".join(field(5, data) for data in self.tensors)
        graph += b"".join(field(11, data) for data in self.inputs) + field(12, value(output, shape))
        # IR version 8, operator set 17.
        write(path, field(1, 8) + field(7, graph) + field(8, field(2, 17)))


def trunk(generator, name):
    """48 features of pictures: those with the same number modulo 3 follow one colour."""
    model = Model(generator, name, ["batch", 3, SIZE, SIZE])
    # Colours in bytes less their mean have either sign, which Relu would cut: a brighter picture.
    offset = model.constant([1, 3, 1, 1], [3.0] * 3)
    model.add("Add", offset)
    for inputs, outputs, stride in [(3, 12, 2), (12, 24, 2), (24, 48, 1), (48, 48, 2)]:
        model.convolve(inputs, outputs, stride=stride)
    model.add("GlobalAveragePool")
    model.add("Flatten")
    return model


# MARK: Tutorials


def classifier(folder):
    """`model.onnx` and `photos`, one of which is damaged."""
    generator = random.Random(1)
    model = trunk(generator, "classifier")
    # The classes in the order of their names: green, blue, red.
    channel = [1, 2, 0]
    weights = model.connect(
        48, 3, lambda source, target: 0.5 if source % 3 == channel[target] else -0.25)
    model.add("MatMul", weights, output="scores")
    model.write(f"{folder}/model.onnx", "scores", ["batch", 3])
    for part, count in [("train", 24), ("val", 20)]:
        for name in COLOURS:
            for index in range(count):
                write(f"{folder}/photos/{part}/{name}/{index:03}.png", coloured(generator, name))
    path = f"{folder}/photos/train/sky/007.png"
    with open(path, "rb") as file:
        data = file.read()
    write(path, data[:len(data) // 2])


def embeddings(folder):
    """`encoder.onnx`, its `preprocessor_config.json`, and `photos` without labels."""
    generator = random.Random(2)
    model = trunk(generator, "encoder")
    weights = model.connect(
        48, 32, lambda source, target: generator.choice([-0.2, 0.2]) * (source % 3 == target % 3))
    projected = model.add("MatMul", weights)
    length = model.add("ReduceL2", axes=[1], keepdims=1)
    model.last = projected
    model.add("Div", length, output="embedding")
    model.write(f"{folder}/encoder.onnx", "embedding", ["batch", 32])
    with open(f"{folder}/preprocessor_config.json", "w") as file:
        json.dump({
            "image_processor_type": "ViTImageProcessor", "do_resize": True, "do_rescale": True,
            "do_normalize": True, "size": {"height": SIZE, "width": SIZE}, "resample": 2,
            "rescale_factor": 1 / 255, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}, file)
    for index in range(80):
        name = generator.choice(list(COLOURS))
        write(f"{folder}/photos/IMG {index:04}.png", coloured(generator, name))


def near(generator, least, most, border):
    """Where a thing of 36 pixels begins whose middle is near that of a cell of 12 pixels, in a
    picture with half of a border before it."""
    start = border // 2
    places = [cell * 12 - 18 - start + shift for cell in range(8) for shift in (-2, -1, 0, 1, 2)]
    return generator.choice([place for place in places if least <= place <= most])


def detector(folder):
    """`detector.onnx`, `photos` with tomatoes and leaves, and `boxes.csv`, where they are."""
    generator = random.Random(3)
    model = Model(generator, "detector", [1, 3, SIZE, SIZE])
    for inputs, outputs, stride in [(3, 12, 2), (12, 24, 2), (24, 48, 2), (48, 48, 1)]:
        model.convolve(inputs, outputs, stride=stride)
    # A score for each class in each cell: its colour, less the others.
    kinds, cells = [0, 1], SIZE // 8
    weights = [
        (20.0 if source % 3 == kind else -10.0) * 3 / 48 + generator.uniform(-0.05, 0.05)
        for kind in kinds for source in range(48)]
    model.add("Conv", model.constant([2, 48, 1, 1], weights), model.constant([2], [-3.0, -3.0]))
    model.add("Reshape", model.constant([3], [1, 2, cells * cells], kind=7))
    scores = model.add("Sigmoid")
    # All boxes have the size of the things, around the middle of their cell.
    middles = [8.0 * place for place in range(cells)]
    boxes = middles * cells + [y for y in middles for _ in middles] + [24.0] * (2 * cells * cells)
    model.last = model.constant([1, 4, cells * cells], boxes)
    model.add("Concat", scores, output="output", axis=1)
    model.write(f"{folder}/detector.onnx", "output", [1, 6, cells * cells])
    rows = ["name,width,height,class,left,top,right,bottom"]
    for index in range(40):
        # The longer side becomes 64, and a thing 24 pixels.
        width, height = generator.choice([(96, 72), (96, 84), (96, 96)])
        pixels = canvas(generator, width, height, (110, 110, 110), noise=20)
        for kind, left in zip(generator.sample([0, 1], 2), [0, width // 2]):
            if generator.random() < 0.2:
                continue
            # Near the middle of a cell: no network corrects the boxes.
            left = near(generator, left, left + width // 2 - 36, 96 - width)
            top = near(generator, 0, height - 36, 96 - height)
            fade = generator.uniform(0.3, 1)
            colour = [int(110 + (value - 110) * fade)
                      for value in COLOURS["tomato" if kind == 0 else "leaf"]]
            patch = canvas(generator, 36, 36, colour, noise=20)
            for y in range(36):
                place = ((top + y) * width + left) * 3
                pixels[place:place + 108] = patch[y * 108:(y + 1) * 108]
            rows.append(f"{index:03}.png,{width},{height},{kind},{left},{top},{left + 36},{top + 36}")
        write(f"{folder}/photos/{index:03}.png", png(width, height, pixels))
    with open(f"{folder}/boxes.csv", "w") as file:
        file.write("\n".join(rows) + "\n")


TUTORIALS = {
    "tutorial-classifier": classifier,
    "tutorial-embeddings": embeddings,
    "tutorial-detector": detector,
}
