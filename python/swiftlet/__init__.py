# SPDX-License-Identifier: Apache-2.0
"""Small, fast neural networks on ordinary CPUs.

Requires libswiftlet.so, which `make install` or Swiftlet's Debian package installs; set
SWIFTLET_LIBRARY to load it from another path. Arrays are passed without copies.
"""

from ._compress import CompressionResult, EvaluationResult, compress, evaluate
from ._library import LIBRARY, Error, OutOfMemory, check
from ._linalg import conv2d, eigh, eigvalsh, gemm, qr, randomized_svd, svd
from ._metric import Metric
from ._session import Request, Session, Value
from ._version import VERSION as __version__

__all__ = ["CompressionResult", "Error", "EvaluationResult", "Metric", "OutOfMemory", "Request",
           "Session", "Value", "compress", "conv2d", "eigh", "eigvalsh", "evaluate", "gemm",
           "library_version", "qr", "randomized_svd", "set_max_memory", "set_max_steps", "svd",
           "__version__"]


def library_version() -> str:
    """The version of the loaded library."""
    return str(LIBRARY.swiftlet_version().decode())


def set_max_memory(byte_count: int) -> None:
    """Limits the memory of a run, of the arrays of a file, or of the results and workspace of a linear
    algebra call; a call that would exceed it raises OutOfMemory. 0 restores the default."""
    check(LIBRARY.swiftlet_set_max_memory(_unsigned(byte_count)))


def set_max_steps(steps: int) -> None:
    """Limits the total steps in the subgraphs of a run; 0 restores the default."""
    check(LIBRARY.swiftlet_set_max_steps(_unsigned(steps)))


def _unsigned(limit: int) -> int:
    """Checks the limit: ctypes would turn a negative one into a very high one."""
    if not 0 <= limit < 2**64:
        raise ValueError(f"the limit is {limit}: it must be from 0 to 2**64 - 1")
    return limit
