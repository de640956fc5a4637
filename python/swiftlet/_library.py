# SPDX-License-Identifier: Apache-2.0
"""Loads libswiftlet.so and declares the functions of swiftlet.h."""

from __future__ import annotations

import ctypes
import ctypes.util
import os
from ctypes import (
    POINTER,
    c_char_p,
    c_double,
    c_float,
    c_int32,
    c_int64,
    c_size_t,
    c_uint64,
    c_void_p,
)
from typing import Dict

ABI = 0
Progress = ctypes.CFUNCTYPE(c_int32, c_char_p, c_uint64, c_uint64, c_char_p, c_void_p)
Fill = ctypes.CFUNCTYPE(c_int32, c_size_t, c_size_t, c_size_t, c_void_p, c_void_p)


class SessionOptions(ctypes.Structure):
    _fields_ = [("struct_size", c_size_t), ("threads", c_int32), ("precision", c_int32)]


class ValueInfo(ctypes.Structure):
    _fields_ = [("name", c_char_p), ("dtype", c_int32), ("rank", c_size_t),
                ("dimensions", POINTER(c_int64))]


class Tensor(ctypes.Structure):
    _fields_ = [("data", c_void_p), ("byte_count", c_size_t), ("dtype", c_int32), ("rank", c_size_t),
                ("shape", POINTER(c_int64))]


class Conv2D(ctypes.Structure):
    _fields_ = [("struct_size", c_size_t)] + [(name, c_int64) for name in (
        "batch", "channels", "height", "width", "filters", "kernel_height", "kernel_width",
        "stride_height", "stride_width", "dilation_height", "dilation_width", "pad_top", "pad_left",
        "pad_bottom", "pad_right", "groups")]


class Array(ctypes.Structure):
    _fields_ = [("input", c_char_p), ("dtype", c_int32), ("is_fixed", c_int32), ("rank", c_size_t),
                ("shape", POINTER(c_int64)), ("data", c_void_p), ("byte_count", c_size_t)]


class Samples(ctypes.Structure):
    _fields_ = [("struct_size", c_size_t), ("count", c_size_t), ("arrays", POINTER(Array)),
                ("array_count", c_size_t), ("labels", c_void_p), ("class_count", c_size_t),
                ("fill", Fill), ("context", c_void_p), ("name", c_char_p)]


class Output(ctypes.Structure):
    _fields_ = [("name", c_char_p), ("value", Tensor)]


class Batch(ctypes.Structure):
    _fields_ = [("struct_size", c_size_t), ("count", c_size_t), ("samples", POINTER(c_int64)),
                ("labels", POINTER(c_int64)), ("outputs", POINTER(Output)),
                ("output_count", c_size_t), ("original", POINTER(Output)),
                ("original_count", c_size_t)]


Score = ctypes.CFUNCTYPE(c_int32, POINTER(Batch), POINTER(c_double), POINTER(c_size_t), c_void_p)


class OwnMetric(ctypes.Structure):
    _fields_ = [("struct_size", c_size_t), ("name", c_char_p), ("score", Score),
                ("context", c_void_p), ("lower_is_better", c_int32), ("is_fraction", c_int32),
                ("needs_original", c_int32)]


class Extent(ctypes.Structure):
    _fields_ = [("name", c_char_p), ("size", c_int64)]


# What the options of both calls end with.
_SOURCE = [("skip_damaged", c_int32), ("loader_memory", c_uint64), ("extents", POINTER(Extent)),
           ("extent_count", c_size_t)]


class CompressOptions(ctypes.Structure):
    _fields_ = [("struct_size", c_size_t), ("threads", c_int32), ("seed", c_uint64),
                ("data_directory", c_char_p), ("max_drop", c_double),
                ("max_relative_drop", c_double), ("confidence", c_double), ("technique", c_char_p),
                ("preset", c_char_p), ("settings", c_char_p), ("target_size", c_char_p),
                ("target_macs", c_char_p), ("target_latency", c_char_p),
                ("samples", POINTER(Samples)), ("judge", c_char_p),
                ("judge_samples", POINTER(Samples)), ("split", c_double), ("preprocess", c_char_p),
                ("metric", c_char_p), ("own_metric", POINTER(OwnMetric)),
                ("outputs", POINTER(c_char_p)), ("output_count", c_size_t),
                ("report", c_char_p)] + _SOURCE


class EvaluateOptions(ctypes.Structure):
    _fields_ = [("struct_size", c_size_t), ("threads", c_int32), ("precision", c_int32),
                ("batch", c_int32), ("data_directory", c_char_p), ("samples", POINTER(Samples)),
                ("preprocess", c_char_p), ("metric", c_char_p), ("own_metric", POINTER(OwnMetric)),
                ("original", c_char_p), ("outputs", POINTER(c_char_p)),
                ("output_count", c_size_t)] + _SOURCE


_N, _P, _I = c_int64, c_void_p, c_int32
_ARGUMENTS = {
    "set_max_memory": [c_uint64],
    "set_max_steps": [c_uint64],
    "session_open": [c_char_p, POINTER(SessionOptions), POINTER(_P)],
    "session_open_memory": [c_char_p, c_size_t, POINTER(SessionOptions), POINTER(_P)],
    "session_close": [_P],
    "session_input_count": [_P, POINTER(c_size_t)],
    "session_output_count": [_P, POINTER(c_size_t)],
    "session_input": [_P, c_size_t, POINTER(ValueInfo)],
    "session_output": [_P, c_size_t, POINTER(ValueInfo)],
    "request_create": [_P, POINTER(_P)],
    "request_close": [_P],
    "request_bind": [_P, c_char_p, _I, _P, c_size_t, _P, c_size_t],
    "request_bind_output": [_P, c_size_t, _P, c_size_t],
    "request_run": [_P],
    "request_output": [_P, c_size_t, POINTER(Tensor)],
    "request_profile": [_P, _I, POINTER(_P)],
    "gemm_f32": [_I, _I, _N, _N, _N, c_float, _P, _N, _P, _N, c_float, _P, _N, _I],
    "gemm_f64": [_I, _I, _N, _N, _N, c_double, _P, _N, _P, _N, c_double, _P, _N, _I],
    "gemm_u8s8s32": [_N, _N, _N, _P, _N, _P, _N, _P, _N, _I],
    "conv2d_output": [POINTER(Conv2D), POINTER(_N), POINTER(_N)],
    "conv2d_f32": [POINTER(Conv2D), _P, _P, _P, _P, c_size_t, _I],
    "compress": [c_char_p, c_char_p, c_char_p, POINTER(CompressOptions), Progress, _P, c_char_p,
                 POINTER(_P)],
    "evaluate": [c_char_p, c_char_p, POINTER(EvaluateOptions), Progress, _P, POINTER(_P)],
}
for _suffix in ("f32", "f64"):
    _ARGUMENTS["svd_" + _suffix] = [_N, _N, _P, _N, _P, _P, _N, _P, _N, _I]
    _ARGUMENTS["randomized_svd_" + _suffix] = [
        _N, _N, _P, _N, _N, _N, _N, c_uint64, _P, _P, _N, _P, _N, _I]
    _ARGUMENTS["eigh_" + _suffix] = [_N, _P, _N, _P, _P, _N, _I]
    _ARGUMENTS["qr_" + _suffix] = [_N, _N, _P, _N, _P, _N, _P, _N, _I]


class Error(Exception):
    """A failed call; `status` is the number of its swiftlet_status."""

    def __init__(self, message: str, status: int):
        super().__init__(message)
        self.status = status


class OutOfMemory(Error, MemoryError):
    """The call needs more memory than `set_max_memory` allows, or than the machine has."""


_OUT_OF_MEMORY = 6


def _load() -> ctypes.CDLL:
    """Loads $SWIFTLET_LIBRARY, or else the library that the system finds."""
    path = os.environ.get("SWIFTLET_LIBRARY") or ctypes.util.find_library("swiftlet")
    library = ctypes.CDLL(path or f"libswiftlet.so.{ABI}")
    for name in ("version", "last_error", "status_name"):
        getattr(library, "swiftlet_" + name).restype = c_char_p
    library.swiftlet_status_name.argtypes = [c_int32]
    library.swiftlet_string_free.argtypes, library.swiftlet_string_free.restype = [c_void_p], None
    for name, arguments in _ARGUMENTS.items():
        function = getattr(library, "swiftlet_" + name)
        function.argtypes, function.restype = arguments, c_int32
    found = library.swiftlet_abi_version()
    if found != ABI:
        raise ImportError(f"libswiftlet has ABI {found}, this package requires {ABI}")
    return library


LIBRARY = _load()


def functions() -> Dict[str, object]:
    """The functions that return a status, by their names without `swiftlet_`."""
    return {name: getattr(LIBRARY, "swiftlet_" + name) for name in _ARGUMENTS}


def check(status: int) -> None:
    """Raises the library's error unless the status is 0."""
    if status != 0:
        kind = OutOfMemory if status == _OUT_OF_MEMORY else Error
        raise kind(LIBRARY.swiftlet_last_error().decode(), status)


def take_string(pointer: c_void_p) -> str:
    """Returns the text of a string from the library, and frees the string."""
    try:
        return ctypes.string_at(pointer.value or 0).decode() if pointer.value else ""
    finally:
        LIBRARY.swiftlet_string_free(pointer)
