#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Makes the documentation of the modules that have a catalogue, with DocC. Warnings, such as links
# to what is not there, are errors.
#
# usage: docc.sh BUILD-FOLDER OUTPUT-FOLDER   after a build
set -eu
build=$1 output=$2
here=$(cd "$(dirname "$0")" && pwd)
tools=$(dirname "$(readlink -f "$(command -v "${SWIFT:-swift}")")")
includes="-I $build/Modules"
# Packages have C modules of their own, which Swift modules built on them need.
for folder in "$here"/../CShims/*/include "$here"/../CShims/C*/module.modulemap \
  "$here"/../.build/checkouts/*/Sources/*/include; do
  [ -d "$folder" ] || folder=$(dirname "$folder")
  includes="$includes -I $folder"
done
# Module maps that SwiftPM writes for targets in C.
for map in "$build"/*.build/module.modulemap; do includes="$includes -Xcc -fmodule-map-file=$map"; done
mkdir -p "$output"
for catalogue in "$here"/../Sources/*/*.docc; do
  module=$(basename "$catalogue" .docc)
  graphs=$output/graphs/$module
  rm -rf "$graphs" "$output/$module.doccarchive"
  mkdir -p "$graphs"
  # shellcheck disable=SC2086
  "$tools/swift-symbolgraph-extract" -module-name "$module" $includes -output-dir "$graphs" \
    -target "$(uname -m)-unknown-linux-gnu" -minimum-access-level public -skip-synthesized-members
  "$tools/docc" convert "$catalogue" --additional-symbol-graph-dir "$graphs" --warnings-as-errors \
    --fallback-display-name "$module" --fallback-bundle-identifier "swiftlet.$module" \
    --output-path "$output/$module.doccarchive"
  echo "docs: $output/$module.doccarchive"
done
