# SPDX-License-Identifier: Apache-2.0
"""What the library calls back, and what may stop it: exceptions, Ctrl-C."""

from __future__ import annotations

import shutil
import signal
import sys
import threading
import time
from types import FrameType, TracebackType
from typing import Any, Callable, List, Optional, TextIO, Type, Union

from ._library import Progress

Listener = Callable[[str, int, int, Optional[str]], Optional[bool]]


class Callbacks:
    """The callbacks of one call, which this surrounds as a context manager.

    The first exception that one of them raises stops the library and is raised by the call, with
    the traceback that it has. So does Ctrl-C: Python handles signals between steps of its own, but
    a call spends its time in the library, so a handler that is there for the call remembers it
    until the library calls back.
    """

    def __init__(self, progress: Union[bool, Listener, None]):
        if progress is None or progress is False:
            self._line: Optional[_Line] = None
            self._listener: Optional[Listener] = None
        elif progress is True:
            self._line = _Line(sys.stderr)
            self._listener = self._line.show
        elif callable(progress):
            self._line, self._listener = None, progress
        else:
            raise TypeError(f"progress is {progress!r}: pass True, or a function")
        self._error: Optional[BaseException] = None
        self._depth = 0
        self._handler: Any = None
        self.progress = Progress(self._hear)

    def run(self, body: Callable[[], Any]) -> int:
        """Runs a callback's work; nonzero if the library must stop."""
        if self._error is None:
            try:
                self._depth += 1
                body()
            except BaseException as error:
                self._error = self._error or error
            finally:
                self._depth -= 1
        return int(self._error is not None)

    def check(self) -> None:
        """Raises what stopped the call, if anything did."""
        if self._error is not None:
            raise self._error

    def _hear(self, task: bytes, completed: int, total: int, remark: Optional[bytes],
              _context: Optional[int]) -> int:
        def body() -> None:
            text = None if remark is None else remark.decode()
            if self._listener and self._listener(task.decode(), completed, total, text):
                stopped.append(True)

        stopped: List[bool] = []
        return self.run(body) or int(bool(stopped))

    def __enter__(self) -> "Callbacks":
        handler = signal.getsignal(signal.SIGINT)
        if threading.current_thread() is threading.main_thread() and callable(handler):
            self._handler = handler
            signal.signal(signal.SIGINT, self._interrupted)
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException],
                 traceback: Optional[TracebackType]) -> None:
        if self._handler is not None:
            signal.signal(signal.SIGINT, self._handler)
        if self._line is not None:
            self._line.end()

    def _interrupted(self, number: int, frame: Optional[FrameType]) -> None:
        try:
            self._handler(number, frame)
        except BaseException as error:
            self._error = self._error or error
            # Inside of a callback it ends that at once; elsewhere nothing would catch it.
            if self._depth:
                raise


class _Line:
    """Progress as one line of a terminal; nothing elsewhere."""

    _interval = 0.1

    def __init__(self, stream: TextIO):
        self._stream = stream if stream.isatty() else None
        self._task, self._next = "", 0.0

    def show(self, task: str, completed: int, total: int, remark: Optional[str]) -> None:
        now = time.monotonic()
        if self._stream is None or (task == self._task and now < self._next):
            return
        self._task, self._next = task, now + self._interval
        count = f" {completed}/{total}" if total else f" {completed}" if completed else ""
        text = f"{task}{count}{'  ' + remark if remark else ''}"
        width = shutil.get_terminal_size().columns - 1
        self._stream.write(f"\r\x1b[K{text[:width]}")
        self._stream.flush()

    def end(self) -> None:
        if self._stream is not None and self._task:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
