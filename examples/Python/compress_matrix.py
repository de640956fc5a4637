# SPDX-License-Identifier: Apache-2.0
import numpy as np
import swiftlet

weights = np.random.default_rng(1).normal(size=(200, 100)).astype(np.float32)
u, s, vt = swiftlet.svd(weights)
left, right = u[:, :20] * s[:20], vt[:20]
error = np.linalg.norm(weights - swiftlet.gemm(left, right)) / np.linalg.norm(weights)
print(f"rank 20 of {len(s)}: relative error {error:.3f}")
