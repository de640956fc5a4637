# SPDX-License-Identifier: Apache-2.0
"""Options for data and models from Python: damaged pictures, memory for pictures, extents."""

import sys
import unittest

import models
import swiftlet
from test_compress import InFolder, folder_of_pictures, png


class Pictures(InFolder):
    def test_damaged_pictures(self):
        folder = self.path("pictures")
        folder_of_pictures(folder)
        whole = (folder / "green" / "2.png").read_bytes()
        (folder / "green" / "2.png").write_bytes(whole[:-30])
        (folder / "red" / "0.png").write_bytes(b"")
        model = models.pictures()
        with self.assertRaisesRegex(swiftlet.Error, r"(green/2|red/0)\.png"):
            swiftlet.evaluate(model, folder, preprocess="unit")
        result = swiftlet.evaluate(model, folder, preprocess="unit", skip_damaged=True)
        self.assertEqual((result.damaged, result.samples), (2, 16))
        result = swiftlet.compress(
            model, data=folder, technique="svd", ratio=0.5, preprocess="unit", skip_damaged=True)
        self.assertEqual(result.damaged, 2)
        # Without labels, and where others judge.
        result = swiftlet.compress(
            model, data=f"images:{folder}:unlabelled[50%]", judge=f"images:{folder}:unlabelled",
            technique="svd", ratio=0.5, preprocess="unit", skip_damaged=True)
        self.assertEqual(result.damaged, 2)
        (folder / "green" / "2.png").write_bytes(whole)
        png(folder / "red" / "0.png", [200, 0, 0])
        result = swiftlet.evaluate(model, folder, preprocess="unit", skip_damaged=True)
        self.assertEqual(result.damaged, 0)
        self.assertNotIn("damaged", swiftlet.evaluate(model, folder, preprocess="unit"))

    def test_memory_for_pictures_does_not_matter(self):
        folder_of_pictures(self.path("pictures"))
        results = [swiftlet.evaluate(models.pictures(), self.path("pictures"), preprocess="unit",
                                     loader_memory=memory).loss for memory in (None, 1, 2**30)]
        self.assertEqual(len(set(results)), 1)

    def test_extents(self):
        folder_of_pictures(self.path("pictures"))
        model = models.pictures(size="side")
        seen = []

        def metric(outputs, labels, indices):
            seen.append(outputs["pixels"].shape)
            return 1

        nodes = [models.node("Identity", ["images"], "pixels")]
        sides = models.model(nodes, [models.value("images", "N", 3, "height", "width")],
                             [models.value("pixels", "N", 3, "height", "width")])
        swiftlet.evaluate(sides, self.path("pictures"), preprocess="unit", metric=metric,
                          extents={"height": 10, "images[3]": 12})
        self.assertEqual({shape[1:] for shape in seen}, {(3, 10, 12)})
        result = swiftlet.compress(model, data=self.path("pictures"), technique="svd", ratio=0.5,
                                   preprocess="unit", extents={"side": 8})
        self.assertEqual(result.techniques, ["svd"])
        with self.assertRaisesRegex(swiftlet.Error, "no input has an open extent 'size'.*side"):
            swiftlet.evaluate(model, self.path("pictures"), extents={"size": 8})


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=0)
