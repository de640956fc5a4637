#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Packs the command and the library as a Debian package that needs no Swift.
#
# usage: deb.sh LINKED-FOLDER OUTPUT-FOLDER
set -eu
linked=$1 output=$2
here=$(cd "$(dirname "$0")" && pwd)
version=$(sed -n 's/^#define SWIFTLET_VERSION "\(.*\)"/\1/p' \
  "$here/../CShims/CSwiftletABI/include/swiftlet.h")
architecture=$(dpkg --print-architecture)
triplet=$(dpkg-architecture -qDEB_HOST_MULTIARCH 2>/dev/null || gcc -print-multiarch)
# Programs linked against this C library need at least this version.
libc=$(dpkg-query -W -f '${Version}' libc6 | sed 's/[-+].*//')
# The packages of all libraries that are linked: their names change from one Debian to the next.
packages=""
for library in $(objdump -p "$linked/swiftlet" "$linked/libswiftlet.so" | awk '/NEEDED/ { print $2 }' \
  | sort -u); do
  case $library in
    libc.so.* | libm.so.* | ld-linux*) continue ;;
    # One of several packages, which others may take the place of.
    libopenblas.so.0) owner=libopenblas0 ;;
    *) owner=$(dpkg-query -S "*/$triplet/$library" | sed -n '1s/[:,].*//p') ;;
  esac
  packages="$packages, ${owner:?no package has $library}"
done
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
chmod 755 "$stage"

DESTDIR=$stage PREFIX=/usr LIBDIR=/usr/lib/$triplet sh "$here/install.sh" "$linked"
install -D -m 644 "$here/../LICENSE" "$stage/usr/share/doc/swiftlet/copyright"
mkdir "$stage/DEBIAN"
cat > "$stage/DEBIAN/control" <<CONTROL
Package: swiftlet
Version: $version
Architecture: $architecture
Maintainer: The developers of Swiftlet <swiftlet@localhost>
Installed-Size: $(du -sk --exclude=DEBIAN "$stage" | cut -f1)
Depends: libc6 (>= $libc)$packages
Section: science
Priority: optional
Description: small, fast neural networks on ordinary CPUs
 Makes trained networks smaller by decompositions, quantization and distillation, and runs them. The
 command, and a library with a C interface; the parts of the Swift runtime that they need are inside.
CONTROL
printf 'activate-noawait ldconfig\n' > "$stage/DEBIAN/triggers"
mkdir -p "$output"
dpkg-deb --root-owner-group --build "$stage" "$output/swiftlet_${version}_$architecture.deb"
