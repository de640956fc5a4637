#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Compares Swiftlet with its peers, in a venv of its own (SWIFTLET_VENV, or .venv beside this file).
#
# usage: run.sh inference OUT [--quick] [--models ...]   speed, answers and memory; --help says more
#        run.sh training                                 speed of training the seed CNN
#        run.sh quantization MODEL.onnx INPUTS.npz FOLDER   our int8 against onnxruntime's
#        run.sh answers OUT                              our ONNX files of `make demo` in onnxruntime
set -eu

here=$(cd "$(dirname "$0")" && pwd)
task=$1
shift
venv=${SWIFTLET_VENV:-"$here/.venv"}
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/python" -c 'import numpy, onnx, onnxruntime, openvino, torch' 2>/dev/null ||
  "$venv/bin/pip" install -q numpy onnx onnxruntime openvino torch

case $task in
  inference) exec "$venv/bin/python" "$here/compare.py" "$@" ;;
  training) exec "$venv/bin/python" "$here/train_torch.py" ;;
  quantization) exec "$venv/bin/python" "$here/quantization.py" "$SWIFTLET" "$@" ;;
  answers)
    for model in seed svd lowrank eigen quantize distill; do
      "$venv/bin/python" "$here/check_onnxruntime.py" "$1/$model.onnx"
    done
    ;;
  *)
    echo "run.sh: unknown task '$task'" >&2
    exit 64
    ;;
esac
