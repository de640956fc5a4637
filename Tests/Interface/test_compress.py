# SPDX-License-Identifier: Apache-2.0
"""Compression and evaluation from Python: data and metrics of every kind, exceptions, Ctrl-C."""

import io
import os
import re
import signal
import struct
import sys
import tempfile
import threading
import traceback
import unittest
import zlib
from pathlib import Path

import models
import numpy as np
import swiftlet

ROOT = Path(__file__).resolve().parents[2]
RANDOM = np.random.default_rng(1)
# Sample i is of class i mod 4 for the model `scores`, and seven labels of ten say so.
X = np.eye(4, dtype="f4")[np.arange(10) % 4]
Y = np.array([0, 1, 2, 3, 0, 1, 2, 0, 1, 2])
# What the model `layers` answers.
ANSWERS = swiftlet.Session(models.layers()).run({"x": X})["y"].argmax(1)


def png(path, color, size=8):
    """Writes a picture of one colour."""

    def chunk(kind, content):
        return (struct.pack(">I", len(content)) + kind + content
                + struct.pack(">I", zlib.crc32(kind + content)))

    rows = (b"\0" + bytes(color) * size) * size
    Path(path).write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def folder_of_pictures(folder, count=6):
    for place, name in enumerate(("blue", "green", "red")):
        os.makedirs(os.path.join(folder, name))
        for index in range(count):
            color = [10 * index] * 3
            color[2 - place] = 200
            png(os.path.join(folder, name, f"{index}.png"), color)


class Samples:
    """A data set as torch has them."""

    def __init__(self, x, y=None, targets=False):
        self.x, self.y, self.asked = x, y, []
        if targets:
            self.targets = list(y)

    def __len__(self):
        return len(self.x)

    def __getitem__(self, index):
        self.asked.append(index)
        return self.x[index] if self.y is None else (self.x[index], int(self.y[index]))


class Batches:
    """What torch's DataLoader is to its users: it can be iterated over, and has a length."""

    def __init__(self, size):
        self.size = size

    def __len__(self):
        return -(-len(X) // self.size)

    def __iter__(self):
        for start in range(0, len(X), self.size):
            yield X[start:start + self.size], Y[start:start + self.size]


class InFolder(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)

    def path(self, name, content=None):
        path = self.folder / name
        if content is not None:
            path.write_bytes(content)
        return path


class Evaluation(InFolder):
    def test_data_of_every_kind(self):
        np.savez(self.path("xy.npz"), x=X, y=Y)
        np.savez(self.path("named.npz"), images=X, labels=Y)
        np.save(self.path("x.npy"), X)
        np.save(self.path("y.npy"), Y)
        kinds = {
            "an array": (X, Y), "a list of labels": (X, Y.tolist()), "fp64": (X.astype("f8"), Y),
            "bytes": (X.astype("u1"), Y.astype("u1")), "fp16": (X.astype("f2"), Y),
            "big endian": (X.astype(">f4"), Y.astype(">i4")),
            "a view": (np.repeat(X, 2, axis=0)[::2], Y), "a dict": ({"x": X}, Y),
            "a pair": ((X, Y), None), "a list": (list(X), Y), "pairs": (list(zip(X, Y)), None),
            "a data set": (Samples(X, Y), None), "targets": (Samples(X, Y, True), None),
            "labels apart": (Samples(X), Y), "dicts": ([({"x": x}, y) for x, y in zip(X, Y)], None),
            "a generator": (((x, y) for x, y in zip(X, Y)), None), "batches": (Batches(4), None),
            "one batch": (Batches(10), None), "samples that come": ((x for x in X), Y),
            "npz": (self.path("xy.npz"), None),
            "npz of images": (str(self.path("named.npz")), None),
            "npy": (self.path("x.npy"), self.path("y.npy")),
            "text": (f"npz:{self.path('xy.npz')}", None),
        }
        for name, (data, labels) in kinds.items():
            with self.subTest(name):
                result = swiftlet.evaluate(models.scores(), data, labels=labels)
                self.assertEqual((result.top1, result.samples), (0.7, 10))
                self.assertEqual((result.metric, result.score), ("top1", result["score"]))

    def test_folders(self):
        folder_of_pictures(self.path("pictures"))
        for data in (self.path("pictures"), f"images:{self.path('pictures')}"):
            result = swiftlet.evaluate(models.pictures(), data, preprocess="unit")
            self.assertEqual(result.samples, 18)
        self.path("shards").mkdir()
        for index in range(2):
            np.savez(self.path("shards") / f"{index}.npz", x=X[5 * index:5 * index + 5])
        result = swiftlet.evaluate(
            models.scores(), self.path("shards"), metric=lambda outputs, labels, indices: 0.5)
        self.assertEqual((result.score, result.samples), (0.5, 10))

    def test_several_inputs(self):
        a, b = RANDOM.normal(size=(2, 10, 4)).astype("f4")
        expected = (a + b).mean()
        kinds = {"arrays": {"a": a, "b": b}, "samples": [{"a": u, "b": v} for u, v in zip(a, b)],
                 "batches": iter([{"a": a[:3], "b": b[:3]}, {"a": a[3:], "b": b[3:]}])}
        for name, data in kinds.items():
            with self.subTest(name):
                result = swiftlet.evaluate(
                    models.sums(), data, metric=lambda outputs, labels, i: outputs["y"].mean(1))
                self.assertAlmostEqual(result.score, expected, places=6)

    def test_metrics_of_the_program(self):
        seen = []

        def hits(outputs, labels, indices):
            seen.append((indices, labels, outputs["y"]))
            return outputs["y"].argmax(1) == labels

        for metric in (hits, swiftlet.Metric(hits, "mine", is_fraction=True)):
            seen.clear()
            result = swiftlet.evaluate(models.scores(), X, labels=Y, metric=metric)
            self.assertAlmostEqual(result.score, 0.7)
            self.assertEqual(result.metric, getattr(metric, "name", "hits"))
            # The arrays are the function's own: they are good after the call.
            np.testing.assert_array_equal(np.concatenate([one[0] for one in seen]), np.arange(10))
            np.testing.assert_array_equal(np.concatenate([one[1] for one in seen]), Y)
            np.testing.assert_array_equal(np.concatenate([one[2] for one in seen]), X)
        result = swiftlet.evaluate(models.scores(), X, metric=lambda o, labels, i: labels is None)
        self.assertEqual(result.score, 1)

    def test_metrics_that_compare(self):
        original = self.path("original.onnx", models.layers())
        small = models.layers(seed=2)
        known = swiftlet.Session(original.read_bytes()).run({"x": X})["y"]

        def distance(outputs, labels, indices, original):
            np.testing.assert_allclose(original["y"], known[indices], rtol=1e-4)
            return np.abs(outputs["y"] - original["y"]).mean(1)

        metric = swiftlet.Metric(distance, lower_is_better=True, needs_original=True)
        own = swiftlet.Session(small).run({"x": X})["y"]
        for given in (original, original.read_bytes()):
            result = swiftlet.evaluate(small, X, metric=metric, original=given)
            self.assertAlmostEqual(result.score, np.abs(own - known).mean(), places=4)
        self.assertFalse(result.higher_is_better)
        result = swiftlet.evaluate(original, X, metric="cosine", original=original)
        self.assertAlmostEqual(result.score, 1, places=5)
        with self.assertRaisesRegex(swiftlet.Error, "original"):
            swiftlet.evaluate(small, X, metric="cosine")

    def test_samples_are_not_kept(self):
        data = Samples(np.zeros((1000, 4), "f4"))
        swiftlet.evaluate(models.scores(), data, labels=np.zeros(1000, "i8"))
        # The first one tells what they are like.
        self.assertEqual(set(data.asked), set(range(1000)))
        self.assertLess(len(data.asked), 1100)


class Compression(InFolder):
    def compress(self, data=X, labels=ANSWERS, **arguments):
        arguments = {"technique": "svd", "ratio": 0.5, **arguments}
        return swiftlet.compress(models.layers(), data=data, labels=labels, **arguments)

    def test_results(self):
        source, output = self.path("model.onnx", models.layers()), self.path("small.onnx")
        lines = []
        result = swiftlet.compress(
            source, output, data=X, labels=Y, technique="svd", ratio=0.5, seed=3, threads=1,
            report=self.path("report.html"), progress=lambda *line: lines.append(line))
        self.assertEqual(result.path, output)
        self.assertEqual(result.model, output.read_bytes())
        self.assertEqual(result.techniques, ["svd"])
        self.assertEqual(result["after"]["fileBytes"], result.after.file_bytes)
        self.assertEqual(result.images, 2)
        self.assertIn("svd", repr(result))
        self.assertIn("verdict", dir(result))
        self.assertIsInstance(result.verdict.text, str)
        self.assertRaises(AttributeError, lambda: result.no_such_entry)
        self.assertIn("<html", self.path("report.html").read_text())
        self.assertTrue(all(isinstance(task, str) and done <= (total or done)
                            for task, done, total, _ in lines) and lines)
        swiftlet.Session(result.model)
        # In memory, nothing is left in files.
        result = self.compress(threads=1, seed=3)
        self.assertIsNone(result.path)
        self.assertIsNone(result["output"])
        self.assertEqual(result["model"], "model in memory")
        self.assertEqual(result.model, output.read_bytes())
        self.assertEqual(sorted(path.name for path in self.folder.iterdir()),
                         ["model.onnx", "report.html", "small.onnx"])

    def test_data_of_every_kind(self):
        folder_of_pictures(self.path("pictures"))
        few = {"preset": "fast", "technique": None, "ratio": None}
        for name, arguments in {
            "labels": {}, "no labels": {"labels": None},
            "a data set": {"data": Samples(X, Y), "labels": None},
            "samples": {"data": Samples(X), "labels": None},
            "nothing": {"data": None, "labels": None, "data_aware": False},
            "other samples to judge on": {"judge": X[:6], "judge_labels": Y[:6]},
            "other data set to judge on": {"judge": Samples(X[:6], Y[:6])},
            "a split": {"split": 0.5}, "a preset": few,
            "several": {"technique": ["svd", "quantize"]},
            "bounds": {"target_size": "99%", "ratio": None}, "bytes": {"target_size": 10**6},
            "a drop": {"max_drop": 100}, "a relative drop": {"max_drop": "100%"},
            "no labels, but a metric": {
                "labels": None, "metric": lambda outputs, labels, i: outputs["y"].mean(1)},
        }.items():
            with self.subTest(name):
                swiftlet.Session(self.compress(**arguments).model)
        result = swiftlet.compress(
            models.pictures(), data=self.path("pictures"), technique="quantize", preprocess="unit")
        swiftlet.Session(result.model)

    def test_a_metric_gets_positions(self):
        seen = []

        def metric(outputs, labels, indices):
            seen.extend(zip(indices, labels))
            return np.ones(len(indices))

        for data in (X, Samples(X), iter(X)):
            seen.clear()
            result = self.compress(data, Y, metric=metric, split=0.5)
            self.assertEqual(len({index for index, _ in seen}), 5)
            self.assertTrue(all(Y[index] == label for index, label in seen))
            self.assertEqual(result.metric.before, 1)

    def test_formerly_positional_arguments(self):
        source, output = self.path("model.onnx", models.layers()), self.path("small.onnx")
        np.savez(self.path("xy.npz"), x=X, y=Y)
        result = swiftlet.compress(
            str(source), str(output), "steps: [{technique: svd, ratio: 0.5}]",
            f"npz:{self.path('xy.npz')}")
        self.assertEqual(result["techniques"], ["svd"])

    def test_progress_may_stop(self):
        output = self.path("small.onnx", b"before")
        with self.assertRaises(swiftlet.Error) as caught:
            self.compress(output=output, progress=lambda *line: True)
        self.assertEqual(caught.exception.status, 4)
        self.assertEqual(output.read_bytes(), b"before")

    def test_exceptions_are_those_of_functions(self):
        output = self.path("small.onnx", b"before")

        class Mine(Exception):
            pass

        def failing(*arguments):
            raise Mine("here")

        class Damaged(Samples):
            def __getitem__(self, index):
                if index == 7:
                    failing()
                return super().__getitem__(index)

        for name, arguments in {"progress": {"progress": failing}, "metric": {"metric": failing},
                                "data": {"data": Damaged(X)},
                                "judge": {"judge": Damaged(X), "judge_labels": Y}}.items():
            with self.subTest(name):
                # assertRaises would remove the traceback.
                try:
                    self.compress(output=output, **arguments)
                except Mine as error:
                    frames = traceback.extract_tb(error.__traceback__)
                self.assertEqual(frames[-1].name, "failing")
                del frames
        with self.assertRaisesRegex(ValueError, r"sample 3 of the data is \(5,\).*sample 0 \(4,\)"):
            self.compress([np.zeros(5 if index == 3 else 4, "f4") for index in range(10)])
        with self.assertRaisesRegex(ValueError, r"shape \(2, 1\) for 2 samples"):
            self.compress(metric=lambda outputs, labels, indices: np.ones((len(labels), 1)))
        with self.assertRaisesRegex(TypeError, "returned 'good', not numbers"):
            self.compress(metric=lambda outputs, labels, indices: "good")
        self.assertEqual(output.read_bytes(), b"before")

    def test_interrupts(self):
        output, former = self.path("small.onnx", b"before"), signal.getsignal(signal.SIGINT)

        def interrupt(*arguments):
            signal.raise_signal(signal.SIGINT)

        def wait(outputs, labels, indices):
            threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
            threading.Event().wait(60)
            return 0

        for arguments in ({"progress": interrupt}, {"metric": wait}):
            with self.assertRaises(KeyboardInterrupt):
                self.compress(output=output, **arguments)
            self.assertIs(signal.getsignal(signal.SIGINT), former)
        # While the library works, and asks for sample after sample.
        count = 10**6
        data = Samples(np.broadcast_to(np.zeros((1, 4), "f4"), (count, 4)))
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
        with self.assertRaises(KeyboardInterrupt):
            swiftlet.evaluate(models.scores(), data, labels=np.zeros(count, "i8"))
        self.assertLess(len(data.asked), count)
        self.assertEqual(output.read_bytes(), b"before")
        # On another thread, Ctrl-C is the main thread's.
        results = []
        thread = threading.Thread(target=lambda: results.append(self.compress()))
        thread.start()
        thread.join()
        self.assertEqual(results[0].techniques, ["svd"])

    def test_interrupts_while_samples_are_compared(self):
        asked = []

        def interrupt(task, *arguments):
            asked.append(task)
            if task == "compare samples":
                signal.raise_signal(signal.SIGINT)

        with self.assertRaises(KeyboardInterrupt):
            self.compress(judge=X[:6], judge_labels=ANSWERS[:6], progress=interrupt)
        self.assertEqual(asked[-1], "compare samples")

    def test_a_handler_of_the_program_is_called(self):
        heard = []
        former = signal.signal(signal.SIGINT, lambda *arguments: heard.append(1))
        try:
            result = self.compress(metric=lambda *given: signal.raise_signal(signal.SIGINT) or 1)
        finally:
            signal.signal(signal.SIGINT, former)
        self.assertTrue(heard)
        self.assertEqual(result.techniques, ["svd"])

    def test_progress_is_a_line_of_a_terminal(self):
        class Terminal(io.StringIO):
            def isatty(self):
                return True

        for stream, expected in ((Terminal(), True), (io.StringIO(), False)):
            former, sys.stderr = sys.stderr, stream
            try:
                self.compress(progress=True)
            finally:
                sys.stderr = former
            text = stream.getvalue()
            self.assertEqual("evaluate" in text, expected)
            self.assertNotIn("\n", text)
            self.assertTrue(text.endswith("\x1b[K") or not expected)


class Mistakes(InFolder):
    def expect(self, kind, pattern, call):
        with self.assertRaisesRegex(kind, pattern) as caught:
            call()
        self.assertNotIn("\n", str(caught.exception))

    def test_arguments(self):
        model = models.layers()

        def compress(**arguments):
            given = {"technique": "svd", "data": X, "labels": Y, **arguments}
            return lambda: swiftlet.compress(given.pop("model", model), **given)

        for kind, pattern, arguments in [
            (TypeError, "the model is int", {"model": 3}),
            (TypeError, "none given: pass one of recipe", {"technique": None}),
            (TypeError, "technique and preset given", {"preset": "fast"}),
            (TypeError, "no argument 'ratio'",
             {"technique": None, "recipe": "steps: []", "ratio": 1}),
            (TypeError, "technique is", {"technique": [1]}),
            (TypeError, "a setting is", {"ratio": object()}),
            (TypeError, "metric is 3", {"metric": 3}),
            (TypeError, "progress is 3", {"progress": 3}),
            (TypeError, "threads is '2'", {"threads": "2"}),
            (ValueError, "threads is -1", {"threads": -1}),
            (ValueError, "seed is -1", {"seed": -1}),
            (TypeError, "max_drop is 'much'", {"max_drop": "much"}),
            (ValueError, "max_drop is -1", {"max_drop": -1}),
            (TypeError, "confidence needs max_drop", {"confidence": 0.9}),
            (ValueError, "confidence is 2", {"confidence": 2, "max_drop": 1}),
            (TypeError, "target_size is", {"target_size": True}),
            (ValueError, "target_size is 0", {"target_size": 0}),
            (ValueError, "split is 1", {"split": 1}),
            (TypeError, "skip_damaged is 'yes'", {"skip_damaged": "yes"}),
            (TypeError, "skip_damaged is for pictures in files, but data", {"skip_damaged": True}),
            (TypeError, "skip_damaged needs data",
             {"skip_damaged": True, "data": None, "labels": None}),
            (ValueError, "loader_memory is -1: pass 1 to", {"loader_memory": -1}),
            (ValueError, "loader_memory is 0", {"loader_memory": 0}),
            (TypeError, "loader_memory is 1.5", {"loader_memory": 1.5}),
            (TypeError, "extents is 3", {"extents": 3}),
            (TypeError, "extents is {1: 2}", {"extents": {1: 2}}),
            (ValueError, r"extents\['N'\] is 0: pass 1 to 16777216", {"extents": {"N": 0}}),
            (TypeError, r"extents\['N'\] is '3'", {"extents": {"N": "3"}}),
            (swiftlet.Error, "no input has an open extent 'M'.*use one of N",
             {"extents": {"M": 3}}),
            (ValueError, "judge and split", {"judge": X, "split": 0.5}),
            (TypeError, "judge_labels needs judge", {"judge_labels": Y}),
            (TypeError, "labels and judge need data", {"data": None}),
            (TypeError, "data is int", {"data": 3, "labels": None}),
            (TypeError, "data is an array of complex64", {"data": X.astype("c8")}),
            (TypeError, "labels of data are float64", {"labels": Y / 2}),
            (ValueError, "10 samples and 3 labels", {"labels": Y[:3]}),
            (ValueError, "start at -1", {"labels": Y - 1}),
            (ValueError, "data has no samples", {"data": X[:0], "labels": Y[:0]}),
            (ValueError, "data has no samples", {"data": [], "labels": None}),
            (ValueError, "data has no samples", {"data": iter([]), "labels": None}),
            (ValueError, "data has no arrays", {"data": {}, "labels": None}),
            (ValueError, "no such file or folder", {"data": "nowhere.npz", "labels": None}),
            (TypeError, "labels are for arrays", {"data": str(self.folder)}),
            (TypeError, "tuple of 3", {"data": [(X[0], 1, 2)], "labels": None}),
            (ValueError, r"data\[1\] has no label",
             {"data": [(X[0], 1), (X[1], 0.5)], "labels": None}),
            (ValueError, "item 1 of data", {"data": iter([X[0], X[1][:3]]), "labels": None}),
            (swiftlet.Error, "magic", {"technique": "magic"}),
            (swiftlet.Error, "ratoi.*ratio", {"ratoi": 0.5}),
            (swiftlet.Error, "presets have no setting",
             {"technique": None, "preset": "fast", "bits": 4}),
            (swiftlet.Error, "top7", {"metric": "top7"}),
            (swiftlet.Error, "large", {"target_size": "large"}),
            (swiftlet.Error, "preprocess", {"preprocess": "unit"}),
            (swiftlet.Error, "x", {"data": {"z": X}}),
            (swiftlet.Error, "nowhere", {"output": self.folder / "nowhere" / "m.onnx"}),
        ]:
            with self.subTest(pattern):
                self.expect(kind, pattern, compress(**arguments))
        self.expect(TypeError, "data is None", lambda: swiftlet.evaluate(model, None))
        self.expect(ValueError, "fp8", lambda: swiftlet.evaluate(model, X, precision="fp8"))
        self.expect(ValueError, "batch is -1", lambda: swiftlet.evaluate(model, X, batch=-1))
        self.expect(swiftlet.Error, "no labels", lambda: swiftlet.evaluate(model, X))
        self.expect(TypeError, "not a function", lambda: swiftlet.Metric(3))


class Readme(InFolder):
    def test_the_examples_run(self):
        """Those of python/README.md, in order, where there are a model and pictures."""
        self.path("model.onnx", models.pictures(size="side"))
        folder_of_pictures(self.path("pictures"))
        text = (ROOT / "python" / "README.md").read_text()
        blocks = re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
        self.assertGreater(len(blocks), 2)
        scope, former = {}, os.getcwd()
        os.chdir(self.folder)
        try:
            for block in blocks:
                exec(compile(block, "README.md", "exec"), scope)
        finally:
            os.chdir(former)
        self.assertTrue(self.path("small.onnx").exists())


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=0)
