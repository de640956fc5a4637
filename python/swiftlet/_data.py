# SPDX-License-Identifier: Apache-2.0
"""Data for the library: by name, as arrays, or as samples that are made when they are needed."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import tempfile
from ctypes import c_int64
from typing import (
    Any,
    Callable,
    Dict,
    Iterable,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Sequence,
    Tuple,
    Union,
)

import numpy as np

from ._callbacks import Callbacks
from ._library import Array, Fill, Samples
from ._session import _DTYPES, Session, Value

Path = Union[str, "os.PathLike[str]"]
Data = Union[Path, np.ndarray, Mapping[str, Any], Sequence[Any], Iterable[Any]]
_Ranks = Callable[[], List[Value]]


class Column(NamedTuple):
    """The samples for one input: an array in memory, or what each of them is like."""

    dtype: np.dtype
    shape: Tuple[int, ...]
    array: Optional[np.ndarray]


class Own:
    """Samples of the program, for a call of the library."""

    def __init__(self, columns: Dict[str, Column], count: int, labels: Optional[np.ndarray],
                 sample: Optional[Callable[[int], Dict[str, np.ndarray]]] = None):
        self.columns, self.count, self.labels, self._sample = columns, count, labels, sample
        self._kept: List[Any] = []

    def native(self, callbacks: Callbacks) -> Samples:
        """The struct that the library takes; this must outlive the call."""
        names = list(self.columns)

        def fill(array: int, first: int, count: int, target: int, _context: Optional[int]) -> int:
            def body() -> None:
                name = names[array]
                column = self.columns[name]
                shape = (count,) + column.shape[1:]
                size = int(np.prod(shape)) * column.dtype.itemsize
                memory = (ctypes.c_char * size).from_address(target)
                rows = np.frombuffer(memoryview(memory), column.dtype).reshape(shape)
                for row in range(count):
                    self._write(rows[row], first + row, name)

            return callbacks.run(body)

        arrays = (Array * len(names))()
        for place, (name, column) in zip(arrays, self.columns.items()):
            shape = (c_int64 * max(1, len(column.shape)))(*column.shape)
            self._kept.append(shape)
            place.input = name.encode() or None
            place.dtype = _DTYPES[column.dtype]
            # An array without the axis of the samples is the same for all of them.
            place.is_fixed = not column.shape or column.shape[0] != self.count
            place.rank, place.shape = len(column.shape), shape
            if column.array is not None:
                place.data, place.byte_count = column.array.ctypes.data, column.array.nbytes
        samples = Samples(
            ctypes.sizeof(Samples), self.count, arrays, len(names), None, 0, Fill(fill), None,
            b"samples")
        if self.labels is not None:
            samples.labels = self.labels.ctypes.data
        self._kept.append(samples)
        return samples

    def _write(self, row: np.ndarray, index: int, name: str) -> None:
        assert self._sample is not None
        value = self._sample(index)[name]
        if value.shape != row.shape:
            raise ValueError(
                f"sample {index} of the data is {value.shape}{_for(name)}, and sample 0 "
                f"{row.shape}: all must have the same shape")
        np.copyto(row, value, casting="same_kind")


def _for(name: str) -> str:
    return f" for '{name}'" if name else ""


def read(data: Any, labels: Any, what: str, inputs: _Ranks) -> Union[str, Own]:
    """The data as a spec of the library, or as samples.

    `what` is the argument's name, for errors; `inputs` returns the inputs of the model.
    """
    if isinstance(data, (str, os.PathLike)):
        return _named(data, labels, what)
    if isinstance(data, tuple) and labels is None and _is_labelled(data):
        data, labels = data
    if isinstance(data, Mapping):
        arrays = {str(name): array(value, f"{what}[{name!r}]") for name, value in data.items()}
        return _arrays(arrays, labels, what)
    if isinstance(data, np.ndarray) or hasattr(data, "__array__"):
        return _arrays({"": array(data, what)}, labels, what)
    if hasattr(data, "__getitem__") and hasattr(data, "__len__"):
        return _dataset(data, labels, what)
    if hasattr(data, "__iter__"):
        return _iterated(data, labels, what, inputs())
    raise TypeError(
        f"{what} is {type(data).__name__}: pass a path, arrays, a dict of arrays, or samples")


# ---- Names ------------------------------------------------------------------------------------


_KINDS = ("images", "list", "npz", "npy", "inputs", "fashion-mnist", "cifar10", "cifar100", "idx")


def _named(data: Path, labels: Any, what: str) -> str:
    path = os.fspath(data)
    is_paired = path.endswith(".npy") and isinstance(labels, (str, os.PathLike))
    if labels is not None and not is_paired:
        raise TypeError(f"labels for {what}={path!r}: labels are for arrays; files have their own")
    if os.path.isdir(path):
        files = os.listdir(path)
        shards = any(name.endswith((".npz", ".safetensors")) for name in files)
        return ("inputs:" if shards else "images:") + path
    if not os.path.exists(path):
        kind = path.split(":")[0].split("[")[0]
        if isinstance(data, str) and kind in _KINDS:
            return path
        raise ValueError(
            f"{what} is {path!r}: there is no such file or folder, nor a kind of data such as "
            "'images:DIR'")
    suffix = os.path.splitext(path)[1].lower()
    if suffix == ".npz":
        with np.load(path) as archive:
            names = set(archive.files)
        has_samples = any({"x", "images"} & set(name.split("_")) for name in names)
        return ("npz:" if has_samples else "inputs:") + path
    if suffix == ".npy":
        return f"npy:{path}" + (f",{os.fspath(labels)}" if labels is not None else "")
    if suffix in (".csv", ".tsv"):
        return f"list:{path}"
    if suffix == ".safetensors":
        return f"inputs:{path}"
    raise ValueError(
        f"{what} is {path!r}: pass a folder, a .npz, .npy, .safetensors, .csv or .tsv file")


# ---- Arrays -----------------------------------------------------------------------------------


def array(value: Any, what: str) -> np.ndarray:
    """A contiguous array of a type that the library has; 16-bit floats become fp32."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
    result = np.asarray(value)
    if result.dtype == np.float16:
        result = result.astype(np.float32)
    if not result.dtype.isnative:
        result = result.astype(result.dtype.newbyteorder("="))
    if result.dtype not in _DTYPES:
        raise TypeError(f"{what} is an array of {result.dtype}: numbers are needed")
    return np.require(result, requirements=["C", "A"])


def _classes(labels: Any, count: int, what: str) -> np.ndarray:
    if hasattr(labels, "detach"):
        labels = labels.detach().cpu()
    result = np.asarray(labels)
    if result.ndim != 1 or result.dtype.kind not in "iu":
        raise TypeError(
            f"the labels of {what} are {result.dtype} of shape {result.shape}: one class for each "
            "sample, a whole number, is needed")
    if len(result) != count:
        raise ValueError(f"{what} has {count} samples and {len(result)} labels")
    if count and result.min() < 0:
        raise ValueError(
            f"the labels of {what} start at {result.min()}: classes are counted from 0")
    return np.ascontiguousarray(result, np.int64)


def _is_labelled(pair: Any) -> bool:
    """Whether a tuple is (samples, labels), and not two samples, which have as many axes."""
    if len(pair) != 2 or not hasattr(pair[1], "shape"):
        return False
    first = next(iter(pair[0].values()), None) if isinstance(pair[0], Mapping) else pair[0]
    shape = getattr(first, "shape", ())
    return len(pair[1].shape) == 1 and len(shape) > 1


def _arrays(arrays: Dict[str, np.ndarray], labels: Any, what: str) -> Own:
    if not arrays:
        raise ValueError(f"{what} has no arrays")
    counts = [value.shape[0] for value in arrays.values() if value.ndim > 0]
    # As many rows as most arrays have.
    count = max(counts, key=lambda one: (counts.count(one), one), default=0)
    if count == 0:
        raise ValueError(f"{what} has no samples")
    columns = {name: Column(value.dtype, value.shape, value) for name, value in arrays.items()}
    return Own(columns, count, None if labels is None else _classes(labels, count, what))


# ---- Samples one by one -----------------------------------------------------------------------


def _split(item: Any, what: str) -> Tuple[Dict[str, np.ndarray], Any]:
    """A sample, or a pair of it and its label, which is None unless it is a whole number."""
    label = None
    if isinstance(item, (tuple, list)):
        if len(item) != 2:
            raise TypeError(
                f"{what} is a {type(item).__name__} of {len(item)}: pass an array, a dict of "
                "arrays by the names of the inputs, or a pair of that and a label")
        item, label = item
        if hasattr(label, "detach"):
            label = label.detach().cpu()
        label = np.asarray(label) if not isinstance(label, (Mapping, str)) else None
        if label is not None and label.dtype.kind not in "iu":
            label = None
    if isinstance(item, Mapping):
        return {str(name): array(value, what) for name, value in item.items()}, label
    return {"": array(item, what)}, label


def _dataset(data: Any, labels: Any, what: str) -> Own:
    """A data set with a length and samples by index, of which only those in use are in memory."""
    count = len(data)
    if count == 0:
        raise ValueError(f"{what} has no samples")
    first, label = _split(data[0], f"{what}[0]")
    if label is not None and label.ndim > 0:
        label = None
    if labels is None and label is not None:
        labels = _labels(data, count, what)

    def sample(index: int) -> Dict[str, np.ndarray]:
        return _split(data[index], f"{what}[{index}]")[0]

    if len(first) > 1:
        # The library asks for one input after the other.
        sample = functools.lru_cache(maxsize=256)(sample)
    columns = {name: Column(value.dtype, (count,) + value.shape, None)
               for name, value in first.items()}
    return Own(columns, count, None if labels is None else _classes(labels, count, what), sample)


def _labels(data: Any, count: int, what: str) -> Any:
    """The labels of a data set: its `targets`, as torchvision has them, or those of all samples."""
    targets = getattr(data, "targets", None)
    if targets is not None and len(targets) == count:
        return targets
    labels = [_split(data[index], f"{what}[{index}]")[1] for index in range(count)]
    for index, label in enumerate(labels):
        if label is None or label.ndim > 0:
            raise ValueError(f"{what}[{index}] has no label, but {what}[0] has")
    return np.asarray([int(label) for label in labels])


def _iterated(data: Iterable[Any], labels: Any, what: str, inputs: List[Value]) -> Own:
    """Samples, or batches of them, that come one after the other: kept in temporary files."""
    with contextlib.ExitStack() as stack:
        return _spooled(data, labels, what, inputs, stack)


def _spooled(data: Iterable[Any], labels: Any, what: str, inputs: List[Value],
             stack: contextlib.ExitStack) -> Own:
    files: Dict[str, Any] = {}
    likes: Dict[str, Tuple[np.dtype, Tuple[int, ...]]] = {}
    count = 0
    found: List[np.ndarray] = []
    for index, item in enumerate(data):
        place = f"item {index} of {what}"
        arrays, label = _split(item, place)
        batched = _is_batch(arrays, inputs)
        size = next(iter(arrays.values())).shape[0] if batched else 1
        for name, value in arrays.items():
            rows = value if batched else value[np.newaxis]
            like = (rows.dtype, rows.shape[1:])
            is_alike = likes.setdefault(name, like) == like and len(rows) == size
            if not is_alike or (index > 0 and name not in files):
                raise ValueError(
                    f"{place} is {value.dtype} {value.shape}{_for(name)}, and the first one "
                    f"{likes[name][0]} {likes[name][1]} in each sample: all must be alike")
            if name not in files:
                files[name] = stack.enter_context(tempfile.TemporaryFile(prefix="swiftlet-"))
            files[name].write(np.ascontiguousarray(rows).data)
        count += size
        if label is not None and label.shape == ((size,) if batched else ()):
            found.append(label.reshape(size))
    if count == 0:
        raise ValueError(f"{what} has no samples")
    columns = {}
    for name, file in files.items():
        file.flush()
        dtype, shape = likes[name]
        mapped = np.memmap(file, dtype, "r", shape=(count,) + shape)
        columns[name] = Column(dtype, mapped.shape, mapped)
    if labels is None and sum(len(one) for one in found) == count:
        labels = np.concatenate(found)
    return Own(columns, count, None if labels is None else _classes(labels, count, what))


def _is_batch(arrays: Dict[str, np.ndarray], inputs: List[Value]) -> bool:
    """Whether arrays have the axes of the model's inputs, the first one for the samples."""
    name, value = next(iter(arrays.items()))
    known = {one.name: len(one.shape) for one in inputs}
    rank = known.get(name, len(inputs[0].shape) if inputs else 0)
    return rank > 0 and value.ndim == rank


def inputs_of(model: Path) -> List[Value]:
    """The inputs of a model."""
    session = Session(model)
    try:
        return session.inputs
    finally:
        session.close()


def pointer(samples: Optional[Samples]) -> Any:
    """A pointer for a struct's field; NULL for None."""
    return ctypes.pointer(samples) if samples is not None else None
