# SPDX-License-Identifier: Apache-2.0
"""Compares our quantization after training with onnxruntime's own, on the same calibration inputs.

Both start from the same fp32 model and see the same samples. Judged on other samples: how well each
int8 model agrees with the fp32 one, how fast it runs in its own runtime (in turns), and how far our
exported model differs in onnxruntime from itself in Swiftlet, value by value, in quantization steps.

usage: quantization.py SWIFTLET MODEL.onnx INPUTS.npz FOLDER [--calibrate 64] [--batch 8] [--threads 1]

INPUTS.npz has one array, named after the model's input, with all samples along its first axis;
pages.py makes some.
"""

import argparse
import json
import subprocess
import time
from pathlib import Path

import numpy
import onnx
import onnxruntime
from onnxruntime import quantization


class Samples(quantization.CalibrationDataReader):
    def __init__(self, name: str, samples: numpy.ndarray):
        self.batches = iter([{name: samples[index:index + 1]} for index in range(len(samples))])

    def get_next(self) -> dict | None:
        return next(self.batches, None)


def session(path: Path, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(
        str(path), options, providers=["CPUExecutionProvider"])


def answers(model: onnxruntime.InferenceSession, name: str, samples: numpy.ndarray):
    return numpy.concatenate(
        [model.run(None, {name: samples[i:i + 8]})[0] for i in range(0, len(samples), 8)])


def likeness(expected: numpy.ndarray, found: numpy.ndarray) -> dict:
    noise = numpy.square(expected - found, dtype=numpy.float64).sum()
    signal = numpy.square(expected, dtype=numpy.float64).sum()
    same = expected.argmax(-1) == found.argmax(-1)
    # A few samples near the edge of what a network knows may make most of the noise: the median
    # too.
    axes = tuple(range(1, expected.ndim))
    each = 10 * numpy.log10(
        numpy.square(expected).sum(axes)
        / numpy.maximum(numpy.square(expected - found).sum(axes), 1e-30))
    return {"decibels": round(float(10 * numpy.log10(signal / max(noise, 1e-300))), 2),
            "medianDecibels": round(float(numpy.median(each)), 2),
            "top1": round(float(same.mean()), 5)}


def swiftlet(*arguments) -> dict:
    done = subprocess.run([str(each) for each in arguments], check=True, capture_output=True)
    return json.loads(done.stdout) if done.stdout else {}


def with_codes(path: Path, folder: Path) -> tuple[Path, list[str]]:
    """The model with all 8-bit activations as further outputs."""
    model = onnx.load(path)
    zeros = {each.name: each.data_type for each in model.graph.initializer}
    names = []
    for node in model.graph.node:
        if node.op_type == "QuantizeLinear":
            names.append(node.output[0])
            model.graph.output.append(
                onnx.helper.make_tensor_value_info(node.output[0], zeros[node.input[2]], None))
    inferred = onnx.shape_inference.infer_shapes(model)
    shapes = {each.name: each for each in inferred.graph.value_info}
    for index, output in enumerate(model.graph.output):
        if output.name in shapes:
            model.graph.output[index].CopyFrom(shapes[output.name])
    target = folder / "codes.onnx"
    onnx.save(model, target)
    return target, names


def differences(command: str, path: Path, name: str, samples: numpy.ndarray, folder: Path) -> dict:
    """How many 8-bit values differ between onnxruntime and Swiftlet, by quantization steps."""
    model, names = with_codes(path, folder)
    expected = session(model, 1).run(names, {name: samples})
    numpy.save(folder / "input.npy", samples)
    swiftlet(command, "run", model, "--input", f"{name}={folder / 'input.npy'}",
             "--output-dir", folder / "outputs", "--json", "--quiet")
    counts = {"values": 0, "equal": 0, "oneStep": 0, "more": 0}
    for key, values in zip(names, expected, strict=True):
        found = numpy.load(folder / "outputs" / f"{key.replace('/', '_')}.npy")
        steps = numpy.abs(values.astype(int) - found.astype(int))
        counts["values"] += steps.size
        counts["equal"] += int((steps == 0).sum())
        counts["oneStep"] += int((steps == 1).sum())
        counts["more"] += int((steps > 1).sum())
    return counts


def speeds(command, ours: Path, theirs: Path, name, samples, batch, threads, rounds=3) -> dict:
    """Median milliseconds of one batch, each model in its own runtime, in turns."""
    peer = session(theirs, threads)
    batch_input = {name: samples[:batch]}
    peer.run(None, batch_input)
    times, own = [], []
    for _ in range(rounds):
        end = time.monotonic() + 2
        while time.monotonic() < end:
            start = time.perf_counter()
            peer.run(None, batch_input)
            times.append(time.perf_counter() - start)
        row = swiftlet(command, "bench", ours, "--batch", batch, "--threads", threads,
                       "--json", "--quiet")["rows"][0]
        own.append(row["p50ms"])
    return {"swiftlet": round(float(numpy.median(own)), 3),
            "onnxruntime": round(float(numpy.median(times)) * 1e3, 3)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("swiftlet")
    parser.add_argument("model", type=Path)
    parser.add_argument("inputs", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--calibrate", type=int, default=64)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--options", default="", help="further options of swiftlet compress")
    parser.add_argument("--no-speed", action="store_true")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    [(name, samples)] = numpy.load(options.inputs).items()
    seen, judged = samples[:options.calibrate], samples[options.calibrate:]
    ours, theirs = options.folder / "swiftlet.onnx", options.folder / "onnxruntime.onnx"

    start = time.monotonic()
    report = swiftlet(
        options.swiftlet, "compress", options.model, "--technique", "quantize", "--data",
        f"inputs:{options.inputs}", "--calibration-images", options.calibrate, "-o", ours, "--json",
        "--quiet", *options.options.split())
    own_seconds = time.monotonic() - start
    prepared = options.folder / "prepared.onnx"
    start = time.monotonic()
    quantization.quant_pre_process(str(options.model), str(prepared), skip_symbolic_shape=True)
    quantization.quantize_static(
        str(prepared), str(theirs), Samples(name, seen), per_channel=True,
        quant_format=quantization.QuantFormat.QDQ,
        activation_type=quantization.QuantType.QUInt8, weight_type=quantization.QuantType.QInt8)
    their_seconds = time.monotonic() - start
    onnx.checker.check_model(onnx.load(ours))

    expected = answers(session(options.model, options.threads), name, judged)
    result = {
        "model": options.model.name, "calibrated": len(seen), "judged": len(judged),
        "bytes": {"fp32": options.model.stat().st_size, "swiftlet": ours.stat().st_size,
                  "onnxruntime": theirs.stat().st_size},
        "seconds": {"swiftlet": round(own_seconds, 2), "onnxruntime": round(their_seconds, 2)},
        "agreement": {
            "swiftlet": {key: report["agreement"][key] for key in ("decibels", "top1")},
            "swiftlet's file in onnxruntime": likeness(
                expected, answers(session(ours, options.threads), name, judged)),
            "onnxruntime": likeness(
                expected, answers(session(theirs, options.threads), name, judged)),
        },
        "codes": differences(options.swiftlet, ours, name, judged[:8], options.folder),
    }
    if not options.no_speed:
        result["milliseconds"] = speeds(
            options.swiftlet, ours, theirs, name, samples, options.batch, options.threads)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
