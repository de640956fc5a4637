"""ONNX's own runner of backend tests, driving `swiftlet.backend`: the node tests with data.

A test that asks for what Swiftlet says it does not support counts as unsupported, all others must
pass. `make conformance` judges more finely; this shows that the backend is one.
"""

import collections
import sys
import unittest

import onnx.backend.test
import swiftlet
import swiftlet.backend

counts = collections.Counter()


class Backend(swiftlet.backend.SwiftletBackend):
    """Says unsupported by skipping the test."""

    @classmethod
    def prepare(cls, model, device="CPU", **kwargs):
        try:
            return super().prepare(model, device, **kwargs)
        except swiftlet.Error as error:
            if error.status == 3:
                raise unittest.SkipTest(str(error)) from error
            raise


runner = onnx.backend.test.BackendTest(Backend, __name__)
runner.include(r"^test_.*_cpu$")
# Whole networks, which the runner downloads; and what numpy's types cannot pass.
runner.exclude(r"(bvlc|densenet|inception|resnet50|shufflenet|squeezenet|vgg19|zfnet)")
suite = unittest.TestSuite()
for case in runner.test_cases.values():
    for test in unittest.defaultTestLoader.loadTestsFromTestCase(case):
        suite.addTest(test)
result = unittest.TextTestRunner(verbosity=0, stream=open("/dev/null", "w")).run(suite)
failed = [test.id().split(".")[-1] + ": " + text.strip().splitlines()[-1][:160]
          for test, text in result.failures + result.errors]
skipped = collections.Counter()
for test, reason in result.skipped:
    skipped["device" if "device" in reason else "unsupported"] += 1
print(f"{result.testsRun} tests: {result.testsRun - len(failed) - len(result.skipped)} passed, "
      f"{len(failed)} failed, {len(result.skipped)} unsupported or not ours")
print("\n".join(failed[:40]))
sys.exit(bool(failed))
