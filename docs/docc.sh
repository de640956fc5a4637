#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Makes one archive of documentation with DocC: the modules that have a catalog, the essays of docs/
# as articles, and the tutorials, whose code is compiled up to each step. Warnings, such as links to
# what is not there, are errors.
#
# usage: docc.sh BUILD-FOLDER OUTPUT-FOLDER   after a build
#
# To read it: python3 -m http.server -d OUTPUT-FOLDER/Swiftlet.doccarchive, and open the page
# /documentation/swiftlet there.
set -eu
build=$(cd "$1" && pwd -P) output=$2
here=$(cd "$(dirname "$0")" && pwd)
tools=$(dirname "$(readlink -f "$(command -v "${SWIFT:-swift}")")")
includes="-I $build/Modules"
# Packages have C modules of their own, which Swift modules built on them need.
for folder in "$here"/../CShims/*/include "$here"/../CShims/C*/module.modulemap \
  "$build"/../../checkouts/*/Sources/*/include; do
  [ -d "$folder" ] || folder=$(dirname "$folder")
  includes="$includes -I $folder"
done
# Module maps that SwiftPM writes for targets in C.
for map in "$build"/*.build/module.modulemap; do
  includes="$includes -Xcc -fmodule-map-file=$map"
done

# Documents MODULE with the pages of CATALOG; further arguments go to DocC.
convert() {
  module=$1 catalog=$2
  shift 2
  mkdir -p "$output/graphs/$module"
  # shellcheck disable=SC2086
  "$tools/swift-symbolgraph-extract" -module-name "$module" $includes \
    -output-dir "$output/graphs/$module" -target "$(uname -m)-unknown-linux-gnu" \
    -minimum-access-level public -skip-synthesized-members
  "$tools/docc" convert "$catalog" --additional-symbol-graph-dir "$output/graphs/$module" \
    --warnings-as-errors --enable-experimental-external-link-support \
    --fallback-display-name "$module" --fallback-bundle-identifier "swiftlet.$module" \
    --fallback-default-module-kind Module --output-path "$output/modules/$module.doccarchive" "$@"
}

rm -rf "$output/graphs" "$output/modules" "$output/Swiftlet.docc" "$output/Swiftlet.doccarchive"
mkdir -p "$output/modules"
dependencies=
for catalog in "$here"/../Sources/*/*.docc; do
  module=$(basename "$catalog" .docc)
  [ "$module" = Swiftlet ] && continue
  convert "$module" "$catalog"
  dependencies="$dependencies --dependency $output/modules/$module.doccarchive"
done

"$here/catalog.py" "$output/Swiftlet.docc"
for step in "$output"/Swiftlet.docc/Resources/*.swift; do
  # shellcheck disable=SC2086
  "$tools/swiftc" -typecheck -swift-version 6 -warnings-as-errors $includes "$step"
done
# shellcheck disable=SC2086
convert Swiftlet "$output/Swiftlet.docc" $dependencies
"$tools/docc" merge "$output"/modules/*.doccarchive --synthesized-landing-page-name Swiftlet \
  --output-path "$output/Swiftlet.doccarchive"
echo "docs: $output/Swiftlet.doccarchive"
