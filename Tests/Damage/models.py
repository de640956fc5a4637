# SPDX-License-Identifier: Apache-2.0
"""Hand-made ONNX files that lie."""

import os

import numpy as np
from harness import ACCEPTED, EITHER, REFUSED, Case
from onnx import TensorProto, helper, numpy_helper

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64
RUN = ["run", "m.onnx", "--output-dir", "out", "--max-memory", "256M"]
node = helper.make_node


def constant(name, array):
    return numpy_helper.from_array(np.asarray(array), name)


def model(nodes, constants=(), outputs=(("y", FLOAT, None),), inputs=(), opset=17):
    def values(entries):
        return [helper.make_tensor_value_info(*entry) for entry in entries]

    graph = helper.make_graph(
        nodes, "g", values(inputs), values(outputs),
        [entry if isinstance(entry, TensorProto) else constant(*entry) for entry in constants])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def identity(tensor, kind=FLOAT):
    return model([node("Identity", ["w"], ["y"])], [tensor], [("y", kind, None)])


def case(name, proto, expected=REFUSED, files=None, arguments=RUN, prepare=None):
    data = proto if isinstance(proto, bytes) else proto.SerializeToString()
    return Case(f"onnx {name}", {"m.onnx": data, **(files or {})}, arguments, expected, prepare)


def tensors():
    good = constant("w", np.ones((2, 2), "f4"))
    yield case("a good model", identity(good), ACCEPTED)
    for dims in [[-1, -4], [2, 3], [2**62, 4], [2**31, 2**31], [2**63 - 1, 2], [0, 2**63 - 1],
                 [2**40], [-(2**63)], [2] * 70]:
        tensor = TensorProto()
        tensor.CopyFrom(good)
        tensor.ClearField("dims")
        tensor.dims.extend(dims)
        yield case(f"dims {dims[:4]}", identity(tensor))
    for length in [0, 1, 15, 17, 4096]:
        tensor = TensorProto()
        tensor.CopyFrom(good)
        tensor.raw_data = bytes(length)
        yield case(f"{length} bytes for 16", identity(tensor))
    for kind in list(range(-1, 32)) + [2**31 - 1, -(2**31)]:
        tensor = TensorProto()
        tensor.CopyFrom(good)
        tensor.data_type = kind
        size = {6: 4, 1: 4, 12: 4}.get(kind)
        yield case(f"element type {kind}", identity(tensor, kind if size else FLOAT),
                   ACCEPTED if size else REFUSED)
    tensor = helper.make_tensor("w", FLOAT, [2], [1, 2])
    tensor.int64_data.extend([1, 2])
    yield case("elements in two fields", identity(tensor))
    tensor = helper.make_tensor("w", FLOAT, [2], [1, 2])
    tensor.raw_data = bytes(8)
    yield case("raw and listed elements", identity(tensor))
    tensor = TensorProto(name="w", data_type=FLOAT, dims=[2])
    tensor.int64_data.extend([1, 2])
    yield case("elements in the field of another type", identity(tensor))
    tensor = TensorProto(name="w", data_type=FLOAT, dims=[2])
    yield case("no elements", identity(tensor))


    many = TensorProto(name="w", data_type=FLOAT, dims=[1] * 5000, raw_data=bytes(4))
    for output in ["w.npz", "w.npy", "w.safetensors"]:
        yield case(f"5000 axes to {output}", identity(many), arguments=["convert", "m.onnx", output])


def graphs():
    ones = ("w", np.ones(2, "f4"))
    neg = node("Neg", ["w"], ["y"])
    yield case("an empty file", b"")
    yield case("a text file", b"hello, I am no model\n")
    proto = model([neg], [ones])
    proto.ClearField("graph")
    yield case("no graph", proto)
    for version in [0, -1]:
        proto = model([neg], [ones])
        proto.ir_version = version
        yield case(f"ir_version {version}", proto)
    for opset in [0, -1, 99, 2**62]:
        yield case(f"opset {opset}", model([neg], [ones], opset=opset))
    proto = model([neg], [ones])
    proto.ClearField("opset_import")
    yield case("no opset", proto)
    proto = model([neg], [ones])
    proto.opset_import.append(helper.make_opsetid("", 13))
    yield case("two opsets", proto)
    proto = model([neg], [ones])
    for _ in range(2):
        proto.metadata_props.add(key="k", value="v")
    yield case("metadata twice", proto)
    yield case("a constant twice", model([neg], [ones, ones]))
    yield case("a constant without a name", model([neg], [("", np.ones(2, "f4")), ones]))
    yield case("a missing constant", model([neg]))
    yield case("a cycle", model([node("Add", ["w", "y"], ["h"]), node("Neg", ["h"], ["y"])], [ones]))
    yield case("a node that reads itself", model([node("Add", ["w", "y"], ["y"])], [ones]))
    yield case("a value written twice", model([neg, neg], [ones]))
    yield case("a node that writes a constant", model([node("Neg", ["w"], ["w"])], [ones],
                                                      [("w", FLOAT, None)]))
    yield case("an output that nobody writes", model([neg], [ones], [("z", FLOAT, None)]))
    yield case("an output twice", model([neg], [ones], [("y", FLOAT, None)] * 2))
    yield case("an input twice", model([neg], [], inputs=[("w", FLOAT, [2])] * 2))
    yield case("outputs in one file", model(
        [node("Neg", ["w"], ["a/b"]), node("Abs", ["w"], ["a_b"])], [ones],
        [("a/b", FLOAT, None), ("a_b", FLOAT, None)]))
    yield case("an output of another type", model([neg], [ones], [("y", INT64, None)]))
    for name in ["../../evil", "/tmp/evil", "..", "a\0b", "x" * 5000, "\x1b[31mred", "\u202ereversed",
                 "a\nb\r\nc", "."]:
        proto = model([node("Neg", ["w"], [name])], [ones], [(name, FLOAT, None)])
        yield case(f"output {name[:20]!r}", proto, EITHER)
        proto = model([node("Nonsense", ["w"], ["y"], name=name)], [ones])
        yield case(f"node {name[:20]!r}", proto)
        proto = model([node("Neg", [name], ["y"])], [ones])
        yield case(f"missing input {name[:20]!r}", proto)
    proto = model([node("Softmax", ["w"], ["y"], axis=0)], [ones])
    proto.graph.node[0].attribute.append(helper.make_attribute("axis", 0))
    yield case("an attribute twice", proto)
    proto = model([node("Softmax", ["w"], ["y"], axis=0)], [ones])
    proto.graph.node[0].attribute[0].f = 1
    yield case("an attribute of two kinds", proto)
    for axis in [5, -5, 2**63 - 1, -(2**63)]:
        yield case(f"axis {axis}", model([node("Softmax", ["w"], ["y"], axis=axis)], [ones]))
    yield case("4000 unknown operators", model(
        [node("Nonsense", ["w"], [f"y{i}"], name=f"node {i}" * 9) for i in range(4000)], [ones],
        [("y1", FLOAT, None)]))


def nested(depth, known):
    """If in If: `known` conditions are computed while shapes are inferred."""
    graph = helper.make_graph([node("Neg", ["w"], ["b"])], "inner", [], [
        helper.make_tensor_value_info("b", FLOAT, None)])
    for _ in range(depth):
        other = helper.make_graph([node("Abs", ["w"], ["b"])], "other", [], [
            helper.make_tensor_value_info("b", FLOAT, None)])
        branch = node("If", ["c"], ["b"], then_branch=graph, else_branch=other)
        graph = helper.make_graph([branch], "inner", [], [
            helper.make_tensor_value_info("b", FLOAT, None)])
    nodes = list(graph.node)
    nodes[0].output[0] = "y"
    constants = [("w", np.ones(2, "f4"))]
    if known:
        constants.append(("c", np.array(True)))
    else:
        constants.append(("d", np.ones(2000, "f4")))
        nodes = [node("ReduceSum", ["d"], ["s"], keepdims=0), node("Cast", ["s"], ["c"],
                                                                  to=TensorProto.BOOL)] + nodes
    return model(nodes, constants)


def sizes():
    big = np.int64(2**62)
    one = ("x", np.ones((1, 1), "f4"))
    for name, value in [("2^62", big), ("2^31", np.int64(2**31)), ("10^9", np.int64(10**9)),
                        ("-1", np.int64(-1)), ("min", np.int64(-(2**63)))]:
        pair = ("n", np.array([value, value]))
        yield case(f"Tile {name}", model([node("Tile", ["x", "n"], ["y"])], [one, pair]))
        expected = ACCEPTED if name == "-1" else REFUSED
        yield case(f"Expand {name}", model([node("Expand", ["x", "n"], ["y"])], [one, pair]), EITHER)
        yield case(f"ConstantOfShape {name}", model([node("ConstantOfShape", ["n"], ["y"])], [pair]))
        pads = ("n", np.array([value] * 4))
        yield case(f"Pad {name}", model([node("Pad", ["x", "n"], ["y"])], [one, pads]),
                   EITHER if expected == ACCEPTED else REFUSED)
        count = ("n", np.array([value]))
        yield case(f"Range {name}", model(
            [node("Range", ["a", "b", "c"], ["y"])],
            [("a", np.int64(0)), ("b", value), ("c", np.int64(1))], [("y", INT64, None)]),
            EITHER if value < 0 else REFUSED)
        yield case(f"OneHot {name}", model(
            [node("OneHot", ["i", "n", "v"], ["y"])],
            [("i", np.zeros(4, "i8")), count, ("v", np.array([0, 1], "f4"))]))
        yield case(f"Reshape {name}", model([node("Reshape", ["x", "n"], ["y"])], [one, pair]))
        yield case(f"TopK {name}", model(
            [node("TopK", ["x", "n"], ["y", "i"])], [one, count]))
        for key in ["pads", "strides", "dilations", "kernel_shape"]:
            repeats = 4 if key == "pads" else 2
            settings = {"kernel_shape": [1, 1], key: [int(value)] * repeats}
            for op in ["MaxPool", "AveragePool"]:
                yield case(f"{op} {key} {name}", model(
                    [node(op, ["x"], ["y"], **settings)],
                    [("x", np.ones((1, 1, 2, 2), "f4"))]), EITHER)
            del settings["kernel_shape"]
            for op in ["Conv", "ConvTranspose"]:
                yield case(f"{op} {key} {name}", model(
                    [node(op, ["x", "w"], ["y"], **settings)],
                    [("x", np.ones((1, 1, 2, 2), "f4")), ("w", np.ones((1, 1, 1, 1), "f4"))]),
                    EITHER)
    for value in [-(2**63), -1, 0, 2**63 - 1]:
        yield case(f"ConvTranspose output_shape {value}", model(
            [node("ConvTranspose", ["x", "w"], ["y"], output_shape=[value])],
            [("x", np.ones((1, 1, 2), "f4")), ("w", np.ones((1, 1, 1), "f4"))]))
    for op in ["MaxPool", "AveragePool", "LpPool"]:
        reach = 1 << 20
        yield case(f"{op} with a window of 2^20 in pads", model(
            [node(op, ["x"], ["y"], kernel_shape=[reach], pads=[reach - 1] * 2,
                  **({"count_include_pad": 1} if op == "AveragePool" else {}))],
            [("x", np.ones((1, 1, 1), "f4"))]), EITHER)
    for op in ["Concat", "Add", "Mul"]:
        for count in [26, 40, 62, 200]:
            settings = {"axis": 0} if op == "Concat" else {}
            nodes = [node(op, [f"v{i}"] * 2, [f"v{i + 1}"], **settings) for i in range(count)]
            nodes.append(node("Identity", [f"v{count}"], ["y"]))
            yield case(f"{count} times {op}", model(nodes, [("v0", np.ones(16, "f4"))]),
                       REFUSED if op == "Concat" else ACCEPTED)
    wide = [node("ConstantOfShape", ["n"], [f"v{i}"]) for i in range(400)]
    wide.append(node("Sum", [f"v{i}" for i in range(400)], ["y"]))
    yield case("400 values of 4 MB at once", model(wide, [("n", np.array([1 << 20]))]))
    for turns in [10**9, 2**63 - 1]:
        body = helper.make_graph(
            [node("Identity", ["k"], ["k2"]), node("Neg", ["a"], ["b"])], "body",
            [helper.make_tensor_value_info("i", INT64, []),
             helper.make_tensor_value_info("k", TensorProto.BOOL, []),
             helper.make_tensor_value_info("a", FLOAT, [1])],
            [helper.make_tensor_value_info("k2", TensorProto.BOOL, []),
             helper.make_tensor_value_info("b", FLOAT, [1])])
        yield case(f"Loop {turns}", model(
            [node("Loop", ["m", "t", "x"], ["y"], body=body)],
            [("m", np.int64(turns)), ("t", np.array(True)), ("x", np.ones(1, "f4"))]))
    for depth in [5, 12, 30]:
        for known in [False, True]:
            yield case(f"If nested {depth}, known {known}", nested(depth, known), EITHER)


def arithmetic():
    for dtype in ["i1", "i2", "i4", "i8"]:
        least = np.iinfo(dtype).min
        kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        for op in ["Div", "Mod", "Pow", "Mul", "Sub"]:
            for divisor in [-1, 0, least]:
                for length in [1, 3000]:
                    yield case(f"{op} {dtype} least by {divisor}, {length}", model(
                        [node(op, ["a", "b"], ["y"])],
                        [("a", np.full(length, least, dtype)), ("b", np.array([divisor], dtype))],
                        [("y", kind, None)]), EITHER)
        for op in ["Neg", "Abs", "Sign"]:
            yield case(f"{op} {dtype} least", model(
                [node(op, ["a"], ["y"])], [("a", np.array([least], dtype))],
                [("y", kind, None)]), EITHER)
    for value in [np.nan, np.inf, -np.inf, 1e30, -1e30]:
        for kind in [2, 3, 4, 5, 6, 7, 9, 12, 13]:
            yield case(f"Cast {value} to {kind}", model(
                [node("Cast", ["a"], ["y"], to=kind)], [("a", np.array([value], "f4"))],
                [("y", kind, None)]), EITHER)
        yield case(f"QuantizeLinear {value}", model(
            [node("QuantizeLinear", ["a", "s", "z"], ["y"])],
            [("a", np.array([value], "f4")), ("s", np.float32(value)), ("z", np.int8(0))],
            [("y", TensorProto.INT8, None)]), EITHER)
    for index in [2, -3, 2**63 - 1, -(2**63)]:
        data = [("x", np.ones((2, 2), "f4")), ("i", np.array([[index]]))]
        for op in ["Gather", "GatherElements", "GatherND"]:
            yield case(f"{op} {index}", model([node(op, ["x", "i"], ["y"])], data))
        yield case(f"ScatterND {index}", model(
            [node("ScatterND", ["x", "i", "u"], ["y"])], data + [("u", np.ones((1, 2), "f4"))]))
        yield case(f"Slice {index}", model(
            [node("Slice", ["x", "i1", "i2", "i3", "i2"], ["y"])],
            [data[0], ("i1", np.array([index])), ("i2", np.array([index])), ("i3", np.array([0]))]),
            EITHER)


def external(location="data", offset="0", length="4", **more):
    tensor = TensorProto(name="w", data_type=FLOAT, dims=[1], data_location=TensorProto.EXTERNAL)
    for key, value in {"location": location, "offset": offset, "length": length, **more}.items():
        if value is not None:
            tensor.external_data.add(key=key, value=value)
    return tensor


def outside():
    data = {"data": np.ones(1, "f4").tobytes(), "sub/data": np.ones(1, "f4").tobytes()}

    def lie(name, tensor, expected=REFUSED, prepare=None):
        return case(f"external {name}", identity(tensor), expected, data, prepare=prepare)

    yield lie("good", external(), ACCEPTED)
    yield lie("in a folder", external("sub/data"), ACCEPTED)
    for place in ["../secret", "sub/../../secret", "/etc/passwd", "/dev/zero", "", ".", "..", "sub",
                  "missing", "data\0", "data\0.x", "x" * 5000, "./../secret", "//etc/passwd", "m.onnx"]:
        yield lie(f"at {place[:20]!r}", external(place), EITHER if place == "m.onnx" else REFUSED)
    for offset in ["-1", "1", "4", "5", "9223372036854775807", "9223372036854775808", "x", "0x0",
                   " 0", "+0", "1e1", ""]:
        yield lie(f"offset {offset!r}", external(offset=offset))
    for length in ["-1", "0", "3", "5", "9223372036854775807", "99999999999999999999", "y"]:
        yield lie(f"length {length!r}", external(length=length))
    twice = external()
    twice.external_data.add(key="location", value="../secret")
    yield lie("location twice", twice)
    yield lie("no location", external(location=None))
    both = external()
    both.raw_data = bytes(4)
    yield lie("and raw data", both)
    for name, link in [("symbolic", os.symlink), ("hard", os.link)]:
        yield lie(f"{name} link", external("link"), prepare=lambda folder, link=link: link(
            f"{folder}/../secret", f"{folder}/link"))
    yield lie("link to a folder", external("link/secret"), prepare=lambda folder: os.symlink(
        f"{folder}/..", f"{folder}/link"))
    yield lie("pipe", external("pipe"), prepare=lambda folder: os.mkfifo(f"{folder}/pipe"))
    aliases = [external(length=None) for _ in range(300)]
    for index, tensor in enumerate(aliases):
        tensor.name, tensor.dims[0] = f"w{index}", 1 << 20
    yield case("external 300 times the same 4 MB", model(
        [node("Neg", ["w0"], ["y"])], aliases), files={"data": bytes(4 << 20)})


def wire():
    def field(number, data):
        head = b""
        for value in [number << 3 | 2, len(data)]:
            while value > 0x7F:
                head += bytes([value & 0x7F | 0x80])
                value >>= 7
            head += bytes([value])
        return head + data

    deep = b""
    for _ in range(20000):
        deep = field(7, field(1, field(5, field(6, deep))))[:1 << 20]
    yield case("graphs nested 20000 deep", b"\x08\x08" + deep)
    deep = b""
    for _ in range(3000):
        deep = field(6, deep)
        deep = field(1, field(5, deep))
    yield case("attributes nested 3000 deep", b"\x08\x08" + field(7, deep))
    for name, data in [("a group", b"\x0b"), ("tag 0", b"\x00\x00"), ("an endless number", b"\x08" + b"\xff" * 20),
                       ("a length beyond the end", b"\x3a\xff\xff\xff\xff\x07"),
                       ("a length beyond 63 bits", b"\x3a" + b"\xff" * 9 + b"\x01")]:
        yield case(name, data)
    good = identity(constant("w", np.ones((2, 2), "f4"))).SerializeToString()
    for size in range(0, len(good), 3):
        yield case(f"cut to {size}", good[:size], EITHER if size else REFUSED)


def cases():
    for kind in [tensors, graphs, sizes, arithmetic, outside, wire]:
        yield from kind()
