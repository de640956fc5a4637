#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Regenerates onnx.pb.swift from onnx.proto. Needs protoc (apt: protobuf-compiler) and
# protoc-gen-swift (swift build -c release --product protoc-gen-swift in a checkout of
# swift-protobuf) on the PATH.
set -eu
cd "$(dirname "$0")"
protoc --swift_opt=Visibility=Package --swift_opt=UseAccessLevelOnImports=true \
  --swift_out=. onnx.proto
