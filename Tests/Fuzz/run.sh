#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds the fuzzers with AddressSanitizer (and UndefinedBehaviorSanitizer for our C) and runs each
# from seeds that seeds.py makes. Inputs that crash, hang or take too much memory are kept in
# FOLDER/findings, and the exit code is 1.
#   run.sh FOLDER [TARGET…]     SECONDS_EACH=60, or RUNS=N inputs each
set -u

here=$(cd "$(dirname "$0")" && pwd)
folder=$1
shift
targets=${*:-onnx safetensors npy npz rows idx image preprocessing}
swift=${SWIFT:-swift}
python=${SWIFTLET_PYTHON:-"$here/../Conformance/.venv/bin/python"}
flags="-c release --package-path $here --scratch-path $here/../../.build/fuzz"
flags="$flags --sanitize=address -Xswiftc -sanitize=fuzzer"
flags="$flags -Xcc -fsanitize=undefined -Xcc -fsanitize-trap=undefined"

$swift build $flags || exit 1
fuzzer=$($swift build $flags --show-bin-path)/SwiftletFuzz
mkdir -p "$folder/findings" "$folder/tmp"
# For the files that the data's readers take.
TMPDIR=$(realpath "$folder/tmp")
export TMPDIR
trap 'rm -rf "$TMPDIR"' EXIT
"$python" "$here/seeds.py" "$folder/seeds" || exit 1

# The symbolizer hangs on Swift's binaries; leaks are not looked for: Swift's runtime keeps
# metadata.
export ASAN_OPTIONS=symbolize=0:detect_leaks=0:allocator_may_return_null=1
if [ -n "${RUNS:-}" ]; then effort="-runs=$RUNS"; else effort="-max_total_time=${SECONDS_EACH:-60}"; fi
status=0
for target in $targets; do
  mkdir -p "$folder/corpus/$target"
  log="$folder/$target.log"
  SWIFTLET_FUZZ=$target "$fuzzer" "$effort" -timeout=10 -rss_limit_mb=2048 -max_len=16384 \
    -artifact_prefix="$folder/findings/$target-" -print_final_stats=1 \
    "$folder/corpus/$target" "$folder/seeds/$target" >"$log" 2>&1
  code=$?
  runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  peak=$(sed -n 's/^stat::peak_rss_mb: *//p' "$log")
  if [ $code -eq 0 ]; then
    echo "$target: ${runs:-?} inputs, nothing found, ${peak:-?} MB at most"
  else
    echo "$target: FOUND SOMETHING after ${runs:-?} inputs; see $log and $folder/findings"
    status=1
  fi
done
exit $status
