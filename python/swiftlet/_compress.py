# SPDX-License-Identifier: Apache-2.0
"""Compression and evaluation of models."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import tempfile
from ctypes import byref, c_void_p
from pathlib import Path as FilePath
from typing import Any, Callable, Iterator, List, Mapping, Optional, Sequence, Union

from ._arguments import (
    bound_text,
    check_choice,
    encoded_path,
    encoded_text,
    set_common,
    set_goals,
    set_source,
    settings_text,
    technique_names,
    whole,
)
from ._callbacks import Callbacks, Listener
from ._data import Data, Own, Path, inputs_of, pointer, read
from ._library import LIBRARY, CompressOptions, EvaluateOptions, check, take_string
from ._metric import Metric, as_metric
from ._record import Record, record
from ._session import _PRECISIONS

Model = Union[Path, bytes, Any]
MetricLike = Union[str, Callable[..., Any], Metric, None]


class CompressionResult(Record):
    """What a compression did: the report of `swiftlet compress --json` as a dict, whose entries are
    attributes too (`result.before.file_bytes`, `result.verdict.text`, `result.layers`).

    `path` is where the model was written, None if that was not asked for; `model` has its bytes.
    """

    def __init__(self, report: Record, path: Optional[FilePath], content: Optional[bytes]):
        super().__init__(report)
        self._path, self._content = path, content

    @property
    def path(self) -> Optional[FilePath]:
        """The file of the compressed model."""
        return self._path

    @property
    def model(self) -> bytes:
        """The compressed model, an ONNX file."""
        return self._content if self._path is None else self._path.read_bytes()  # type: ignore

    def __dir__(self) -> List[str]:
        return sorted({*super().__dir__(), "model", "path"})

    def __repr__(self) -> str:
        verdict = (self.get("verdict") or {}).get("text", "")
        names = ", ".join(self.get("techniques", []))
        return f"<CompressionResult {names}: {verdict}{f'; {self.path}' if self.path else ''}>"


class EvaluationResult(Record):
    """How good a model is: `score` by `metric`, on a number of `samples`; `top1`, `top5` and
    `loss` for classifiers. A dict whose entries are attributes too."""

    def __repr__(self) -> str:
        return f"<EvaluationResult {self.metric} {self.score:.6g} on {self.samples} samples>"


def compress(model: Model, output: Optional[Path] = None, recipe: Optional[str] = None,
             data: Optional[Data] = None, *, labels: Any = None, judge: Optional[Data] = None,
             judge_labels: Any = None, split: Optional[float] = None,
             technique: Union[str, Sequence[str], None] = None, preset: Optional[str] = None,
             metric: MetricLike = None, max_drop: Union[float, str, None] = None,
             confidence: Optional[float] = None, target_size: Union[float, str, None] = None,
             target_latency: Union[float, str, None] = None,
             target_macs: Union[float, str, None] = None, preprocess: Optional[Path] = None,
             outputs: Sequence[str] = (), skip_damaged: bool = False,
             loader_memory: Optional[int] = None, extents: Optional[Mapping[str, int]] = None,
             threads: int = 0, seed: int = 0, data_directory: Optional[Path] = None,
             report: Optional[Path] = None,
             progress: Union[bool, Listener, None] = None, **settings: Any) -> CompressionResult:
    """Makes a model smaller and faster, and measures what that costs.

        result = swiftlet.compress("model.onnx", "small.onnx", data="pictures/",
                                   technique="eigen", max_drop=0.5, progress=True)
        print(result.verdict.text, result.after.file_bytes)

    Args:
        model: The path of an ONNX file, its bytes, or an `onnx.ModelProto`.
        output: The file to write; without it, the model is `result.model`.
        recipe: YAML with steps, the content of a file for `swiftlet compress --recipe`. Or else:
        technique: A technique or several, such as "eigen" or ["prune", "quantize"]; further keyword
            arguments are their settings, such as `ratio=0.5`; or
        preset: "fast", "balanced" or "smallest".
        data: What to calibrate, train and judge with; see below.
        labels: The class of each sample, if `data` are arrays or samples without labels.
        judge, judge_labels: Other data to judge on, instead of a part of `data`.
        split: The fraction of `data` to train and calibrate with, such as 0.8.
        metric: How models are judged: a name ("top1", "top5", "agreement", "mse", "cosine",
            "retrieval", "miou", "command:…"), a function `metric(outputs, labels, indices)`, or a
            `swiftlet.Metric`. By default, top1 with labels, else agreement with the original.
        max_drop: The largest acceptable loss: percentage points for accuracies, else in the unit of
            the metric; "1%" is relative to the original's score.
        confidence: The confidence level of that bound, such as 0.95.
        target_size, target_latency, target_macs: Upper bounds in bytes, milliseconds and operations
            of one sample, as numbers or text: "200k"; "50%" of the original's.
        preprocess: How pictures become inputs, such as "imagenet", or a file that says so.
        outputs: The names of the outputs to judge by; all, unless given.
        skip_damaged: Whether to leave out pictures that cannot be decoded, which are an error
            otherwise; `result.damaged` is their number.
        loader_memory: Bytes for decoded pictures, 512 MiB unless given. Of several calls at a time,
            the smallest number counts.
        extents: Sizes of open dimensions of the model's inputs, by their symbols or as "x[2]", such
            as {"height": 224}; the others follow from the data, or are guessed.
        threads: 0 for one per processor.
        seed: The seed of every random choice.
        data_directory: The first place to look for fashion-mnist.
        report: Where to write an HTML report.
        progress: True for a line on a terminal, or a function `progress(task, completed, total,
            remark)` that may return True to stop.

    `data` is one of
        - a path: a folder of pictures by class; a .npz file or a folder of them, with arrays by the
          names of inputs, or `x` and `y`; a .npy file (with `labels` another one); a .csv or .tsv
          file with `path,label` lines; or text for `--data`, such as "images:DIR:train[80%]";
        - an array, or a dict of arrays by the names of the model's inputs, with samples along the
          first axis, or a pair of that and labels; they are fed to the model as they are;
        - a sequence of samples (what has `len` and `[index]`: lists, torch data sets), each an
          array or a dict of arrays, or a pair of that and a label. Samples are made when they are
          needed, again and again, always the same for the same index. A second entry that is not a whole
          number is ignored. Labels come from `labels`, from the attribute `targets`, or from a pass
          over all samples;
        - what can only be iterated over (generators, torch's DataLoader): it is read once, in full,
          and kept in a temporary file. Items with as many axes as the model's input are batches.

    What a function raises is raised here and stops the work, as Ctrl-C does; nothing is written
    then. Wrong arguments raise TypeError or ValueError, what the library refuses swiftlet.Error.
    """
    options = CompressOptions(ctypes.sizeof(CompressOptions))
    set_common(options, threads, data_directory, preprocess, outputs)
    set_source(options, skip_damaged, loader_memory, extents)
    names = technique_names(technique)
    check_choice(recipe, names, preset, settings)
    options.seed = whole(seed, "seed", 2**64)
    options.technique, options.preset = encoded_text(names), encoded_text(preset)
    options.settings = encoded_text(settings_text(settings))
    set_goals(options, max_drop, confidence)
    for name, bound in (("target_size", target_size), ("target_latency", target_latency),
                        ("target_macs", target_macs)):
        setattr(options, name, bound_text(bound, name))
    if split is not None and not 0 < split < 1:
        raise ValueError(f"split is {split}: pass a fraction between 0 and 1, such as 0.8")
    if judge is not None and split is not None:
        raise ValueError("judge and split are given: pass one of them")
    if data is None and (labels is not None or judge is not None):
        raise TypeError("labels and judge need data")
    if judge is None and judge_labels is not None:
        raise TypeError("judge_labels needs judge")
    if data is None and skip_damaged:
        raise TypeError("skip_damaged needs data")
    options.split = split or 0
    callbacks = Callbacks(progress)
    with callbacks, _files(model, output) as files:
        options.report = encoded_path(report)
        kept = _metric(options, metric, callbacks)
        spec = _data(options, "samples", data, labels, "data", files.model, callbacks, kept)
        options.judge = _data(
            options, "judge_samples", judge, judge_labels, "judge", files.model, callbacks, kept)
        document = c_void_p()
        status = LIBRARY.swiftlet_compress(
            os.fsencode(files.model), encoded_text(recipe), spec, byref(options),
            callbacks.progress, None, os.fsencode(files.output), byref(document))
        text = take_string(document) if status == 0 else ""
        callbacks.check()
        check(status)
        content = files.content() if output is None else None
    result = record(text)
    # Not the names of temporary files.
    if not isinstance(model, (str, os.PathLike)):
        result["model"] = "model in memory"
    if output is None:
        result["output"] = None
    return CompressionResult(result, None if output is None else FilePath(output), content)


def evaluate(model: Model, data: Data, *, labels: Any = None, metric: MetricLike = None,
             original: Optional[Model] = None, batch: int = 0, preprocess: Optional[Path] = None,
             outputs: Sequence[str] = (), skip_damaged: bool = False,
             loader_memory: Optional[int] = None, extents: Optional[Mapping[str, int]] = None,
             precision: str = "fp32", threads: int = 0, data_directory: Optional[Path] = None,
             progress: Union[bool, Listener, None] = None) -> EvaluationResult:
    """Measures how good a model is.

        swiftlet.evaluate("model.onnx", "pictures/").top1
        swiftlet.evaluate("small.onnx", arrays, metric="cosine", original="model.onnx").score

    `original` is the model that some metrics compare with; `batch` the number of samples at a time
    for accuracies. The other arguments are those of `compress`.
    """
    if precision not in _PRECISIONS:
        raise ValueError(f"unknown precision {precision!r}: use one of {', '.join(_PRECISIONS)}")
    if data is None:
        raise TypeError("data is None: pass data to evaluate on")
    options = EvaluateOptions(ctypes.sizeof(EvaluateOptions))
    set_common(options, threads, data_directory, preprocess, outputs)
    set_source(options, skip_damaged, loader_memory, extents)
    options.precision, options.batch = _PRECISIONS.index(precision), whole(batch, "batch", 65537)
    callbacks = Callbacks(progress)
    with callbacks, _files(model) as files, _files(original) as others:
        options.original = None if original is None else os.fsencode(others.model)
        kept = _metric(options, metric, callbacks)
        spec = _data(options, "samples", data, labels, "data", files.model, callbacks, kept)
        document = c_void_p()
        status = LIBRARY.swiftlet_evaluate(
            os.fsencode(files.model), spec, byref(options), callbacks.progress, None,
            byref(document))
        text = take_string(document) if status == 0 else ""
        callbacks.check()
        check(status)
    return EvaluationResult(record(text))


# ---- Parts of a call --------------------------------------------------------------------------


def _metric(options: Any, given: MetricLike, callbacks: Callbacks) -> List[Any]:
    """Sets the metric; returns what must outlive the call."""
    chosen = as_metric(given)
    if not isinstance(chosen, Metric):
        options.metric = encoded_text(chosen)
        return []
    native = chosen.native(callbacks)
    options.own_metric = ctypes.pointer(native)
    return [native]


def _data(options: Any, field: str, data: Optional[Data], labels: Any, what: str, model: str,
          callbacks: Callbacks, kept: List[Any]) -> Optional[bytes]:
    """Sets a field to samples, or returns the name of the data."""
    if data is None:
        return None
    found = read(data, labels, what, lambda: inputs_of(model))
    if isinstance(found, str):
        return os.fsencode(found)
    assert isinstance(found, Own)
    if options.skip_damaged:
        raise TypeError(f"skip_damaged is for pictures in files, but {what} has none")
    native = found.native(callbacks)
    kept += [found, native]
    setattr(options, field, pointer(native))
    return None


class _Files:
    """The paths that the library reads and writes."""

    def __init__(self, model: str, output: str):
        self.model, self.output = model, output

    def content(self) -> bytes:
        return FilePath(self.output).read_bytes()


@contextlib.contextmanager
def _files(model: Optional[Model], output: Optional[Path] = None) -> Iterator[_Files]:
    """Puts a model in memory into a temporary file, and names one for a result."""
    content: Optional[bytes] = None
    if isinstance(model, (bytes, bytearray, memoryview)):
        content = bytes(model)
    elif hasattr(model, "SerializeToString"):
        content = model.SerializeToString()  # type: ignore[union-attr]
    elif model is not None and not isinstance(model, (str, os.PathLike)):
        raise TypeError(f"the model is {type(model).__name__}: pass a path, bytes or a ModelProto")
    folder = tempfile.mkdtemp(prefix="swiftlet-")
    try:
        path = os.path.join(folder, "model.onnx")
        if content is not None:
            FilePath(path).write_bytes(content)
        elif model is not None:
            path = os.fsdecode(model)
        yield _Files(path, os.path.join(folder, "output.onnx") if output is None
                     else os.fspath(output))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
