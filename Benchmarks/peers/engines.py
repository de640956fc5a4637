# SPDX-License-Identifier: Apache-2.0
"""Starts the engines, each turn in a process of its own. Standard library only: a child's peak memory
counts what its parent had when it forked, so the parent stays small."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

SWIFTLET = os.environ.get("SWIFTLET", "swiftlet")
PEER = [sys.executable, str(Path(__file__).with_name("peer.py"))]
OURS = "swiftlet"
REFERENCE = "onnxruntime"
TITLES = {
    OURS: "swiftlet",
    "onnxruntime": "onnxruntime",
    "openvino-f32": "OpenVINO f32",
    "openvino": "OpenVINO default",
    "openvino-bf16": "OpenVINO bf16",
    "torch": "torch eager",
    "torch-bf16": "torch eager bf16",
    "torch-int8": "torch int8",
}
ENGINES = {
    "fp32": [OURS, "onnxruntime", "openvino-f32", "torch"],
    "bf16": [OURS, "openvino-bf16", "torch-bf16"],
    "int8": [OURS, "onnxruntime", "openvino-f32", "openvino", "torch-int8"],
    "int7": [OURS, "onnxruntime", "openvino-f32", "openvino"],
}
UNSUPPORTED = 3  # an exit code of ours


def path(folder: Path, model: str, precision: str) -> Path:
    """The model's file: bf16 is a way to compute what the fp32 file holds."""
    return folder / f"{model}-{'fp32' if precision == 'bf16' else precision}.onnx"


def own_options(precision: str) -> list[str]:
    return ["--precision", "bf16"] if precision == "bf16" else []


@dataclass
class Turn:
    """What a child process printed and used, or why it failed."""
    output: str
    peak_bytes: int
    status: str = "ok"
    message: str = ""


def turn(command: list[str]) -> Turn:
    with tempfile.TemporaryFile("w+") as errors:
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
        output = child.stdout.read()
        _, status, usage = os.wait4(child.pid, 0)
        child.stdout.close()
        child.returncode = os.waitstatus_to_exitcode(status)
        result = Turn(output, usage.ru_maxrss * 1024)
        if child.returncode != 0:
            errors.seek(0)
            ours = command[0] == SWIFTLET
            result.status = "unsupported" if ours and child.returncode == UNSUPPORTED else "failed"
            result.message = reason(child.returncode, errors.read())
        return result


def reason(exit_code: int, errors: str) -> str:
    if exit_code < 0:
        return f"killed by {signal.Signals(-exit_code).name}"
    lines = errors.strip().splitlines()
    return lines[-1] if lines else f"exit code {exit_code}"


def document(command: list[str]) -> object:
    """The JSON that a command prints which nothing can go on without."""
    result = turn(command)
    if result.status != "ok":
        sys.exit(f"{' '.join(command)}: {result.message}")
    return json.loads(result.output)


def idle(engine: str) -> Turn:
    """A process that loads the engine and does nothing."""
    return turn([SWIFTLET, "--version"] if engine == OURS else [*PEER, "idle", engine])


def speed(
    engine: str, model: Path, precision: str, batch: int, threads: int, seconds: float
) -> tuple[Turn, float]:
    """The turn, and images per second; 0 where it failed."""
    if engine == OURS:
        result = turn([
            SWIFTLET, "bench", str(model), "--batch", str(batch), "--threads", str(threads),
            "--seconds", str(seconds), *own_options(precision), "--json", "--quiet"])
        if result.status != "ok":
            return result, 0
        return result, json.loads(result.output)["rows"][0]["imagesPerSecond"]
    result = turn([*PEER, "speed", engine, str(model), str(batch), str(threads), str(seconds)])
    return result, float(result.output) if result.status == "ok" else 0


def answers(
    engine: str, model: Path, precision: str, threads: int, images: Path, output: Path
) -> Turn:
    """Runs the model on an npy file; writes the logits to another."""
    if engine != OURS:
        return turn([*PEER, "answers", engine, str(model), str(threads), str(images), str(output)])
    result = turn([
        SWIFTLET, "run", str(model), "--input", f"input={images}", "--output-dir",
        str(output.parent), "--threads", str(threads), *own_options(precision), "--json",
        "--quiet"])
    if result.status == "ok":
        os.replace(json.loads(result.output)["outputs"][0]["file"], output)
    return result
