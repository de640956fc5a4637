#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs the command, the library with its header, and the files for pkg-config and CMake.
#
# usage: install.sh LINKED-FOLDER   with PREFIX, LIBDIR and DESTDIR in the environment
set -eu
linked=$1
: "${PREFIX:=/usr/local}" "${LIBDIR:=$PREFIX/lib}" "${DESTDIR:=}"
here=$(cd "$(dirname "$0")" && pwd)
header=$here/../CShims/CSwiftletABI/include/swiftlet.h
version=$(sed -n 's/^#define SWIFTLET_VERSION "\(.*\)"/\1/p' "$header")
abi=$(sed -n 's/^#define SWIFTLET_ABI_VERSION //p' "$header")
root=$DESTDIR$PREFIX
libraries=$DESTDIR$LIBDIR

fill() { # TEMPLATE TARGET
  mkdir -p "$(dirname "$2")"
  sed -e "s|@PREFIX@|$PREFIX|g" -e "s|@LIBDIR@|$LIBDIR|g" -e "s|@VERSION@|$version|g" \
    -e "s|@ABI@|$abi|g" "$here/$1" > "$2"
}

install -D "$linked/swiftlet" "$root/bin/swiftlet"
install -D -m 644 "$linked/libswiftlet.so.$abi" "$libraries/libswiftlet.so.$abi"
strip "$root/bin/swiftlet" "$libraries/libswiftlet.so.$abi"
ln -sf "libswiftlet.so.$abi" "$libraries/libswiftlet.so"
for part in swiftlet.h swiftlet_compress.h; do
  install -D -m 644 "$(dirname "$header")/$part" "$root/include/$part"
done
fill swiftlet.pc.in "$libraries/pkgconfig/swiftlet.pc"
fill swiftlet-config.cmake.in "$libraries/cmake/swiftlet/swiftlet-config.cmake"
fill swiftlet-config-version.cmake.in "$libraries/cmake/swiftlet/swiftlet-config-version.cmake"

mkdir -p "$root/share/man/man1" "$root/share/bash-completion/completions" \
  "$root/share/zsh/site-functions" "$root/share/fish/vendor_completions.d"
sh "$here/manual.sh" "$linked/swiftlet" | gzip -9n > "$root/share/man/man1/swiftlet.1.gz"
"$linked/swiftlet" --generate-completion-script bash \
  > "$root/share/bash-completion/completions/swiftlet"
"$linked/swiftlet" --generate-completion-script zsh > "$root/share/zsh/site-functions/_swiftlet"
"$linked/swiftlet" --generate-completion-script fish \
  > "$root/share/fish/vendor_completions.d/swiftlet.fish"

# The loader finds libraries by a cache, which is the machine's: a package being made leaves it
# alone, and it does not help in a folder that the loader does not search.
PATH=$PATH:/sbin:/usr/sbin
if [ -z "$DESTDIR" ] && command -v ldconfig >/dev/null; then
  folder=$(realpath "$LIBDIR")
  if ! ldconfig -vNX 2>/dev/null | sed -n 's|^\(/[^:]*\):.*|\1|p' | xargs -r realpath | grep -qxF "$folder"
  then
    echo "install: the loader does not search $LIBDIR: set LD_LIBRARY_PATH=$LIBDIR where programs run"
  elif [ "$(id -u)" != 0 ] || ! ldconfig 2>/dev/null; then
    echo "install: run ldconfig as root, so that programs find libswiftlet.so.$abi"
  fi
fi
