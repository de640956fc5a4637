# SPDX-License-Identifier: Apache-2.0
"""ONNX models for tests, written without onnx."""

import numpy as np


def varint(number):
    digits = []
    while number > 127:
        digits.append(number & 127 | 128)
        number >>= 7
    return bytes(digits + [number])


def field(number, content):
    if isinstance(content, int):
        return varint(number << 3) + varint(content)
    content = content.encode() if isinstance(content, str) else content
    return varint(number << 3 | 2) + varint(len(content)) + content


def value(name, *extents):
    """An fp32 value; extents are numbers or names."""
    shape = b"".join(field(1, field(1 if isinstance(one, int) else 2, one)) for one in extents)
    return field(1, name) + field(2, field(1, field(1, 1) + field(2, shape)))


def node(kind, inputs, output, **attributes):
    """Attributes are whole numbers."""
    return (b"".join(field(1, name) for name in inputs) + field(2, output) + field(3, output)
            + field(4, kind)
            + b"".join(field(5, field(1, name) + field(3, number) + field(20, 2))
                       for name, number in attributes.items()))


def weights(name, array):
    array = np.ascontiguousarray(array, "f4")
    return (b"".join(field(1, extent) for extent in array.shape) + field(2, 1) + field(8, name)
            + field(9, array.tobytes()))


def model(nodes, inputs, outputs, constants=()):
    """The bytes of a model."""
    graph = (b"".join(field(1, one) for one in nodes) + field(2, "g")
             + b"".join(field(5, weights(*one)) for one in constants)
             + b"".join(field(11, one) for one in inputs)
             + b"".join(field(12, one) for one in outputs))
    return field(1, 8) + field(8, field(2, 17)) + field(7, graph)


def scores():
    """y = x, of four scores for each sample."""
    return model([node("Identity", ["x"], "y")], [value("x", "N", 4)], [value("y", "N", 4)])


def perceptron(name, inputs, classes, seed):
    """The nodes and the weights of three fully connected layers, of which one can be factored."""
    random, width = np.random.default_rng(seed), 64
    nodes = [node("Gemm", [name, "u"], "a"), node("Relu", ["a"], "b"),
             node("Gemm", ["b", "v"], "c"), node("Relu", ["c"], "d"), node("Gemm", ["d", "w"], "y")]
    return nodes, [("u", random.normal(size=(inputs, width))),
                   ("v", random.normal(size=(width, width))),
                   ("w", random.normal(size=(width, classes)))]


def layers(seed=1):
    """Three fully connected layers, four inputs and four scores."""
    nodes, constants = perceptron("x", 4, 4, seed)
    return model(nodes, [value("x", "N", 4)], [value("y", "N", 4)], constants)


def sums():
    """y = a + b, of two inputs."""
    return model([node("Add", ["a", "b"], "y")], [value("a", "N", 4), value("b", "N", 4)],
                 [value("y", "N", 4)])


def pictures(classes=3, size=8, seed=1):
    """The mean of each colour, and three fully connected layers. `size` is a number, or a name for
    models that take pictures of any size."""
    nodes, constants = perceptron("f", 3, classes, seed)
    return model(
        [node("GlobalAveragePool", ["images"], "p"), node("Flatten", ["p"], "f")] + nodes,
        [value("images", "N", 3, size, size)], [value("y", "N", classes)], constants)
