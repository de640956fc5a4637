# SPDX-License-Identifier: Apache-2.0
"""Compression of models."""

from __future__ import annotations

import ctypes
import json
import os
from ctypes import byref, c_void_p
from typing import Any, Callable, Dict, List, Optional, Union

from ._library import LIBRARY, CompressOptions, Progress, check, take_string

Listener = Callable[[str, int, int, Optional[str]], Optional[bool]]
_Path = Union[str, "os.PathLike[str]"]


def compress(model: _Path, output: _Path, recipe: str, data: str, *, threads: int = 0, seed: int = 0,
             data_directory: Optional[_Path] = None, max_drop: float = 0,
             progress: Optional[Listener] = None) -> Dict[str, Any]:
    """Compresses a model by a YAML recipe, writes the result, and returns the report of
    `swiftlet compress --json`: the cost in accuracy and the gain in speed and size.

    `data` names images, such as "fashion-mnist". `progress(task, completed, total, remark)` stops the
    work by returning True; an exception it raises stops the work too, and propagates to the caller.
    """
    raised: List[BaseException] = []

    def hear(task: bytes, completed: int, total: int, remark: Optional[bytes],
             _context: Optional[int]) -> int:
        try:
            return int(bool(progress and progress(
                task.decode(), completed, total, remark.decode() if remark else None)))
        except BaseException as error:
            raised.append(error)
            return 1

    folder = None if data_directory is None else os.fsencode(data_directory)
    options = CompressOptions(ctypes.sizeof(CompressOptions), threads, seed, folder, max_drop)
    report = c_void_p()
    status = LIBRARY.swiftlet_compress(
        os.fsencode(model), recipe.encode(), data.encode(), byref(options), Progress(hear), None,
        os.fsencode(output), byref(report))
    if raised:
        raise raised[0]
    check(status)
    result: Dict[str, Any] = json.loads(take_string(report))
    return result
