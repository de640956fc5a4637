#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Compares Swiftlet with onnxruntime and OpenVINO on architectures of torchvision and timm, in a
# venv of its own (SWIFTLET_ZOO_VENV, or .venv beside this file).
#
# usage: run.sh OUT [OPTIONS], such as --precision int8 --threads 1,2; --help lists them
set -eu

here=$(cd "$(dirname "$0")" && pwd)
venv=${SWIFTLET_ZOO_VENV:-"$here/.venv"}
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/python" -c 'import onnx, onnxruntime, openvino, timm, torchvision' 2>/dev/null || {
  "$venv/bin/pip" install -q torch torchvision --index-url https://download.pytorch.org/whl/cpu ||
    "$venv/bin/pip" install -q torch torchvision
  "$venv/bin/pip" install -q numpy onnx onnxscript onnxruntime openvino timm
}
PYTHONPATH="$here/../peers" exec "$venv/bin/python" "$here/zoo.py" "$@"
