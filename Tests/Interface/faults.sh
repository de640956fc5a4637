#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Compresses through the library while reads, writes, syncs, renames, maps or allocations fail, one
# after the other. The output must stay as it was or be complete; a status says what happened, and
# only failing allocations may end the process.
#
# usage: faults.sh COMPRESS MODEL.onnx DATA   COMPRESS is examples/C/compress.c
set -eu
compress=$1 model=$2 data=$3
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cc -O1 -shared -fPIC "$here/../Damage/faults.c" -o "$work/faults.so"

attempt() { # CALLS NUMBER
  printf before > "$work/out.onnx"
  code=0
  LD_PRELOAD=$work/faults.so SWIFTLET_FAULT=$2 SWIFTLET_FAULT_CALLS=$1 SWIFTLET_FAULT_ARMED=1 OPENBLAS_NUM_THREADS=1 \
    timeout 60 "$compress" "$model" "$work/out.onnx" "$data" >/dev/null 2>"$work/errors" || code=$?
}

attempt rwsnp 0
[ "$code" = 0 ]
cp "$work/out.onnx" "$work/good.onnx"
refused=0 unharmed=0 ended=0
check() { # CALLS NUMBER
  attempt "$1" "$2"
  case $code in
    0) unharmed=$((unharmed + 1)) ;;
    2 | 3 | 6 | 70) refused=$((refused + 1)) ;;
    *)
      ended=$((ended + 1))
      # 124 would be a hang; reads and writes never end the process.
      [ "$1" = m ] && [ "$code" != 124 ] || { echo "faults: $1 $2 ends with $code"; exit 1; } ;;
  esac
  cmp -s "$work/out.onnx" "$work/good.onnx" || [ "$(head -c 7 "$work/out.onnx")" = before ] || {
    echo "faults: $1 $2 leaves half a file"
    exit 1
  }
}
number=1
while [ $number -le 30 ]; do check rwsnp $number; number=$((number + 1)); done
number=1
while [ $number -le 8000 ]; do check m $number; number=$((number + 333)); done
[ -z "$(find "$work" -name '.swiftlet-*')" ] || { echo "faults: something is left behind"; exit 1; }
[ $refused -gt 0 ] && [ $ended -gt 0 ] || { echo "faults: no call failed"; exit 1; }
echo "faults: $refused refused, $unharmed unharmed, $ended ended"
