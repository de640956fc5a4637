#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The whole workflow on real images: trains the seed CNN on Fashion-MNIST, compresses it with each
# of the five techniques and with two chains of them, and prints one table. Models, curves and
# reports stay in the given folder; comparison.html there compares all of them, evaluated and timed
# in one run.
set -eu

out=${1:-out}
swiftlet=${SWIFTLET:-swiftlet}
data=fashion-mnist
mkdir -p "$out"

run() {
  echo "\$ swiftlet $*" >&2
  "$swiftlet" "$@"
}

# compress NAME MODEL TECHNIQUES
compress() {
  run compress "$2" --technique "$3" --data $data --json \
    -o "$out/$1.onnx" --report "$out/$1.html" > "$out/$1.json.part"
  mv "$out/$1.json.part" "$out/$1.json"
}

if [ -f "$out/seed.onnx" ]; then
  echo "using the existing model $out/seed.onnx (remove it to train again)"
else
  run train --model seed-cnn --data $data --epochs 3 --batch 128 --optimizer adam \
    --learning-rate 1e-3 --schedule cosine --seed 0 --resume -o "$out/seed.onnx"
fi

for technique in svd lowrank eigen quantize distill; do
  compress $technique "$out/seed.onnx" $technique
done
compress eigen+quantize "$out/seed.onnx" eigen,quantize
# Quantizes the distilled model above: the same as the chain, without training again.
compress distill+quantize "$out/distill.onnx" quantize

echo
run compare "$out/svd.json" "$out/lowrank.json" "$out/eigen.json" "$out/quantize.json" \
  "$out/distill.json"
echo
echo "all models and two chains of techniques, compared in one run, as a page:"
run compare "$out/seed.onnx" "$out/svd.onnx" "$out/lowrank.onnx" "$out/eigen.onnx" \
  "$out/quantize.onnx" "$out/distill.onnx" "$out/eigen+quantize.onnx" "$out/distill+quantize.onnx" \
  --data $data --report "$out/comparison.html" --json > "$out/comparison.json.part"
mv "$out/comparison.json.part" "$out/comparison.json"
echo
echo "open $out/comparison.html; models, curves (SVG), reports (HTML) and JSON are in that folder"
