#!/bin/sh
# Checks that the README's programs are those in examples/, which are compiled and run, and that the
# commands and flags it shows are there.
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
block c 1 | diff - "$root/examples/C/linalg.c"
block python 1 | diff - "$root/examples/Python/compress_matrix.py"
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

swiftlet=$2
sed -n 's/^    swiftlet \([a-z]*\)\(.*\)/\1\2/p' "$root/README.md" | while read -r command rest; do
  help=$("$swiftlet" "$command" --help)
  for word in $rest; do
    case $word in --*) printf '%s' "$help" | grep -q -- "$word" || {
      echo "README: swiftlet $command has no $word"
      exit 1
    } ;; esac
  done
done
