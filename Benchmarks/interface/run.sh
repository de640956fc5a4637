#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Measures what using the library from C and Python costs, and how large it is.
#
# usage: run.sh LINKED-FOLDER MODEL.onnx [size|calls|linalg|sessions]…   all of them by default
set -eu
linked=$(realpath "$1") model=$(realpath "$2")
shift 2
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
library=$(realpath "$linked/libswiftlet.so")
export LD_LIBRARY_PATH="$linked" SWIFTLET_LIBRARY="$library" PYTHONPATH="$here/../../python"
# Debian's numpy has the OpenBLAS that the library has; wheels bring another one.
python=${PYTHON:-/usr/bin/python3}

sed -n 's/^model name[^:]*: /CPU: /p' /proc/cpuinfo | sort | uniq -c
"$linked/swiftlet" --version
for part in "${@:-size calls linalg sessions}"; do for part in $part; do
  case $part in
    size)
      strip "$library" -o "$work/stripped"
      echo "libswiftlet.so, stripped: $(wc -c < "$work/stripped") bytes"
      ldd "$library" ;;
    calls)
      cc -O2 -Wall -Wextra -Werror "$here/overhead.c" -I"$here/../../CShims/CSwiftletABI/include" \
        -L"$linked" -lswiftlet -o "$work/overhead"
      "$work/overhead" ;;
    linalg) "$python" "$here/python.py" ;;
    sessions) "$python" "$here/python.py" --models "$linked/swiftlet" "$model" ;;
    *) echo "run.sh: no part $part" >&2; exit 64 ;;
  esac
done; done
