# SPDX-License-Identifier: Apache-2.0
"""Runs a model with one fp32 input on zeros. usage: run_model.py MODEL.onnx"""

import sys

import numpy as np
import swiftlet

session = swiftlet.Session(sys.argv[1], threads=2)
value = session.inputs[0]
x = np.zeros([2 if extent is None else extent for extent in value.shape], value.dtype)
for name, result in session.run({value.name: x}).items():
    print(name, result.shape, result.flat[0])
