#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Compares decoding and resizing with Pillow in torch's DataLoader, in a venv of its own.
#
# usage: images.sh IMAGE-BENCHMARK OUT [OPTIONS OF images.py]
set -eu

here=$(cd "$(dirname "$0")" && pwd)
venv=${SWIFTLET_VENV:-"$here/.venv"}
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/python" -c 'import numpy, PIL, skimage, sklearn, torch' 2>/dev/null ||
  "$venv/bin/pip" install -q numpy pillow scikit-image scikit-learn torch
exec "$venv/bin/python" "$here/images.py" "$@"
