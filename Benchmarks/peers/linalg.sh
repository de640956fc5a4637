#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Compares products and factorisations with numpy, scipy and torch, in a venv of its own.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
venv=${SWIFTLET_VENV:-"$here/.venv"}
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/python" -c 'import numpy, scipy, torch' 2>/dev/null ||
  "$venv/bin/pip" install -q numpy scipy torch
"$venv/bin/python" "$here/linalg.py" "$1" "${2:-out}/linalg-peers.json"
