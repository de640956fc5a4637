# SPDX-License-Identifier: Apache-2.0
"""The Python package against numpy: results, strides, lifetimes, errors, threads."""

import gc
import inspect
import os
import sys
import tempfile
import threading
import unittest

import numpy as np
import swiftlet

RANDOM = np.random.default_rng(1)


def matrix(m, n, dtype="f8"):
    return RANDOM.normal(size=(m, n)).astype(dtype)


def identity(name="x"):
    """The bytes of an ONNX model with one node: y = x, fp32, of three elements."""

    def field(number, content):
        if isinstance(content, int):
            return bytes([number << 3, content])
        content = content.encode() if isinstance(content, str) else content
        return bytes([number << 3 | 2, len(content)]) + content

    def value(name):
        shape = field(1, field(1, 3))
        return field(1, name) + field(2, field(1, field(1, 1) + field(2, shape)))

    graph = (field(1, field(1, name) + field(2, "y") + field(4, "Identity")) + field(2, "g")
             + field(11, value(name)) + field(12, value("y")))
    return field(1, 8) + field(8, field(2, 17)) + field(7, graph)


class LinearAlgebra(unittest.TestCase):
    def test_gemm_reads_strides_in_place(self):
        a, b = matrix(40, 30), matrix(30, 20)
        np.testing.assert_allclose(swiftlet.gemm(a, b), a @ b)
        np.testing.assert_allclose(swiftlet.gemm(a.T, a), a.T @ a)
        np.testing.assert_allclose(swiftlet.gemm(a[::2, :10], b[:10]), a[::2, :10] @ b[:10])
        np.testing.assert_allclose(swiftlet.gemm(a[:, ::3], b[::3]), a[:, ::3] @ b[::3])
        out = np.ones((40, 50))[:, 5:25]
        self.assertIs(swiftlet.gemm(a, b, alpha=2, beta=3, out=out), out)
        np.testing.assert_allclose(out, 2 * (a @ b) + 3)

    def test_bytes(self):
        a = RANDOM.integers(0, 256, (33, 70), dtype=np.uint8)
        b = RANDOM.integers(-128, 128, (70, 21), dtype=np.int8)
        np.testing.assert_array_equal(swiftlet.gemm(a, b), a.astype(int) @ b.astype(int))

    def test_factorisations(self):
        for dtype, tolerance in (("f4", 1e-4), ("f8", 1e-10)):
            for a in (matrix(30, 20, dtype), matrix(20, 30, dtype).T, matrix(9, 31, dtype)):
                u, s, vt = swiftlet.svd(a)
                np.testing.assert_allclose(u * s @ vt, a, atol=tolerance)
                np.testing.assert_allclose(swiftlet.svd(a, compute_uv=False), s, atol=tolerance)
                q, r = swiftlet.qr(a)
                np.testing.assert_allclose(q @ r, a, atol=tolerance)
                values, vectors = swiftlet.eigh(a.T @ a)
                np.testing.assert_allclose(vectors * values @ vectors.T, a.T @ a, atol=100 * tolerance)
                u, s2, vt = swiftlet.randomized_svd(a, 3)
                np.testing.assert_allclose(s2[0], s[0], rtol=0.05)

    def test_outputs_of_any_layout(self):
        a, b = matrix(6, 4), matrix(4, 5)
        for beta in (0, 3):
            for view in (np.s_[:6, ::2], np.s_[::2, :5], np.s_[::-2, 4::-1], np.s_[:6, 3:8], np.s_[3:9, 9:4:-1]):
                buffer = np.ones((12, 10))
                expected, out = buffer.copy(), buffer[view]
                expected[view] = a @ b + beta
                self.assertIs(swiftlet.gemm(a, b, beta=beta, out=out), out)
                np.testing.assert_allclose(buffer, expected)
        out = np.empty((5, 6)).T
        self.assertIs(swiftlet.gemm(a, b, out=out), out)
        np.testing.assert_allclose(out, a @ b)

    def test_outputs_between_the_rows_of_an_input(self):
        a = matrix(5, 5)
        for left, right in ((np.s_[::2], np.s_[1::2]), (np.s_[1::2], np.s_[::2]),
                            (np.s_[:, :5], np.s_[:, 5:]), (np.s_[:, ::2], np.s_[:, 1::2]),
                            (np.s_[:5], np.s_[5:])):
            buffer = matrix(5, 10) if isinstance(left, tuple) else matrix(10, 5)
            given = buffer[left].copy()
            swiftlet.gemm(buffer[left], a, out=buffer[right])
            np.testing.assert_array_equal(buffer[left], given)
            np.testing.assert_allclose(buffer[right], given @ a)
        square = matrix(8, 8)
        for out in (square, square[::2], square[:, :4], square[4:]):
            with self.assertRaises(swiftlet.Error) as caught:
                swiftlet.gemm(square[:len(out)], square[:, :out.shape[1]], out=out)
            self.assertEqual(caught.exception.status, 64)

    def test_empty_matrices(self):
        for dtype in ("f4", "f8"):
            for m, n in ((3, 0), (0, 3), (0, 0)):
                for a in (np.empty((m, n), dtype), np.ones((m, 5), dtype)[:, :n],
                          np.ones((9, n), dtype)[:m], np.empty((n, m), dtype).T):
                    u, s, vt = swiftlet.svd(a)
                    self.assertEqual((u.shape, s.shape, vt.shape), ((m, 0), (0,), (0, n)))
                    self.assertEqual(swiftlet.svd(a, compute_uv=False).shape, (0,))
                    q, r = swiftlet.qr(a)
                    self.assertEqual((q.shape, r.shape), ((m, 0), (0, n)))
                    np.testing.assert_array_equal(swiftlet.gemm(a, a.T), np.zeros((m, m)))
                    np.testing.assert_array_equal(swiftlet.gemm(a.T, a), np.zeros((n, n)))
                    out = np.full((m, m), 2, dtype)
                    swiftlet.gemm(a, a.T, beta=3, out=out)
                    np.testing.assert_array_equal(out, 6 if n == 0 else out)
            values, vectors = swiftlet.eigh(np.empty((0, 0), dtype))
            self.assertEqual((values.shape, vectors.shape), ((0,), (0, 0)))
            self.assertEqual(swiftlet.eigvalsh(np.empty((0, 0), dtype)).shape, (0,))
        product = swiftlet.gemm(np.empty((3, 0), "u1"), np.empty((0, 4), "i1"))
        np.testing.assert_array_equal(product, np.zeros((3, 4), "i4"))

    def test_the_lower_triangle_is_not_read(self):
        for dtype, tolerance in (("f4", 1e-4), ("f8", 1e-10)):
            a = matrix(50, 50, dtype)
            a += a.T
            exact = np.linalg.eigvalsh(a)[::-1]
            a[np.tril_indices(50, -1)] = np.nan
            values, vectors = swiftlet.eigh(a)
            np.testing.assert_allclose(values, exact, atol=tolerance)
            np.testing.assert_allclose(vectors.T @ vectors, np.eye(50), atol=tolerance)
            np.testing.assert_allclose(swiftlet.eigvalsh(a), exact, atol=tolerance)
            for wrong in (a.T, np.full((2, 2), np.inf, dtype)):
                self.assertRaises(swiftlet.Error, swiftlet.eigh, wrong)
                self.assertRaises(swiftlet.Error, swiftlet.eigvalsh, wrong)
        self.assertRaises(ValueError, swiftlet.eigvalsh, matrix(3, 4))

    def test_randomized_svd_of_extreme_numbers(self):
        a = matrix(30, 4) @ matrix(4, 20)
        a /= np.abs(a).max() * 40
        for dtype, factors in (("f4", (3.4e38, 1e30, 1e-25)), ("f8", (1.79e308, 1e200, 1e-280))):
            for factor in factors:
                b = (a * factor).astype(dtype)
                s = swiftlet.randomized_svd(b, 4)[1] / factor
                np.testing.assert_allclose(s, np.linalg.svd(a)[1][:4], rtol=1e-4)

    def test_conv2d(self):
        x, w = matrix(2 * 3, 36, "f4").reshape(2, 3, 6, 6), matrix(4, 27, "f4").reshape(4, 3, 3, 3)
        y = swiftlet.conv2d(x, w, bias=np.arange(4.0), stride=2, padding=1)
        padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
        for i in range(3):
            for j in range(3):
                window = padded[:, :, 2 * i:2 * i + 3, 2 * j:2 * j + 3]
                expected = np.einsum("nchw,ochw->no", window, w) + np.arange(4)
                np.testing.assert_allclose(y[:, :, i, j], expected, rtol=1e-4, atol=1e-4)

    def test_mistakes(self):
        a = matrix(3, 4)
        self.assertRaises(ValueError, swiftlet.gemm, a, a)
        self.assertRaises(ValueError, swiftlet.gemm, a[0], a)
        with self.assertRaises(swiftlet.Error) as caught:
            swiftlet.svd(np.full((2, 2), np.nan))
        self.assertEqual(caught.exception.status, 2)
        self.assertRaises(swiftlet.Error, swiftlet.randomized_svd, a, 4)
        self.assertRaises(swiftlet.Error, swiftlet.svd, a, threads=-1)
        self.assertRaises(TypeError, swiftlet.svd, a + 1j)
        self.assertRaises(TypeError, swiftlet.gemm, a + 1j, a.T)
        square = a.T @ a
        self.assertRaises(swiftlet.Error, swiftlet.gemm, square, square, out=square)


class Package(unittest.TestCase):
    def test_type_hints(self):
        """Everything public says what it takes and returns, for the py.typed that is installed."""
        functions = []
        for module in (swiftlet, swiftlet._session, swiftlet._linalg, swiftlet._compress,
                       swiftlet._metric):
            for value in vars(module).values():
                if isinstance(value, type) and value.__module__.startswith("swiftlet"):
                    functions += [one for key, one in vars(value).items()
                                  if inspect.isfunction(one) and not key.startswith("_")]
                elif inspect.isfunction(value) and value.__module__.startswith("swiftlet"):
                    functions.append(value)
        self.assertGreater(len(functions), 15)
        for function in functions:
            signature = inspect.signature(function)
            self.assertIsNot(signature.return_annotation, inspect.Signature.empty, function)
            for name, parameter in signature.parameters.items():
                if name != "self":
                    self.assertIsNot(parameter.annotation, inspect.Parameter.empty, function)

    def test_limits(self):
        swiftlet.set_max_memory(1 << 16)
        with self.assertRaises(MemoryError) as caught:
            swiftlet.svd(matrix(200, 100))
        self.assertIsInstance(caught.exception, swiftlet.OutOfMemory)
        self.assertIsInstance(caught.exception, swiftlet.Error)
        self.assertEqual(caught.exception.status, 6)
        swiftlet.set_max_memory(0)
        swiftlet.svd(matrix(200, 100))
        for setter in (swiftlet.set_max_memory, swiftlet.set_max_steps):
            self.assertRaises(ValueError, setter, -1)
            self.assertRaises(ValueError, setter, 2**64)
            setter(0)


class Sessions(unittest.TestCase):
    def test_the_package_is_of_the_library(self):
        self.assertEqual(swiftlet.__version__, swiftlet.library_version())

    def test_runs_from_bytes_and_files(self):
        session = swiftlet.Session(identity())
        self.assertEqual(session.inputs[0], ("x", np.dtype("f4"), (3,)))
        x = np.array([1, 2, 3], "f4")
        np.testing.assert_array_equal(session.run({"x": x})["y"], x)
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "m.onnx")
            with open(path, "wb") as file:
                file.write(identity())
            np.testing.assert_array_equal(swiftlet.Session(path).run({"x": x[::1]})["y"], x)

    def test_results_outlive_everything(self):
        session = swiftlet.Session(identity())
        results = [session.run({"x": np.full(3, value, "f4")})["y"] for value in range(50)]
        session.close()
        del session
        gc.collect()
        for value, result in enumerate(results):
            np.testing.assert_array_equal(result, value)
            self.assertFalse(result.flags.writeable)

    def test_requests_see_changes(self):
        request = swiftlet.Session(identity()).request()
        x, y = np.zeros(3, "f4"), np.empty(3, "f4")
        request.bind("x", x)
        for value in range(3):
            x[:] = value
            np.testing.assert_array_equal(request.run()["y"], value)
        request.bind_output("y", y)
        x[:] = 9
        self.assertIs(request.run()["y"], y)
        np.testing.assert_array_equal(y, 9)
        # What a caller does to the dictionary must not free what the library writes to.
        request.run().clear()
        self.assertIs(request.run()["y"], y)
        self.assertRaises(TypeError, request.bind_output, "y", np.empty(3, "i4"))
        self.assertRaises(ValueError, request.bind_output, "z", y)
        self.assertRaises(ValueError, request.bind_output, "y", np.empty(6, "f4")[::2])

    def test_mistakes(self):
        session = swiftlet.Session(identity())
        for inputs, status in (({}, 2), ({"z": np.zeros(3, "f4")}, 2), ({"x": np.zeros(3)}, 2),
                               ({"x": np.zeros(4, "f4")}, 2)):
            with self.assertRaises(swiftlet.Error) as caught:
                session.run(inputs)
            self.assertEqual(caught.exception.status, status)
        self.assertRaises(TypeError, session.run, {"x": np.zeros(3, "c8")})
        self.assertRaises(
            ValueError, session.request().bind_bytes, "x", 1, (3,), np.zeros(3, "f4")[::-1])
        self.assertRaises(swiftlet.Error, swiftlet.Session, b"nothing")
        self.assertRaises(ValueError, swiftlet.Session, identity(), precision="fp8")
        self.assertEqual(
            swiftlet.Session(identity(), precision="bf16").run({"x": np.ones(3, "f4")})["y"][0], 1)
        self.assertRaises(swiftlet.Error, swiftlet.Session, "/nowhere")
        session.close()
        self.assertRaises(swiftlet.Error, session.run, {"x": np.zeros(3, "f4")})

    def test_threads_share_a_session(self):
        session, wrong = swiftlet.Session(identity()), []

        def work(seed):
            for value in range(100):
                x = np.full(3, seed * 1000 + value, "f4")
                if not (session.run({"x": x})["y"] == x).all():
                    wrong.append(value)

        threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(wrong, [])


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=0)
