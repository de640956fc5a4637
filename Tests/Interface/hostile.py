# SPDX-License-Identifier: Apache-2.0
"""Arguments as careless and hostile programs pass them, at random: each call returns a status.

What a length says must be there, and no more: arrays end where a page begins that cannot be
touched, and
what lies before them must stay as it was. A crash ends the process, which is the finding.

usage: hostile.py MODEL.onnx [CALLS [SEED]]
"""

import ctypes
import os
import sys
import threading

import numpy as np
from swiftlet import _library as library

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.mmap.restype = ctypes.c_void_p
LIBC.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + [ctypes.c_int] * 3 + [ctypes.c_long]
LIBC.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
PAGE, SIZE, FILL = os.sysconf("SC_PAGESIZE"), 1 << 18, 0xA5
OK, BAD_INPUT, UNSUPPORTED, CANCELLED, BUSY, OUT_OF_MEMORY, USAGE = 0, 2, 3, 4, 5, 6, 64
EXTENTS = [0, 0, 1, 1, 2, 3, 4, 5, 7, 8, 16, 17, 31, 33, 64, 100]
WILD = [-1, -2**63, 2**31 - 1, 2**31, 2**32, 2**32 + 1, 2**62, 2**63 - 1]


class Guarded:
    """Memory with a page behind it that cannot be touched."""

    def __init__(self):
        self.base = LIBC.mmap(None, SIZE + PAGE, 3, 0x22, -1, 0)
        assert LIBC.mprotect(self.base + SIZE, PAGE, 0) == 0
        self.bytes = np.ctypeslib.as_array((ctypes.c_uint8 * SIZE).from_address(self.base))

    def place(self, count, dtype, content):
        """The address of so many elements at the end; None if they do not fit."""
        size = count * np.dtype(dtype).itemsize
        if size > SIZE:
            return None
        self.bytes[:] = FILL
        self.start = SIZE - size
        self.bytes[self.start:].view(dtype)[:] = content
        self.before = self.bytes.copy()
        return self.base + self.start

    def check(self, name, span=None, row=0, columns=0, leading=0):
        """Nothing outside of the elements was written; with `span`, nothing between the rows."""
        if not (self.bytes[:self.start] == FILL).all():
            raise AssertionError(f"{name}: written before its start")
        if span is not None and leading > columns and row > 1:
            gaps = np.ones(span, bool)
            for index in range(row):
                gaps[index * leading:index * leading + columns] = False
            item = (SIZE - self.start) // span
            changed = (self.bytes != self.before)[self.start:].reshape(span, item).any(1)
            if (changed & gaps).any():
                raise AssertionError(f"{name}: written between its rows")

    def unchanged(self, name):
        if not (self.bytes == self.before).all():
            raise AssertionError(f"{name}: an argument was written")


class Call:
    """One call with its matrices."""

    def __init__(self, random):
        self.random, self.matrices, self.regions = random, [], iter(REGIONS)

    def extent(self):
        return int(self.random.choice(WILD if self.random.random() < 0.04 else EXTENTS))

    def leading(self, columns):
        kind = self.random.random()
        if kind < 0.04:
            return int(self.random.choice(WILD))
        return max(1, columns) + (0 if kind < 0.5 else int(self.random.integers(-1, 4)))

    def threads(self):
        # Not 1024, which is allowed: threads once made stay, and each later call in parallel wakes
        # all.
        return int(self.random.choice([0, 1, 2, 3, 8, -1, 1025, 2**31 - 1],
                                      p=[.2, .4, .2, .1, .01, .03, .03, .03]))

    def matrix(self, rows, columns, leading, dtype, written=False):
        """An address where the elements are, NULL where there are none such."""
        good = 0 <= rows < 2**31 and 0 <= columns < 2**31 and 0 < leading < 2**31
        empty = rows == 0 or columns == 0
        count = (rows - 1) * leading + columns if good and not empty else 0
        region = next(self.regions)
        if count * np.dtype(dtype).itemsize > SIZE or self.random.random() < 0.03:
            return None
        address = region.place(count, dtype, self.content(count, dtype))
        self.matrices.append((region, count, rows, columns, leading, written))
        if np.dtype(dtype).itemsize > 1 and self.random.random() < 0.01:
            return address + 1
        return address

    def content(self, count, dtype):
        if np.dtype(dtype).kind in "ui":
            return self.random.integers(0, 128, count).astype(dtype)
        values = self.random.normal(size=count)
        kind = self.random.random()
        with np.errstate(over="ignore"):
            if kind < 0.1 and count:
                values[self.random.integers(count)] = self.random.choice([np.nan, np.inf, -np.inf])
            elif kind < 0.2:
                values *= float(self.random.choice([0, 1e-310, 1e-40, 1e30, 1e300]))
            return values.astype(dtype)

    def check(self, name, status):
        if status not in (OK, BAD_INPUT, UNSUPPORTED, OUT_OF_MEMORY, USAGE):
            raise AssertionError(f"{name}: status {status}, {error()}")
        if status != OK and (not error() or len(error()) > 400 or "\n" in error()):
            raise AssertionError(f"{name}: status {status} says {error()!r}")
        for region, count, rows, columns, leading, written in self.matrices:
            region.check(name, count or None, rows, columns, leading)
            if not written or status != OK:
                region.unchanged(name)


def error():
    return library.LIBRARY.swiftlet_last_error().decode()


def gemm(call, suffix, dtype):
    m, n, k = call.extent(), call.extent(), call.extent()
    flip_a, flip_b = (int(call.random.integers(0, 2)) for _ in range(2))
    shape_a, shape_b = (k, m) if flip_a else (m, k), (n, k) if flip_b else (k, n)
    lda, ldb, ldc = call.leading(shape_a[1]), call.leading(shape_b[1]), call.leading(n)
    alpha, beta = (float(call.random.choice([0, 1, -2, np.nan, np.inf])) for _ in range(2))
    return [flip_a, flip_b, m, n, k, alpha, call.matrix(*shape_a, lda, dtype), lda,
            call.matrix(*shape_b, ldb, dtype), ldb, beta, call.matrix(m, n, ldc, dtype, True), ldc,
            call.threads()]


def gemm_bytes(call, _suffix, _dtype):
    m, n, k = call.extent(), call.extent(), call.extent()
    lda, ldb, ldc = call.leading(k), call.leading(n), call.leading(n)
    return [m, n, k, call.matrix(m, k, lda, "u1"), lda, call.matrix(k, n, ldb, "i1"), ldb,
            call.matrix(m, n, ldc, "i4", True), ldc, call.threads()]


def svd(call, _suffix, dtype):
    m, n = call.extent(), call.extent()
    r = min(m, n)
    lda, ldu, ldvt = call.leading(n), call.leading(r), call.leading(n)
    alone = call.random.random() < 0.3
    return [m, n, call.matrix(m, n, lda, dtype), lda, call.matrix(1, r, max(1, r), dtype, True),
            None if alone else call.matrix(m, r, ldu, dtype, True), ldu,
            None if alone else call.matrix(r, n, ldvt, dtype, True), ldvt, call.threads()]


def randomized_svd(call, _suffix, dtype):
    m, n = call.extent(), call.extent()
    rank = int(call.random.integers(0, max(2, min(m, n, 100) + 2)))
    if call.random.random() < 0.05:
        rank = call.extent()
    lda, ldu, ldvt = call.leading(n), call.leading(rank), call.leading(n)
    power = int(call.random.choice([0, 1, 2, 3, -1, 1000, 1001, 2**62]))
    return [m, n, call.matrix(m, n, lda, dtype), lda, rank, call.extent(), power,
            int(call.random.integers(2**63)), call.matrix(1, rank, max(1, rank), dtype, True),
            call.matrix(m, rank, ldu, dtype, True), ldu, call.matrix(rank, n, ldvt, dtype, True),
            ldvt, call.threads()]


def eigh(call, _suffix, dtype):
    n = call.extent()
    lda, ldv = call.leading(n), call.leading(n)
    vectors = None if call.random.random() < 0.3 else call.matrix(n, n, ldv, dtype, True)
    return [n, call.matrix(n, n, lda, dtype), lda, call.matrix(1, n, max(1, n), dtype, True), vectors,
            ldv, call.threads()]


def qr(call, _suffix, dtype):
    m, n = call.extent(), call.extent()
    r = min(m, n)
    lda, ldq, ldr = call.leading(n), call.leading(r), call.leading(n)
    return [m, n, call.matrix(m, n, lda, dtype), lda, call.matrix(m, r, ldq, dtype, True), ldq,
            call.matrix(r, n, ldr, dtype, True), ldr, call.threads()]


def conv2d(call, _suffix, _dtype):
    def small():
        return call.extent() if call.random.random() < 0.05 else int(call.random.integers(0, 6))

    groups = int(call.random.integers(0, 4))
    each = max(1, groups)
    batch, channels, filters = small(), each * small(), each * small()
    sizes = library.Conv2D(ctypes.sizeof(library.Conv2D), batch, channels, small(), small(), filters,
                           *(small() for _ in range(10)), groups)
    if os.environ.get("SWIFTLET_HOSTILE_LOG"):
        print([(name, getattr(sizes, name)) for name, _ in sizes._fields_], file=sys.stderr)
    height, width = ctypes.c_int64(), ctypes.c_int64()
    status = library.LIBRARY.swiftlet_conv2d_output(
        ctypes.byref(sizes), ctypes.byref(height), ctypes.byref(width))
    call.check("conv2d_output", status)
    if status != OK:
        count = small()
    else:
        count = batch * filters * height.value * width.value
    x = call.matrix(1, batch * channels * sizes.height * sizes.width, 2**31 - 1, "f4")
    weights = call.matrix(
        1, filters * (channels // each) * sizes.kernel_height * sizes.kernel_width, 2**31 - 1, "f4")
    bias = call.matrix(1, filters, 2**31 - 1, "f4")
    return [ctypes.byref(sizes), x, weights, bias, call.matrix(1, count, 2**31 - 1, "f4", True),
            count % 2**64, call.threads()]


def linear_algebra(calls, seed):
    random = np.random.default_rng(seed)
    makers = [("gemm_u8s8s32", gemm_bytes, "", "")] + [
        (f"{maker.__name__}_{suffix}", maker, suffix, dtype)
        for maker in (gemm, svd, randomized_svd, eigh, qr)
        for suffix, dtype in (("f32", "f4"), ("f64", "f8"))] + [("conv2d_f32", conv2d, "", "")]
    succeeded = dict.fromkeys([name for name, *_ in makers], 0)
    for _ in range(calls):
        name, maker, suffix, dtype = makers[random.integers(len(makers))]
        call = Call(random)
        arguments = maker(call, suffix, dtype)
        if os.environ.get("SWIFTLET_HOSTILE_LOG"):
            print(name, arguments, file=sys.stderr, flush=True)
        status = getattr(library.LIBRARY, "swiftlet_" + name)(*arguments)
        call.check(f"{name}{tuple(arguments)}", status)
        succeeded[name] += status == OK
    print(f"hostile: {calls} calls of linear algebra, of which {sum(succeeded.values())} could be served")
    if not all(succeeded.values()):
        raise AssertionError(f"some never succeed: {succeeded}")


def sessions(model, calls, seed, state):
    """One thread of several that open, use and close the same handles in no order."""
    random, lib = np.random.default_rng(seed), library.LIBRARY
    options = library.SessionOptions(ctypes.sizeof(library.SessionOptions), 2, 0)
    allowed = (OK, BAD_INPUT, UNSUPPORTED, BUSY, USAGE)
    data = np.zeros(1 << 16, "f4")
    # Other threads run what this one has bound.
    state["data"].append(data)

    def some(kind):
        handles = state[kind]
        if not handles or random.random() < 0.05:
            return int(random.choice([0, 1, 2, 9, data.ctypes.data % 2**63, 2**62 + 1]))
        return handles[max(0, len(handles) - 1 - int(random.integers(12)))]

    for _ in range(calls):
        choice = random.choice(10, p=[.04, .02, .12, .04, .15, .15, .08, .1, .15, .15])
        handle = ctypes.c_void_p()
        if choice == 0:
            cut = len(model) if random.random() < 0.7 else int(random.integers(len(model)))
            status = lib.swiftlet_session_open_memory(
                model, cut, ctypes.byref(options), ctypes.byref(handle))
            state["session"].append(handle.value or 0)
        elif choice == 1:
            status = lib.swiftlet_session_close(some("session"))
        elif choice == 2:
            status = lib.swiftlet_request_create(some("session"), ctypes.byref(handle))
            state["request"].append(handle.value or 0)
        elif choice == 3:
            status = lib.swiftlet_request_close(some("request"))
        elif choice in (4, 5):
            info = library.ValueInfo()
            index = int(random.choice([0, 0, 0, 1, 2**63, 2**64 - 1]))
            status = lib.swiftlet_session_input(some("session"), index, ctypes.byref(info))
            good = random.random() < 0.9
            shape = [int(random.integers(1, 3)), 3, 32, 32] if good else [
                int(random.choice(EXTENTS + WILD)) for _ in range(random.integers(0, 6))]
            count = int(np.prod([float(extent) for extent in shape])) * 4
            size = count if 0 <= count <= data.nbytes else int(random.choice([0, 4, 2**63, 2**64 - 1]))
            status = lib.swiftlet_request_bind(
                some("request"), b"input" if random.random() < 0.9 else b"\xff\xfe", 1,
                (ctypes.c_int64 * max(1, len(shape)))(*shape),
                len(shape) if random.random() < 0.95 else 2**64 - 1,
                data.ctypes.data if random.random() < 0.9 else None, size)
        elif choice == 6:
            status = lib.swiftlet_request_bind_output(
                some("request"), int(random.choice([0, 1, 2**64 - 1])),
                data.ctypes.data if random.random() < 0.5 else None, int(random.choice([0, 40, 80])))
        elif choice == 7:
            tensor = library.Tensor()
            status = lib.swiftlet_request_output(
                some("request"), int(random.choice([0, 0, 1, 2**63])), ctypes.byref(tensor))
        else:
            status = lib.swiftlet_request_run(some("request"))
            state["runs"] += status == OK
        if status not in allowed:
            state["wrong"].append(f"choice {choice}: status {status}, {error()}")
            return


def storm(path, calls, seed):
    with open(path, "rb") as file:
        model = file.read()
    state = {"session": [], "request": [], "data": [], "runs": 0, "wrong": []}
    threads = [threading.Thread(target=sessions, args=(model, calls // 4, (seed, index), state))
               for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for kind in ("request", "session"):
        for handle in state[kind]:
            getattr(library.LIBRARY, f"swiftlet_{kind}_close")(handle)
    if state["wrong"] or not state["runs"]:
        raise AssertionError(state["wrong"] or "nothing ran")
    print(f"hostile: {calls} calls of sessions on 4 threads, with {state['runs']} runs")


def judging(path, calls, seed):
    """Models judged on samples whose structs have one field or another wrong."""
    random, lib = np.random.default_rng(seed), library.LIBRARY
    data, labels = np.zeros((4, 3, 32, 32), "f4"), np.arange(4)
    evaluated, wild = 0, [0, 1, 3, 5, 2**31, 2**62, 2**63, 2**64 - 1]

    def fill(array, first, count, target, _context):
        assert array == 0 and first + count <= 4, (array, first, count)
        row = int(np.prod([float(extent) for extent in shape[1:rank]])) * 4
        ctypes.memset(target, 0, count * row)
        return int(random.random() < 0.02)

    def score(batch, scores, count, _context):
        for index in range(count[0]):
            scores[index] = float(random.choice([0, 1, np.nan, np.inf]))
        if random.random() < 0.1:
            count[0] = int(random.choice(wild))
        return int(random.random() < 0.02)

    def wrong(struct, *fields):
        """Makes one field wild, or none."""
        if random.random() < 0.25:
            name = str(random.choice(fields))
            value = int(random.choice(wild))
            kind = dict(struct._fields_)[name]
            setattr(struct, name, value if kind is ctypes.c_size_t else kind(value).value)

    for _ in range(calls):
        shape, rank = (ctypes.c_int64 * 8)(*data.shape), 4
        if random.random() < 0.1:
            shape[int(random.integers(4))] = int(random.choice(EXTENTS + WILD))
        array = library.Array(b"input", 1, 0, 4, shape, data.ctypes.data, data.nbytes)
        samples = library.Samples(
            ctypes.sizeof(library.Samples), 4, ctypes.pointer(array), 1, labels.ctypes.data, 0,
            library.Fill(fill), None, b"samples")
        metric = library.OwnMetric(
            ctypes.sizeof(library.OwnMetric), b"metric", library.Score(score), None, 0, 1, 0)
        options = library.EvaluateOptions(ctypes.sizeof(library.EvaluateOptions), 1, 0, 2)
        options.samples = ctypes.pointer(samples)
        if random.random() < 0.5:
            array.data, array.byte_count = None, 0
        if random.random() < 0.7:
            options.own_metric = ctypes.pointer(metric)
        if random.random() < 0.05:
            array.input = b"\xff\xfe" if random.random() < 0.5 else None
        if array.data is None:
            rank = array.rank = int(random.choice([4, 4, 4, 0, 1, 3, 5]))
        else:
            wrong(array, "dtype", "is_fixed", "rank", "byte_count")
        # What a length says must be there: 4 labels, and one array.
        wrong(samples, "struct_size", "class_count")
        if random.random() < 0.05:
            samples.count, samples.labels = int(random.choice(wild)), None
        if random.random() < 0.05:
            samples.fill = library.Fill()
        wrong(metric, "struct_size", "is_fraction", "needs_original")
        wrong(options, "struct_size", "threads", "precision", "batch", "skip_damaged",
              "loader_memory", "extent_count")
        text = ctypes.c_void_p()
        status = lib.swiftlet_evaluate(
            path.encode(), None, ctypes.byref(options), library.Progress(), None,
            ctypes.byref(text))
        lib.swiftlet_string_free(text)
        if status not in (OK, BAD_INPUT, UNSUPPORTED, CANCELLED, OUT_OF_MEMORY, USAGE):
            raise AssertionError(f"swiftlet_evaluate: status {status}, {error()}")
        evaluated += status == OK
    if not evaluated:
        raise AssertionError("nothing was evaluated")
    print(f"hostile: {calls} evaluations, of which {evaluated} could be served")


REGIONS = [Guarded() for _ in range(6)]
CALLS = int(sys.argv[2]) if len(sys.argv) > 2 else 4000
SEED = int(sys.argv[3]) if len(sys.argv) > 3 else 1
linear_algebra(CALLS, SEED)
storm(sys.argv[1], CALLS // 4, SEED)
judging(sys.argv[1], CALLS // 8, SEED)
