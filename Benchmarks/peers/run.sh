#!/bin/sh
# Compares with torch (training) and onnxruntime (logits of our ONNX files), in a venv of its own.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
out=${1:-out}
venv=${SWIFTLET_VENV:-"$here/.venv"}
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/python" -c 'import numpy, onnx, onnxruntime, torch' 2>/dev/null ||
  "$venv/bin/pip" install -q numpy onnx onnxruntime torch

for model in seed svd lowrank eigen quantize distill; do
  "$venv/bin/python" "$here/check_onnxruntime.py" "$out/$model.onnx"
done
"$venv/bin/python" "$here/train_torch.py"
