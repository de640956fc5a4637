#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Checks that the README's programs are those in examples/, which are compiled and run, and runs the
# commands it shows.
#
# usage: readme.sh ROOT SWIFTLET
set -eu
root=$1
block() { # LANGUAGE NUMBER
  awk -v open="\`\`\`$1" -v wanted="$2" '
    $0 == open { number++; inside = 1; next }
    /^```/ { inside = 0 }
    inside && number == wanted' "$root/README.md"
}
shown=$(mktemp)
trap 'rm -f "$shown"' EXIT
program() { # FILE, without the licence in its head
  sed -e '1{/SPDX-License-Identifier/{N;s/^[^\n]*\n//;/^$/d}}' "$root/examples/$1"
}
block c 1 >"$shown"
program C/linalg.c | diff "$shown" -
block python 1 >"$shown"
program Python/compress_matrix.py | diff "$shown" -
# Those in Swift are the lines of examples that have arguments besides.
for example in 'Compress 1' 'Linalg 2'; do
  set -- "$root" "$2" $example
  sed -e 's/CommandLine.arguments\[1\]/"seed.onnx"/' -e 's/CommandLine.arguments\[2\]/"small.onnx"/' \
    "$root/examples/$3/main.swift" > "${TMPDIR:-/tmp}/swiftlet-readme.$$"
  block swift "$4" | while IFS= read -r line; do
    grep -qxF -- "$line" "${TMPDIR:-/tmp}/swiftlet-readme.$$" || {
      echo "README: not in examples/$3/main.swift: $line"
      exit 1
    }
  done
  rm -f "${TMPDIR:-/tmp}/swiftlet-readme.$$"
done

# The commands are run as they stand, on fewer images and for less time.
swiftlet=$(realpath "$2")
work=$(mktemp -d)
trap 'rm -rf "$work" "$shown"' EXIT
cd "$work"
"${PYTHON:-/usr/bin/python3}" - <<'ARRAYS'
import numpy as np
a = np.random.default_rng(1).normal(size=(60, 40)).astype(np.float32)
np.save("weights.npy", a)
np.save("covariance.npy", a.T @ a)
np.save("images.npy", np.zeros((3, 3, 32, 32), np.float32))
ARRAYS
sed -n '/^## The command/,/^## The library/s/^    \(swiftlet [a-z].*\)/\1/p' "$root/README.md" \
  | grep -v DIR | sed -e "s/--data fashion-mnist/--data 'fashion-mnist[0..<128]'/" \
    -e 's/--epochs 3/--epochs 1/' -e '/^swiftlet bench/s/$/ --seconds 0.01/' > commands
[ "$(wc -l < commands)" -ge 10 ]
swiftlet() { command "$swiftlet" "$@" </dev/null >out 2>err || { cat err; return 1; }; }
while IFS= read -r line; do
  eval "$line" || { echo "README: fails: $line"; exit 1; }
done < commands
