"""Small, fast neural networks on ordinary CPUs.

Needs libswiftlet.so, which `make install` or Swiftlet's Debian package puts in place; SWIFTLET_LIBRARY
may name it. Arrays are passed without copies.
"""

from ._compress import compress
from ._library import LIBRARY, Error, OutOfMemory, check
from ._linalg import conv2d, eigh, eigvalsh, gemm, qr, randomized_svd, svd
from ._session import Request, Session, Value
from ._version import VERSION as __version__

__all__ = ["Error", "OutOfMemory", "Request", "Session", "Value", "compress", "conv2d", "eigh",
           "eigvalsh", "gemm", "library_version", "qr", "randomized_svd", "set_max_memory",
           "set_max_steps", "svd"]


def library_version() -> str:
    """The version of the library that runs."""
    return str(LIBRARY.swiftlet_version().decode())


def set_max_memory(byte_count: int) -> None:
    """The most memory that a run, the arrays of a file, or the results and workspace of a call for
    linear algebra may take; what would exceed it raises OutOfMemory. 0 is the default."""
    check(LIBRARY.swiftlet_set_max_memory(_unsigned(byte_count)))


def set_max_steps(steps: int) -> None:
    """The most steps that the inner graphs of a run may take; 0 is the default."""
    check(LIBRARY.swiftlet_set_max_steps(_unsigned(steps)))


def _unsigned(limit: int) -> int:
    """The limit, as ctypes would make a negative one a very high one."""
    if not 0 <= limit < 2**64:
        raise ValueError(f"a limit of {limit}")
    return limit
