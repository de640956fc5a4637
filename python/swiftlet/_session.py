# SPDX-License-Identifier: Apache-2.0
"""Inference sessions."""

from __future__ import annotations

import ctypes
import json
import os
import weakref
from ctypes import byref, c_int64, c_size_t, c_void_p
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Tuple, Union

import numpy as np

from ._library import LIBRARY, SessionOptions, Tensor, ValueInfo, check, take_string

# By swiftlet_dtype. Smaller types are passed as bytes because numpy lacks them.
_NUMPY = {1: "f4", 2: "u1", 3: "i1", 4: "u2", 5: "i2", 6: "i4", 7: "i8", 9: "?", 11: "f8", 12: "u4",
          13: "u8"}
_DTYPES = {np.dtype(code): number for number, code in _NUMPY.items()}
_TYPESTRINGS = {number: np.dtype(code).str for number, code in _NUMPY.items()}
# By swiftlet_precision.
_PRECISIONS = ("fp32", "bf16")
_asarray = np.asarray
_run, _output = LIBRARY.swiftlet_request_run, LIBRARY.swiftlet_request_output


class Value(NamedTuple):
    """An input or output of a model; extents known only at run time are None."""

    name: str
    dtype: Optional[np.dtype]
    shape: Tuple[Optional[int], ...]


class Session:
    """A model that is ready to run. Any number of threads may use it at once.

    `model` is the path of an ONNX file, or its bytes. `threads` 0 uses one thread per processor.
    `precision` "bf16" rounds the factors of products, which is faster on some processors.
    """

    def __init__(self, model: Union[str, "os.PathLike[str]", bytes], threads: int = 0,
                 precision: str = "fp32"):
        if precision not in _PRECISIONS:
            raise ValueError(
                f"unknown precision {precision!r}: use one of {', '.join(_PRECISIONS)}")
        options = SessionOptions(
            ctypes.sizeof(SessionOptions), threads, _PRECISIONS.index(precision))
        handle = c_void_p()
        if isinstance(model, bytes):
            check(LIBRARY.swiftlet_session_open_memory(
                model, len(model), byref(options), byref(handle)))
        else:
            check(LIBRARY.swiftlet_session_open(os.fsencode(model), byref(options), byref(handle)))
        self._handle = handle
        self._close = weakref.finalize(self, LIBRARY.swiftlet_session_close, handle)
        self.inputs = self._values("input")
        self.outputs = self._values("output")

    def _values(self, kind: str) -> List[Value]:
        count, values = c_size_t(), []
        check(getattr(LIBRARY, f"swiftlet_session_{kind}_count")(self._handle, byref(count)))
        for index in range(count.value):
            info = ValueInfo()
            check(getattr(LIBRARY, f"swiftlet_session_{kind}")(self._handle, index, byref(info)))
            extents = (info.dimensions[axis] for axis in range(info.rank))
            code = _NUMPY.get(info.dtype)
            values.append(Value(info.name.decode(), np.dtype(code) if code else None,
                                tuple(None if extent < 0 else extent for extent in extents)))
        return values

    def run(self, inputs: Mapping[str, np.ndarray]) -> Dict[str, np.ndarray]:
        """Returns all outputs by name. Contiguous inputs are read in place; outputs are
        views of the library's memory, which lives as long as they do."""
        request = Request(self)
        for name, array in inputs.items():
            request.bind(name, array)
        return request.run()

    def request(self) -> "Request":
        """Creates a request: bind arrays once, run many times. Each thread needs its own."""
        return Request(self)

    def profile(self, inputs: Mapping[str, np.ndarray], runs: int = 10) -> List[Dict[str, Any]]:
        """The time per layer: each layer with its kernel and median milliseconds."""
        request = Request(self)
        for name, array in inputs.items():
            request.bind(name, array)
        text = c_void_p()
        check(LIBRARY.swiftlet_request_profile(request._handle, runs, byref(text)))
        layers: List[Dict[str, Any]] = json.loads(take_string(text))
        return layers

    def close(self) -> None:
        """Closes the session; its requests remain usable. Also happens automatically."""
        self._close()


def _close(handle: c_void_p, *_arrays: Dict[str, np.ndarray]) -> None:
    LIBRARY.swiftlet_request_close(handle)


class _View:
    """A view of a request's memory that keeps the request open."""

    __slots__ = ("_request", "__array_interface__")

    def __init__(self, request: "Request", address: int, shape: Tuple[int, ...], code: str):
        self._request = request
        self.__array_interface__ = {
            "version": 3, "data": (address, True), "shape": shape, "typestr": code}


class Request:
    """Arrays bound to a session's inputs, and the results of a run."""

    def __init__(self, session: Session):
        handle = c_void_p()
        check(LIBRARY.swiftlet_request_create(session._handle, byref(handle)))
        self._handle = handle
        self._arrays: Dict[str, np.ndarray] = {}
        # Made once: a run of a small model takes a few microseconds.
        self._outputs = [(value.name, index) for index, value in enumerate(session.outputs)]
        self._dtypes = [value.dtype for value in session.outputs]
        self._viewed = self._outputs
        self._bound: Dict[str, np.ndarray] = {}
        self._tensor = Tensor()
        self._tensor_pointer = byref(self._tensor)
        # Keeps bound arrays alive for as long as the library may read them.
        weakref.finalize(self, _close, handle, self._arrays, self._bound)

    def bind(self, name: str, array: np.ndarray) -> None:
        """Binds an array, which may be refilled between runs. A non-contiguous array is copied
        once."""
        array = np.require(array, requirements=["C", "A"])
        number = _DTYPES.get(array.dtype)
        if number is None:
            raise TypeError(f"input '{name}': arrays of {array.dtype} are not supported")
        self.bind_bytes(name, number, array.shape, array)

    def bind_bytes(self, name: str, dtype: int, shape: Tuple[int, ...], array: np.ndarray) -> None:
        """Binds the bytes of a contiguous array as elements of any swiftlet_dtype, given by number."""
        if not array.flags.c_contiguous:
            raise ValueError(f"input '{name}': the array must be contiguous")
        extents = (c_int64 * max(1, len(shape)))(*shape)
        check(LIBRARY.swiftlet_request_bind(
            self._handle, name.encode(), dtype, extents, len(shape),
            array.ctypes.data if array.size else None, array.nbytes))
        self._arrays[name] = array

    def bind_output(self, name: str, array: np.ndarray) -> None:
        """Makes each run write the output into an array, which `run` then returns."""
        if not (array.flags.c_contiguous and array.flags.writeable):
            raise ValueError("the array must be contiguous and writeable")
        index = dict(self._outputs).get(name)
        if index is None:
            raise ValueError(f"the model has no output '{name}'")
        dtype = self._dtypes[index]
        if dtype is not None and dtype != array.dtype:
            raise TypeError(f"output '{name}' is {dtype}, the array {array.dtype}")
        check(LIBRARY.swiftlet_request_bind_output(
            self._handle, index, array.ctypes.data, array.nbytes))
        self._bound[name] = array
        self._viewed = [one for one in self._outputs if one[0] not in self._bound]

    def run(self) -> Dict[str, np.ndarray]:
        """Returns all outputs by name: bound arrays, or views of memory that belongs to this run.
        Views keep the request open, and must not be read after its next run."""
        status = _run(self._handle)
        if status:
            check(status)
        if not self._viewed:
            return self._bound.copy()
        views = {name: self._result(index) for name, index in self._viewed}
        return {**views, **self._bound} if self._bound else views

    def raw(self, index: int) -> Tuple[int, Tuple[int, ...], np.ndarray]:
        """Returns the swiftlet_dtype number, the shape and the elements of an output of the last run;
        the elements are bytes if numpy has no such type."""
        elements = self._result(index)
        tensor = self._tensor
        return tensor.dtype, tuple(tensor.shape[:tensor.rank]) if tensor.rank else (), elements

    def _result(self, index: int) -> np.ndarray:
        status = _output(self._handle, index, self._tensor_pointer)
        if status:
            check(status)
        tensor = self._tensor
        rank = tensor.rank
        shape = tuple(tensor.shape[:rank]) if rank else ()
        code = _TYPESTRINGS.get(tensor.dtype)
        if code is None:
            shape, code = (tensor.byte_count,), "|u1"
        if tensor.byte_count == 0:
            return np.empty(shape, code)
        return _asarray(_View(self, tensor.data, shape, code))
