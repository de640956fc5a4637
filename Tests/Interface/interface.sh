#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs into a folder of its own, and tests what is there as others use it: programs in C, C++
# and Python, the list of symbols, and the documentation against the header.
#
# usage: interface.sh LINKED-FOLDER MODEL.onnx
set -euo pipefail
linked=$(realpath "$1") model=$(realpath "$2")
here=$(cd "$(dirname "$0")" && pwd)
root=$here/../..
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Where the loader does not search, installing says what to do; into a package, it says nothing.
PREFIX=$work/prefix DESTDIR='' sh "$root/Packaging/install.sh" "$linked" > "$work/said"
grep -q "LD_LIBRARY_PATH=$work/prefix/lib" "$work/said"
[ -z "$(PREFIX=/usr/local DESTDIR=$work/stage sh "$root/Packaging/install.sh" "$linked")" ]
library=$(realpath "$work/prefix/lib/libswiftlet.so")
export PKG_CONFIG_PATH=$work/prefix/lib/pkgconfig LD_LIBRARY_PATH=$work/prefix/lib
python=${PYTHON:-/usr/bin/python3}
step() { echo "interface: $*"; }

step "symbols are those of Tests/Interface/symbols.txt"
nm -D --defined-only "$library" | awk '$2 != "A" { print $3 }' | sort | diff "$here/symbols.txt" -

step "the headers declare them all, and docs/c-api.md names them all"
headers=$work/headers
cat "$work/prefix/include/swiftlet.h" "$work/prefix/include/swiftlet_compress.h" > "$headers"
grep -o '\bswiftlet_[a-z0-9_]*(' "$headers" | tr -d '(' | sort -u > "$work/declared"
sed 's/@@.*//' "$here/symbols.txt" | diff - "$work/declared"
while read -r name; do
  grep -q "\`$name\`" "$root/docs/c-api.md" || { echo "docs/c-api.md lacks $name"; exit 1; }
done < "$work/declared"
grep -o '`swiftlet_[a-z0-9_]*`' "$root/docs/c-api.md" | tr -d '`' | sort -u > "$work/described"
while read -r name; do
  grep -q "\b$name\b" "$headers" || { echo "docs/c-api.md has $name, the headers have not"; exit 1; }
done < "$work/described"

step "no Swift and no Foundation is needed"
if ldd "$library" "$work/prefix/bin/swiftlet" | grep '=>' | grep -iE 'swift|foundation|not found'; then
  exit 1
fi

step "manual and completions have every command"
swiftlet=$work/prefix/bin/swiftlet
commands=$("$swiftlet" --help | sed -n '/^SUBCOMMANDS/,$s/^  \([a-z][a-z-]*\) .*/\1/p')
[ "$(echo "$commands" | wc -l)" -ge 14 ]
zcat "$work/prefix/share/man/man1/swiftlet.1.gz" > "$work/manual"
for command in $commands; do
  grep -qF ".SH \"swiftlet $command\"" "$work/manual"
  for completions in bash-completion/completions/swiftlet zsh/site-functions/_swiftlet \
    fish/vendor_completions.d/swiftlet.fish; do
    grep -qw -- "$command" "$work/prefix/share/$completions"
  done
done
options=$(sed -n 's/^| `[A-Za-z0-9]*` `--\([a-z0-9-]*\)` .*/\1/p' "$root/docs/settings.md" | sort -u)
[ "$(echo "$options" | wc -l)" -ge 50 ]
sed 's/\\-/-/g' "$work/manual" > "$work/manual.plain"
for option in $options; do
  grep -qw -- "--$option" "$work/manual.plain"
  for completions in bash-completion/completions/swiftlet zsh/site-functions/_swiftlet \
    fish/vendor_completions.d/swiftlet.fish; do
    grep -qw -- "$option" "$work/prefix/share/$completions"
  done
done

step "C, with warnings as errors, in C99 too"
flags=$(pkg-config --cflags --libs swiftlet)
for source in run_model linalg compress judge; do
  # shellcheck disable=SC2086
  cc -std=c99 -Wall -Wextra -Wpedantic -Werror "$root/examples/C/$source.c" $flags -o "$work/$source"
done
"$work/run_model" "$model"
"$work/linalg"
"$work/compress" "$model" "$work/small.onnx" 'fashion-mnist[0..<16]' 2>"$work/printed" >/dev/null
# Warnings are printed: this model does no better than guessing on 16 images.
if grep 'swiftlet\.' "$work/printed" | grep -v ' warning swiftlet\.'; then echo "the library prints by itself"; exit 1; fi

"$work/judge" "$model" "$work/judged.onnx" | grep -q '"metric":"margin"'
[ -s "$work/judged.onnx" ]

step "damaged pictures, memory for pictures, extents"
"$python" -B -c "import sys; sys.path.insert(0, '$here'); import models
sys.stdout.buffer.write(models.pictures(classes=4, size='side'))" > "$work/open.onnx"
# shellcheck disable=SC2086
cc -std=c99 -Wall -Wextra -Wpedantic -Werror "$here/pictures.c" $flags -o "$work/pictures"
mkdir "$work/bmp"
"$work/pictures" "$work/open.onnx" "$work/bmp" "$work/small.onnx" 2> "$work/printed" \
  || { cat "$work/printed"; exit 1; }
grep -q 'swiftlet.data.*left out .*/2/1.bmp' "$work/printed"

step "fork"
# shellcheck disable=SC2086
cc -Wall -Wextra -Werror "$here/fork.c" $flags -lpthread -o "$work/fork"
timeout 300 "$work/fork" "$model" "$work/small.onnx" 'fashion-mnist[0..<16]'

step "OpenBLAS's threads are the program's"
# shellcheck disable=SC2086
cc -Wall -Wextra -Werror "$here/host.c" $flags -lopenblas -lpthread -o "$work/host"
timeout 300 "$work/host" "$model" "$work/small.onnx" 'fashion-mnist[0..<16]'

step "without memory: a status, and the process goes on"
PYTHONPATH=$root/python SWIFTLET_LIBRARY=$library "$python" "$here/memory.py"

step "C++ by CMake"
cmake -S "$root/examples/CPlusPlus" -B "$work/cxx" -DCMAKE_PREFIX_PATH="$work/prefix" >/dev/null
cmake --build "$work/cxx" >/dev/null
"$work/cxx/gemm"
step "C++ by pkg-config"
# shellcheck disable=SC2086
c++ -std=c++17 -Wall -Wextra -Werror "$root/examples/CPlusPlus/gemm.cpp" $flags -o "$work/gemm"
"$work/gemm"

step "Python"
export PYTHONPATH=$root/python SWIFTLET_LIBRARY=$library
"$python" "$root/examples/Python/compress_matrix.py"
"$python" "$root/examples/Python/run_model.py" "$model"
"$python" "$here/test_python.py"
"$python" "$here/test_compress.py"
"$python" "$here/test_pictures.py"

step "Python's package, from the checkout into a clean venv"
"$python" -m venv --system-site-packages "$work/venv"
cp -r "$root/python" "$work/python"
"$work/venv/bin/python" -m pip install -q --no-index --no-build-isolation \
  --disable-pip-version-check "$work/python"
(cd "$work" && env -u PYTHONPATH "$work/venv/bin/python" -c \
  'import pathlib, swiftlet as s; assert (pathlib.Path(s.__file__).parent / "py.typed").exists()')

step "hostile arguments, with memory that ends where the length says"
"$python" "$here/hostile.py" "$model" 4000

step "the README's examples"
sh "$here/readme.sh" "$root" "$work/prefix/bin/swiftlet"

step "valgrind"
# Valgrind shows a processor without AVX-512, whose OpenBLAS kernels read past the end of arrays.
SWIFTLET_BLAS=swift valgrind --quiet --error-exitcode=1 --leak-check=full \
  --errors-for-leak-kinds=definite --show-leak-kinds=definite "$work/run_model" "$model" >/dev/null
echo "interface: ok"
