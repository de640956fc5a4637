#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Compiles mutex.c for the thread sanitizer, and checks that it hides no race: a program that holds
# the lock is silent, one that does not is reported.
#
# usage: mutex.sh OBJECT.o
set -eu
object=$1
here=$(cd "$(dirname "$0")" && pwd)
swiftc=$(command -v "${SWIFTC:-swiftc}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$(dirname "$object")"
"$(dirname "$(readlink -f "$swiftc")")/clang" -O1 -Wall -Wextra -Werror -c "$here/mutex.c" -o "$object"
"$swiftc" -O -sanitize=thread -o "$work/control" "$here/control.swift" "$object"
"$work/control" 2>"$work/log" || { head -20 "$work/log"; echo "sanitizer: a held lock is not seen"; exit 1; }
if "$work/control" race 2>/dev/null; then echo "sanitizer: a race is not seen"; exit 1; fi
echo "sanitizer: locks that are waited for are seen, and so are races beside them"
