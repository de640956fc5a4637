// SPDX-License-Identifier: Apache-2.0

/// Files with arrays.
///
/// `ArrayFile` reads and writes `.npy`, `.npz` and `.safetensors`, as the extension says. A file
/// appears complete or not at all; one that is damaged throws an error of one line.

import Swiftlet

func arrayFiles(in folder: String) throws {
  let weights = AnyTensor(Tensor<Float>([2, 2], [1, 2, 3, 4]))
  let bias = AnyTensor(Tensor<Float>([2], [0, 1]))
  for name in ["arrays.npz", "arrays.safetensors"] {
    let path = "\(folder)/\(name)"
    try ArrayFile.write(["weights": weights, "bias": bias], to: path)
    let arrays = try ArrayFile.read(path)
    print("\(name): \(arrays.keys.joined(separator: ", ")), same: \(arrays["weights"] == weights)")
  }

  do {
    _ = try ArrayFile.read("\(folder)/missing.npy")
  } catch {
    print(error)
  }
}
