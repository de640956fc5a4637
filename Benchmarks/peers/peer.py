# SPDX-License-Identifier: Apache-2.0
"""One turn of one peer, in a process of its own: its threads and memory are gone before the next turn.

usage: peer.py idle ENGINE                                    imports the engine and ends
       peer.py speed ENGINE MODEL.onnx BATCH THREADS SECONDS  prints images per second
       peer.py answers ENGINE MODEL.onnx THREADS IN.npy OUT.npy
"""

import importlib
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy
from inputs import images, side

# Runs the model; gives its logits after a run, which is not timed.
Loaded = tuple[Callable[[], object], Callable[[], numpy.ndarray]]
# As in `swiftlet bench`: one warm-up run, then at least this many.
LEAST_RUNS = 5


def onnxruntime_run(model: Path, batch: numpy.ndarray, threads: int) -> Loaded:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    # Bound arrays spare a few microseconds of Python in every call.
    binding = session.io_binding()
    binding.bind_cpu_input(session.get_inputs()[0].name, batch)
    binding.bind_output(session.get_outputs()[0].name)

    return lambda: session.run_with_iobinding(binding), lambda: binding.get_outputs()[0].numpy()


def openvino_run(model: Path, batch: numpy.ndarray, threads: int, **options: str) -> Loaded:
    import openvino

    core = openvino.Core()
    network = core.read_model(model)
    network.reshape(list(batch.shape))
    compiled = core.compile_model(
        network, "CPU", {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, **options})
    request = compiled.create_infer_request()
    request.set_input_tensor(openvino.Tensor(batch, shared_memory=True))
    return request.infer, lambda: request.get_output_tensor().data


def openvino_f32_run(model: Path, batch: numpy.ndarray, threads: int) -> Loaded:
    return openvino_run(model, batch, threads, INFERENCE_PRECISION_HINT="f32")


def openvino_bf16_run(model: Path, batch: numpy.ndarray, threads: int) -> Loaded:
    return openvino_run(model, batch, threads, INFERENCE_PRECISION_HINT="bf16")


def torch_run(
    model: Path, batch: numpy.ndarray, threads: int, dtype: str = "float32"
) -> Loaded:
    """Eager, channels last; reads the weights that the ONNX file was made of."""
    import torch
    from networks import NETWORKS

    torch.set_num_threads(threads)
    name = model.stem.removesuffix("-fp32")
    with torch.device("meta"):
        network = NETWORKS[name]()
    weights = torch.load(model.with_name(f"{name}.pt"), mmap=True)
    network.load_state_dict(weights, assign=True)
    kind = getattr(torch, dtype)
    network = network.eval().to(kind, memory_format=torch.channels_last)
    tensor = torch.from_numpy(batch).to(memory_format=torch.channels_last)

    @torch.inference_mode()
    def run() -> torch.Tensor:
        return network(tensor.to(kind)).float()

    return run, lambda: run().numpy()


def torch_bf16_run(model: Path, batch: numpy.ndarray, threads: int) -> Loaded:
    return torch_run(model, batch, threads, dtype="bfloat16")


def torch_int8_run(model: Path, batch: numpy.ndarray, threads: int) -> Loaded:
    """What torch has quantized itself."""
    import torch

    torch.set_num_threads(threads)
    torch.backends.quantized.engine = "onednn"
    network = torch.jit.load(model.with_suffix(".pt"))
    tensor = torch.from_numpy(batch).to(memory_format=torch.channels_last)

    @torch.inference_mode()
    def run() -> torch.Tensor:
        return network(tensor)

    return run, lambda: run().numpy()


ENGINES = {
    "onnxruntime": ("onnxruntime", onnxruntime_run),
    "openvino-f32": ("openvino", openvino_f32_run),
    "openvino": ("openvino", openvino_run),
    "openvino-bf16": ("openvino", openvino_bf16_run),
    "torch": ("networks", torch_run),
    "torch-bf16": ("networks", torch_bf16_run),
    "torch-int8": ("torch", torch_int8_run),
}


def images_per_second(run: Callable[[], object], batch: int, seconds: float) -> float:
    run()
    times: list[float] = []
    spent = 0.0
    while len(times) < LEAST_RUNS or spent < seconds:
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
        spent += times[-1]
    return batch / statistics.median(times)


def main() -> None:
    task, engine, *rest = sys.argv[1:]
    module, load = ENGINES[engine]
    if task == "idle":
        importlib.import_module(module)
        return
    # The engines read these arrays in place and do not keep them alive: the names below do.
    if task == "speed":
        model, size, threads, seconds = Path(rest[0]), int(rest[1]), int(rest[2]), float(rest[3])
        batch = images(size, side(model.stem), seed=1)
        run, _ = load(model, batch, threads)
        print(images_per_second(run, size, seconds))
    else:
        model, threads, source, target = Path(rest[0]), int(rest[1]), rest[2], rest[3]
        batch = numpy.load(source)
        run, logits = load(model, batch, threads)
        run()
        numpy.save(target, logits())


main()
