#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Times the demo's models side by side, and training. Needs the models of `make demo`.
set -eu

out=${1:-out}
swiftlet=${SWIFTLET:-swiftlet}
[ -f "$out/distill.onnx" ] || {
  echo "there are no models in $out/: run 'make demo' first" >&2
  exit 2
}

"$swiftlet" doctor
"$swiftlet" bench "$out/seed.onnx" "$out/svd.onnx" "$out/lowrank.onnx" "$out/eigen.onnx" \
  "$out/quantize.onnx" "$out/distill.onnx" --batch 1,32,256
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
for threads in 1 2; do
  "$swiftlet" train --data 'fashion-mnist[0..<12800]' --epochs 2 --threads $threads \
    -o "$scratch/model.onnx"
done
