#!/bin/sh
# The main job on real images: trains the seed CNN on Fashion-MNIST, compresses it by each of the
# five techniques, and prints one table. Models, curves and reports stay in the folder given.
set -eu

out=${1:-out}
swiftlet=${SWIFTLET:-swiftlet}
data=fashion-mnist
mkdir -p "$out"

run() {
  echo "\$ swiftlet $*" >&2
  "$swiftlet" "$@"
}

if [ -f "$out/seed.onnx" ]; then
  echo "using the model trained before, $out/seed.onnx (remove it to train again)"
else
  run train --model seed-cnn --data $data --epochs 3 --batch 128 --optimizer adam --lr 1e-3 \
    --schedule cosine --seed 0 --resume -o "$out/seed.onnx"
fi

for technique in svd lowrank eigen quantize distill; do
  run compress "$out/seed.onnx" --technique $technique --data $data --json \
    -o "$out/$technique.onnx" --report "$out/$technique.html" > "$out/$technique.json.part"
  mv "$out/$technique.json.part" "$out/$technique.json"
done

echo
run compare "$out/svd.json" "$out/lowrank.json" "$out/eigen.json" "$out/quantize.json" \
  "$out/distill.json"
echo
echo "models, curves (SVG), reports (HTML) and JSON are in $out/"
