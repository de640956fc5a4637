#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Makes reports of small compressions and opens them in headless Chromium.
#   run.sh SWIFTLET [FOLDER]   keeps models, pages and screenshots in FOLDER
set -eu

here=$(cd "$(dirname "$0")" && pwd)
exec python3 -B "$here/report.py" "$@"
