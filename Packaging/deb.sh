#!/bin/sh
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
# Whoever links against this C library needs it at least.
libc=$(dpkg-query -W -f '${Version}' libc6 | sed 's/[-+].*//')
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
Depends: libc6 (>= $libc), libgcc-s1, libstdc++6, zlib1g, libyaml-0-2, libssl3, libopenblas0, liblapacke
Section: science
Priority: optional
Description: small, fast neural networks on ordinary CPUs
 Makes trained networks smaller by decompositions, quantization and distillation, and runs them. The
 command, and a library with a C interface; the parts of the Swift runtime that they need are inside.
CONTROL
printf 'activate-noawait ldconfig\n' > "$stage/DEBIAN/triggers"
mkdir -p "$output"
dpkg-deb --root-owner-group --build "$stage" "$output/swiftlet_${version}_$architecture.deb"
