# SPDX-License-Identifier: Apache-2.0
"""Linear algebra on arrays, which are read and written in place."""

from __future__ import annotations

import ctypes
from ctypes import byref, c_int64
from typing import Any, Callable, Literal, Optional, Tuple, Union, overload

import numpy as np

from ._library import LIBRARY, Conv2D, check

_SUFFIXES = {np.dtype("f4"): "f32", np.dtype("f8"): "f64"}
_Pair = Union[int, Tuple[int, int]]
_Factors = Tuple[np.ndarray, np.ndarray, np.ndarray]


def _function(name: str, dtype: "np.dtype[Any]") -> Callable[..., int]:
    function: Callable[..., int] = getattr(LIBRARY, f"swiftlet_{name}_{_SUFFIXES[dtype]}")
    return function


def _matrix(array: np.ndarray, dtype: Optional[np.dtype] = None) -> np.ndarray:
    """The array as a matrix with contiguous rows, copied only if necessary."""
    array = np.asarray(array)
    if array.ndim != 2:
        raise ValueError(f"expected a matrix, not an array of shape {array.shape}")
    if array.dtype.kind not in "fiub":
        raise TypeError(f"matrices of {array.dtype} are not supported")
    dtype = dtype or (array.dtype if array.dtype in _SUFFIXES else np.dtype("f8"))
    array = np.require(array, dtype, "A")
    return array if _has_packed_rows(array) else np.ascontiguousarray(array)


def _has_packed_rows(array: np.ndarray) -> bool:
    """Whether rows are contiguous and in order, with or without gaps between them."""
    item = array.itemsize
    rows, columns = array.shape
    return array.size == 0 or (columns == 1 or array.strides[1] == item) and (
        rows == 1 or array.strides[0] % item == 0 and array.strides[0] >= item * columns)


def _leading(array: np.ndarray) -> int:
    """The leading dimension of a matrix with packed rows, in elements."""
    if array.size == 0 or array.shape[0] == 1:
        return max(1, array.shape[1])
    return array.strides[0] // array.itemsize


def _stored(array: np.ndarray, dtype: Optional[np.dtype]) -> Tuple[np.ndarray, int]:
    """A matrix, and 1 if it must be transposed: for a transposed view, the original and 1."""
    array = np.asarray(array)
    if array.ndim == 2 and not array.flags.c_contiguous and array.T.flags.c_contiguous:
        return _matrix(array.T, dtype), 1
    return _matrix(array, dtype), 0


def gemm(a: np.ndarray, b: np.ndarray, alpha: float = 1, beta: float = 0,
         out: Optional[np.ndarray] = None, threads: int = 0) -> np.ndarray:
    """alpha · a · b + beta · out, in fp32 if both are fp32, otherwise in fp64; uint8 by int8 is exact,
    in int32. Transposed views are read in place. `out` may be any view; it is overwritten and
    returned, and must not share elements with `a` or `b`."""
    a, b = np.asarray(a), np.asarray(b)
    if a.dtype == np.uint8 and b.dtype == np.int8:
        return _integers(a, b, alpha, beta, out, threads)
    single = a.dtype == b.dtype == np.float32
    dtype = np.dtype("f4" if single else "f8")
    (a, flip_a), (b, flip_b) = _stored(a, dtype), _stored(b, dtype)
    m, k = a.shape[::-1] if flip_a else a.shape
    depth, n = b.shape[::-1] if flip_b else b.shape
    if k != depth:
        raise ValueError(f"inner extents {k} and {depth} differ")
    if out is None:
        if beta != 0:
            raise ValueError("beta requires out")
        out = np.empty((m, n), dtype)
    if out.dtype != dtype or out.shape != (m, n) or not out.flags.writeable:
        raise ValueError(f"out must be a writeable {dtype} matrix of shape {(m, n)}")
    target = out
    if not (_has_packed_rows(out) and out.flags.aligned):
        target = out.copy() if beta != 0 else np.empty((m, n), dtype)
    check(_function("gemm", dtype)(
        flip_a, flip_b, m, n, k, alpha, a.ctypes.data, _leading(a), b.ctypes.data, _leading(b), beta,
        target.ctypes.data, _leading(target), threads))
    if target is not out:
        out[...] = target
    return out


def _integers(a: np.ndarray, b: np.ndarray, alpha: float, beta: float, out: Optional[np.ndarray],
              threads: int) -> np.ndarray:
    if (alpha, beta) != (1, 0) or out is not None:
        raise ValueError("integer products do not support alpha, beta or out")
    a, b = _matrix(a, a.dtype), _matrix(b, b.dtype)
    if a.shape[1] != b.shape[0]:
        raise ValueError(f"inner extents {a.shape[1]} and {b.shape[0]} differ")
    out = np.empty((a.shape[0], b.shape[1]), np.int32)
    check(LIBRARY.swiftlet_gemm_u8s8s32(
        *out.shape, a.shape[1], a.ctypes.data, _leading(a), b.ctypes.data, _leading(b),
        out.ctypes.data, _leading(out), threads))
    return out


@overload
def svd(a: np.ndarray, compute_uv: Literal[True] = True, threads: int = 0) -> _Factors: ...


@overload
def svd(a: np.ndarray, compute_uv: Literal[False], threads: int = 0) -> np.ndarray: ...


def svd(a: np.ndarray, compute_uv: bool = True,
        threads: int = 0) -> Union[_Factors, np.ndarray]:
    """(u, s, vt) of the thin SVD a = u · diag(s) · vt, with s descending; or s alone."""
    a = _matrix(a)
    m, n = a.shape
    s = np.empty(min(m, n), a.dtype)
    if not compute_uv:
        check(_function("svd", a.dtype)(
            m, n, a.ctypes.data, _leading(a), s.ctypes.data, None, 0, None, 0, threads))
        return s
    u, vt = np.empty((m, len(s)), a.dtype), np.empty((len(s), n), a.dtype)
    check(_function("svd", a.dtype)(
        m, n, a.ctypes.data, _leading(a), s.ctypes.data, u.ctypes.data, _leading(u),
        vt.ctypes.data, _leading(vt), threads))
    return u, s, vt


def randomized_svd(a: np.ndarray, rank: int, oversampling: int = 10, power_iterations: int = 2,
                   seed: int = 0, threads: int = 0) -> _Factors:
    """Approximates (u, s, vt) of the `rank` largest singular values from random samples."""
    a = _matrix(a)
    m, n = a.shape
    s, u, vt = np.empty(rank, a.dtype), np.empty((m, rank), a.dtype), np.empty((rank, n), a.dtype)
    check(_function("randomized_svd", a.dtype)(
        m, n, a.ctypes.data, _leading(a), rank, oversampling, power_iterations, seed, s.ctypes.data,
        u.ctypes.data, _leading(u), vt.ctypes.data, _leading(vt), threads))
    return u, s, vt


def eigh(a: np.ndarray, threads: int = 0) -> Tuple[np.ndarray, np.ndarray]:
    """(values, vectors) of a symmetric matrix: values descending, eigenvectors as columns. Reads the
    upper triangle; elements below the diagonal are ignored, even NaN."""
    a = _square(a)
    n = len(a)
    values, vectors = np.empty(n, a.dtype), np.empty((n, n), a.dtype)
    check(_function("eigh", a.dtype)(
        n, a.ctypes.data, _leading(a), values.ctypes.data, vectors.ctypes.data, _leading(vectors),
        threads))
    return values, vectors


def eigvalsh(a: np.ndarray, threads: int = 0) -> np.ndarray:
    """Only the eigenvalues of a symmetric matrix, descending; faster. Reads the upper triangle."""
    a = _square(a)
    values = np.empty(len(a), a.dtype)
    check(_function("eigh", a.dtype)(
        len(a), a.ctypes.data, _leading(a), values.ctypes.data, None, 0, threads))
    return values


def _square(a: np.ndarray) -> np.ndarray:
    a = _matrix(a)
    if a.shape[0] != a.shape[1]:
        raise ValueError(f"expected a square matrix, not one of shape {a.shape}")
    return a


def qr(a: np.ndarray, threads: int = 0) -> Tuple[np.ndarray, np.ndarray]:
    """(q, r) of the thin QR factorization a = q · r."""
    a = _matrix(a)
    m, n = a.shape
    q, r = np.empty((m, min(m, n)), a.dtype), np.empty((min(m, n), n), a.dtype)
    check(_function("qr", a.dtype)(
        m, n, a.ctypes.data, _leading(a), q.ctypes.data, _leading(q), r.ctypes.data, _leading(r),
        threads))
    return q, r


def conv2d(x: np.ndarray, weights: np.ndarray, bias: Optional[np.ndarray] = None, stride: _Pair = 1,
           padding: _Pair = 0, dilation: _Pair = 1, groups: int = 1, threads: int = 0) -> np.ndarray:
    """The convolution of N×C×H×W images with O×(C/groups)×kH×kW weights, in fp32."""
    if any(np.iscomplexobj(array) for array in (x, weights, bias) if array is not None):
        raise TypeError("complex convolutions are not supported")
    x = np.ascontiguousarray(x, np.float32)
    weights = np.ascontiguousarray(weights, np.float32)
    if x.ndim != 4 or weights.ndim != 4 or weights.shape[1] * groups != x.shape[1]:
        raise ValueError(
            f"images {x.shape} and weights {weights.shape} do not match for {groups} group(s)")
    if bias is not None:
        bias = np.ascontiguousarray(bias, np.float32)
        if bias.shape != weights.shape[:1]:
            raise ValueError(f"bias {bias.shape} does not match {weights.shape[0]} filters")

    def pair(value: _Pair) -> Tuple[int, int]:
        return (value, value) if isinstance(value, int) else value

    (top, left), (down, right) = pair(padding), pair(padding)
    sizes = Conv2D(ctypes.sizeof(Conv2D), *x.shape, weights.shape[0], *weights.shape[2:],
                   *pair(stride), *pair(dilation), top, left, down, right, groups)
    height, width = c_int64(), c_int64()
    check(LIBRARY.swiftlet_conv2d_output(byref(sizes), byref(height), byref(width)))
    y = np.empty((x.shape[0], weights.shape[0], height.value, width.value), np.float32)
    check(LIBRARY.swiftlet_conv2d_f32(
        byref(sizes), x.ctypes.data, weights.ctypes.data,
        None if bias is None else bias.ctypes.data, y.ctypes.data, y.size, threads))
    return y
