# SPDX-License-Identifier: Apache-2.0
"""Metrics that are Python functions."""

from __future__ import annotations

import ctypes
from typing import Any, Callable, Dict, Optional, Union

import numpy as np

from ._callbacks import Callbacks
from ._library import OwnMetric, Score
from ._session import _NUMPY


class Metric:
    """A metric of yours, with what a function alone does not say.

    `score(outputs, labels, indices)` gets the outputs of a model for some samples by name (arrays
    whose first axis counts the samples), their labels (None if there are none) and their positions
    in the data; with `needs_original`, `score(outputs, labels, indices, original)` gets the outputs
    of the original model too. It returns an array with one number for each sample, or one number
    for all of them. A model's score is the mean over the samples; NaN is the worst number. With one
    for each sample, `max_drop` and `confidence` are judged by a paired test, sample by sample.

    Scores from 0 to 1 may be declared with `is_fraction`: drops are then in percentage points.
    """

    def __init__(self, score: Callable[..., Any], name: Optional[str] = None, *,
                 lower_is_better: bool = False, is_fraction: bool = False,
                 needs_original: bool = False):
        if not callable(score):
            raise TypeError(f"the metric is {score!r}, not a function")
        self.score = score
        self.name = name or getattr(score, "__name__", "metric").strip("<>")
        self.lower_is_better = lower_is_better
        self.is_fraction = is_fraction
        self.needs_original = needs_original

    def __repr__(self) -> str:
        return f"<swiftlet.Metric {self.name}>"

    def _call(self, batch: Any) -> np.ndarray:
        count = batch.count
        indices = np.ctypeslib.as_array(batch.samples, (count,)).copy()
        labels = np.ctypeslib.as_array(batch.labels, (count,)).copy() if batch.labels else None
        arguments = [_arrays(batch.outputs, batch.output_count), labels, indices]
        if self.needs_original:
            arguments.append(_arrays(batch.original, batch.original_count))
        result = self.score(*arguments)
        if hasattr(result, "detach"):
            result = result.detach().cpu()
        scores = np.asarray(result)
        if scores.dtype.kind not in "fiub":
            raise TypeError(f"the metric '{self.name}' returned {result!r}, not numbers")
        if scores.shape not in ((), (1,), (count,)):
            raise ValueError(
                f"the metric '{self.name}' returned an array of shape {scores.shape} for {count} "
                "samples: return one number for each, or a single one")
        return scores.reshape(-1).astype(np.float64)

    def native(self, callbacks: Callbacks) -> OwnMetric:
        """The struct that the library takes; it must outlive the call."""

        def hear(batch: Any, scores: Any, count: Any, _context: Optional[int]) -> int:
            def body() -> None:
                result = self._call(batch.contents)
                ctypes.memmove(scores, result.ctypes.data, result.nbytes)
                count[0] = len(result)

            return callbacks.run(body)

        return OwnMetric(
            ctypes.sizeof(OwnMetric), self.name.encode(), Score(hear), None, self.lower_is_better,
            self.is_fraction, self.needs_original)


def _arrays(outputs: Any, count: int) -> Dict[str, np.ndarray]:
    """Copies of the library's arrays, which are its own again after the call."""
    result = {}
    for index in range(count):
        tensor, name = outputs[index].value, outputs[index].name.decode()
        code = _NUMPY.get(tensor.dtype)
        if code is None:
            raise TypeError(f"output '{name}' has elements that numpy does not have")
        content = ctypes.string_at(tensor.data, tensor.byte_count) if tensor.byte_count else b""
        shape = tuple(tensor.shape[:tensor.rank]) if tensor.rank else ()
        result[name] = np.frombuffer(bytearray(content), code).reshape(shape)
    return result


def as_metric(given: Union[str, Callable[..., Any], Metric, None]) -> Union[str, Metric, None]:
    """A metric as an argument: its name, or one of the program's."""
    if given is None or isinstance(given, (str, Metric)):
        return given
    if callable(given):
        return Metric(given)
    raise TypeError(f"metric is {given!r}: pass a name such as 'top1', or a function")
