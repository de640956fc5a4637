#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs the Debian package in a fresh minimal Debian without Swift, and runs the command and a
# program that uses the library there. Needs root and debootstrap.
#
# usage: try-deb.sh PACKAGE.deb
set -eu
package=$1
here=$(cd "$(dirname "$0")" && pwd)
. /etc/os-release
root=$(mktemp -d)
trap 'umount "$root/proc" 2>/dev/null || true; rm -rf "$root"' EXIT
debootstrap --variant=minbase --include=gcc,libc6-dev,pkg-config "$VERSION_CODENAME" "$root" >/dev/null
cp "$package" "$root/swiftlet.deb"
cp "$here/../examples/C/linalg.c" "$root/linalg.c"
# Swift reads its arguments there.
mount -t proc proc "$root/proc"
chroot "$root" sh -eu <<'COMMANDS'
export DEBIAN_FRONTEND=noninteractive
apt-get install -y -qq --no-install-recommends /swiftlet.deb >/dev/null 2>&1
# A command that begins with ! would not end the script.
if command -v swift; then exit 1; fi
swiftlet --version
swiftlet svd --size 200x100 --quiet
cc linalg.c $(pkg-config --cflags --libs swiftlet) -o linalg
./linalg
COMMANDS
