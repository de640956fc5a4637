#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs the commands of docs/tutorial-*.md on small models and pictures.
#   run.sh SWIFTLET [TUTORIAL…]   such as classifier; default: all
set -eu

here=$(cd "$(dirname "$0")" && pwd)
exec python3 -B "$here/tutorials.py" "$@"
