#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Relinks the objects of a release build statically with the parts of the Swift runtime that they
# need: the results run on machines without Swift. SwiftPM supports that only for executables, and
# includes all of Foundation where FoundationEssentials is enough.
#
# usage: link.sh BUILD-FOLDER OUTPUT-FOLDER
# makes OUTPUT-FOLDER/swiftlet and OUTPUT-FOLDER/libswiftlet.so.N
set -eu
build=$1 output=$2
here=$(cd "$(dirname "$0")" && pwd)
abi=$(sed -n 's/^#define SWIFTLET_ABI_VERSION //p' "$here/../CShims/CSwiftletABI/include/swiftlet.h")
swiftc=$(command -v "${SWIFTC:-swiftc}")
resources=$("$swiftc" -print-target-info | sed -n 's/.*"runtimeResourcePath" *: *"\(.*\)".*/\1/p')
static=$(dirname "$resources")/swift_static/linux
clang=$(dirname "$(readlink -f "$swiftc")")/clang

link() { # PRODUCT FLAG…
  product=$1
  shift
  "$clang" -fuse-ld=lld "$static/$(uname -m)/swiftrt.o" "@$build/$product.product/Objects.LinkFileList" \
    -L"$static" -Wl,--start-group -lFoundationEssentials -l_FoundationCShims -l_FoundationCollections \
    -lswiftSynchronization -lswift_Concurrency -lswift_StringProcessing -lswift_RegexParser \
    -lswiftCore -lswiftGlibc -lswiftDispatch -lswift_Builtin_float -Wl,--end-group \
    -ldispatch -lBlocksRuntime -lopenblas -llapacke -lz -lyaml -lcrypto -ljpeg -lpng -lwebp -lstdc++ -lm -lpthread -ldl \
    -Wl,--gc-sections -Wl,--as-needed -Wl,--no-undefined -Wl,--build-id -Wl,-z,relro,-z,now "$@"
}

mkdir -p "$output"
# SwiftPM gives each executable its own name for main, so that tests can link it.
link swiftlet -pie -Wl,--defsym,main=SwiftletCLI_main -o "$output/swiftlet"
link SwiftletC -shared -Wl,-soname,"libswiftlet.so.$abi" \
  -Wl,--version-script="$here/../Sources/SwiftletC/exports.map" -o "$output/libswiftlet.so.$abi"
ln -sf "libswiftlet.so.$abi" "$output/libswiftlet.so"
