#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs the ONNX project's own backend tests through `swiftlet run`, in a venv of its own.
#   run.sh SWIFTLET OUT.md [OPERATOR…]
#   run.sh --venv                   only makes the venv
set -eu

here=$(cd "$(dirname "$0")" && pwd)
venv=${SWIFTLET_VENV:-"$here/.venv"}
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/python" -c 'import numpy, onnx' 2>/dev/null || "$venv/bin/pip" install -q numpy onnx
[ "$1" = --venv ] && exit 0
exec "$venv/bin/python" "$here/conformance.py" "$@"
