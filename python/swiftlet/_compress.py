# SPDX-License-Identifier: Apache-2.0
"""Compression and evaluation of models."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import shutil
import tempfile
from ctypes import byref, c_char_p, c_void_p
from pathlib import Path as FilePath
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence, Union

import numpy as np

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
             outputs: Sequence[str] = (), threads: int = 0, seed: int = 0,
             data_directory: Optional[Path] = None, report: Optional[Path] = None,
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
    _common(options, threads, data_directory, preprocess, outputs)
    names = _technique(technique)
    _choice(recipe, names, preset, settings)
    options.seed = _whole(seed, "seed", 2**64)
    options.technique, options.preset = _text(names), _text(preset)
    options.settings = _text(_settings(settings))
    _goals(options, max_drop, confidence)
    for name, bound in (("target_size", target_size), ("target_latency", target_latency),
                        ("target_macs", target_macs)):
        setattr(options, name, _bound(bound, name))
    if split is not None and not 0 < split < 1:
        raise ValueError(f"split is {split}: pass a fraction between 0 and 1, such as 0.8")
    if judge is not None and split is not None:
        raise ValueError("judge and split are given: pass one of them")
    if data is None and (labels is not None or judge is not None):
        raise TypeError("labels and judge need data")
    if judge is None and judge_labels is not None:
        raise TypeError("judge_labels needs judge")
    options.split = split or 0
    callbacks = Callbacks(progress)
    with callbacks, _files(model, output) as files:
        options.report = _path(report)
        kept = _metric(options, metric, callbacks)
        spec = _data(options, "samples", data, labels, "data", files.model, callbacks, kept)
        options.judge = _data(
            options, "judge_samples", judge, judge_labels, "judge", files.model, callbacks, kept)
        document = c_void_p()
        status = LIBRARY.swiftlet_compress(
            os.fsencode(files.model), _text(recipe), spec, byref(options), callbacks.progress, None,
            os.fsencode(files.output), byref(document))
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
             outputs: Sequence[str] = (), precision: str = "fp32", threads: int = 0,
             data_directory: Optional[Path] = None,
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
    _common(options, threads, data_directory, preprocess, outputs)
    options.precision, options.batch = _PRECISIONS.index(precision), _whole(batch, "batch", 65537)
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


# ---- Arguments ------------------------------------------------------------------------------


def _text(value: Optional[str]) -> Optional[bytes]:
    return value.encode() if value else None


def _path(path: Optional[Path]) -> Optional[bytes]:
    return None if path is None else os.fsencode(path)


def _whole(value: int, name: str, limit: int) -> int:
    """Checks a number: ctypes would cut off what is too large."""
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool):
        raise TypeError(f"{name} is {value!r}: pass a whole number")
    if not 0 <= value < limit:
        raise ValueError(f"{name} is {value}: pass 0 to {limit - 1}")
    return int(value)


def _common(options: Any, threads: int, data_directory: Optional[Path],
            preprocess: Optional[Path], outputs: Sequence[str]) -> None:
    options.threads = _whole(threads, "threads", 1025)
    options.data_directory, options.preprocess = _path(data_directory), _path(preprocess)
    if isinstance(outputs, str):
        outputs = [outputs]
    names = (c_char_p * len(outputs))(*(name.encode() for name in outputs))
    options.outputs, options.output_count = names, len(outputs)


def _technique(technique: Union[str, Sequence[str], None]) -> Optional[str]:
    if technique is None or isinstance(technique, str):
        return technique
    if not all(isinstance(name, str) for name in technique):
        raise TypeError(f"technique is {technique!r}: pass a name or a list of names")
    return ",".join(technique)


def _choice(recipe: Optional[str], technique: Optional[str], preset: Optional[str],
            settings: Dict[str, Any]) -> None:
    given = [name for name, value in (("recipe", recipe), ("technique", technique),
                                      ("preset", preset)) if value is not None]
    if len(given) != 1:
        raise TypeError(f"{' and '.join(given) or 'none'} given: pass one of recipe, technique and "
                        "preset")
    if recipe is not None and settings:
        raise TypeError(f"compress() has no argument {next(iter(settings))!r}; with a recipe, "
                        "settings of techniques are part of it")


def _settings(settings: Dict[str, Any]) -> Optional[str]:
    """Settings as JSON, which is YAML, by their names in recipes: calibration_images becomes
    calibrationImages."""

    def plain(value: Any) -> Any:
        if isinstance(value, os.PathLike):
            return os.fspath(value)
        if isinstance(value, (np.generic, np.ndarray)):
            return value.tolist()
        if isinstance(value, (list, tuple, set)):
            return [plain(one) for one in value]
        if not isinstance(value, (bool, int, float, str)):
            raise TypeError(f"a setting is {value!r}: pass a number, text, True, False or a list")
        return value

    def key(name: str) -> str:
        first, *others = name.split("_")
        return first + "".join(other[:1].upper() + other[1:] for other in others)

    given = {key(name): plain(value) for name, value in settings.items() if value is not None}
    return json.dumps(given) if given else None


def _goals(options: CompressOptions, max_drop: Union[float, str, None],
           confidence: Optional[float]) -> None:
    if max_drop is not None:
        relative = isinstance(max_drop, str) and max_drop.strip().endswith("%")
        try:
            drop = float(str(max_drop).strip().rstrip("%")) if relative else float(max_drop)
        except (TypeError, ValueError):
            raise TypeError(
                f"max_drop is {max_drop!r}: pass a number, or text such as '1%'") from None
        if not 0 <= drop < float("inf"):
            raise ValueError(f"max_drop is {max_drop!r}: pass 0 or more")
        # 0 is none for the library: nothing is lost by less than what a float can tell.
        if relative:
            options.max_relative_drop = drop / 100 or 1e-12
        else:
            options.max_drop = drop or 1e-12
    if confidence is not None:
        if max_drop is None:
            raise TypeError("confidence needs max_drop")
        if not 0.5 <= confidence < 1:
            raise ValueError(f"confidence is {confidence}: pass 0.5 to below 1, such as 0.95")
        options.confidence = confidence


def _bound(bound: Union[float, str, None], name: str) -> Optional[bytes]:
    if bound is None or isinstance(bound, str):
        return _text(bound)
    if isinstance(bound, bool) or not isinstance(bound, (int, float, np.number)):
        raise TypeError(f"{name} is {bound!r}: pass a number, or text such as '50%'")
    if not 0 < bound < float("inf"):
        raise ValueError(f"{name} is {bound}: pass a number above 0, or text such as '50%'")
    return repr(float(bound)).encode()


def _metric(options: Any, given: MetricLike, callbacks: Callbacks) -> List[Any]:
    """Sets the metric; returns what must outlive the call."""
    chosen = as_metric(given)
    if not isinstance(chosen, Metric):
        options.metric = _text(chosen)
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
