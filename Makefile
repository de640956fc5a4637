# Two commands do everything on a Debian or Ubuntu machine with a Swift toolchain:
#   make demo   trains a network on real images, compresses it five ways and compares the results
#   make test   builds and runs all tests
# `make help` lists the others.

SWIFT ?= swift
CONFIGURATION ?= release
PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
OUT ?= out
SEED ?= 1
RANDOM_FILES ?= 600
# A build without OpenBLAS and the image libraries, and the tests of the code that replaces them.
PURE := --traits PureSwift --scratch-path .build/pure-swift
PURE_TESTS := SwiftletBLASTests|SwiftletLinalgTests|SwiftletGraphTests|SwiftletCLITests
PURE_TESTS := $(PURE_TESTS)|SwiftletImagesTests
# Modules with kernels of their own are tested on lower instruction sets too.
ISA_TESTS := SwiftletKernelsTests|SwiftletRuntimeTests|OneArithmeticTests
TSAN_MUTEX := $(abspath $(OUT))/tsan-mutex.o
TSAN := --sanitize=thread --scratch-path .build/tsan -Xlinker $(TSAN_MUTEX)
TSAN_TESTS := WorkerTeamTests|ThreadsTests|ConcurrencyTests
ASAN := --sanitize=address --scratch-path .build/asan
ASAN_TESTS := SwiftletCTests|SwiftletCoreTests|SwiftletImagesTests|SwiftletKernelsTests
BUILD := $(SWIFT) build -c $(CONFIGURATION)
# Users of the library do not resolve the benchmarks: they are a package of their own.
BENCHMARKS := $(BUILD) --package-path Benchmarks --scratch-path .build/benchmarks
# The peers run in a Python venv, created on first use: SWIFTLET_VENV or Benchmarks/peers/.venv.
PEERS = SWIFTLET="$$($(BUILD) --show-bin-path)/swiftlet" Benchmarks/peers/run.sh
# Reports are tested in a browser; nothing else needs one.
BROWSER := chromium python3
# A program of the examples; paths given to it are absolute, as SwiftPM changes the folder.
EXAMPLE := $(SWIFT) run -c $(CONFIGURATION) --package-path examples/SwiftPackage
# A small model to use the library with.
INTERFACE_MODEL = $(OUT)/linked/swiftlet train --model seed-cnn --data 'fashion-mnist:train[0..<256]' \
  --epochs 1 --quiet -o $(OUT)/interface.onnx
PACKAGES := libopenblas-dev liblapacke-dev zlib1g-dev libyaml-dev libssl-dev libjpeg-dev libpng-dev \
  libwebp-dev pkg-config dataset-fashion-mnist

.PHONY: help deps deps-browser deps-lint build test test-report test-tsan demo bench bench-peers \
  bench-peers-inference bench-peers-training bench-zoo check-peers bench-kernels bench-linalg \
  bench-linalg-peers bench-images bench-loader bench-interface bench-distillation conformance \
  real-models fuzz damage format lint library install package try-package test-interface \
  api-changes test-faults test-swift-package test-onnx-backend test-asan test-tutorials clean docs

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## /  \1\t/p' $(MAKEFILE_LIST) | expand -t 24

deps: ## Install the missing Debian packages
	@scripts/install-packages.sh $(PACKAGES)

deps-browser: ## Install the browser that reports are tested in, if it is missing
	@scripts/install-packages.sh $(BROWSER)

deps-lint: ## Install clang-format and ruff, which check the sources, in a venv
	@scripts/install-packages.sh python3 python3-venv
	@SWIFT="$(SWIFT)" scripts/lint.sh --tools

build: deps ## Build the command and the libraries
	$(BUILD) --product swiftlet

test: deps deps-browser ## Build and run all tests, with OpenBLAS and the image libraries, and without
	$(BUILD) --build-tests
	$(SWIFT) test -c $(CONFIGURATION) --skip-build
	for isa in avx2 scalar; do \
	  SWIFTLET_ISA=$$isa $(SWIFT) test -c $(CONFIGURATION) --skip-build \
	    --filter '$(ISA_TESTS)' || exit 1; \
	done
	Tests/Report/run.sh "$$($(BUILD) --show-bin-path)/swiftlet"
	Tests/Tutorials/run.sh "$$($(BUILD) --show-bin-path)/swiftlet"
	$(BUILD) $(PURE) --build-tests
	$(SWIFT) test -c $(CONFIGURATION) $(PURE) --skip-build --filter '$(PURE_TESTS)'

test-report: build deps-browser ## Open reports in headless Chromium; pages and screenshots in OUT/reports
	Tests/Report/run.sh "$$($(BUILD) --show-bin-path)/swiftlet" $(OUT)/reports

test-tutorials: build ## Run the commands of the tutorials in docs on small models and pictures
	@scripts/install-packages.sh python3
	Tests/Tutorials/run.sh "$$($(BUILD) --show-bin-path)/swiftlet"

test-tsan: deps ## Run the tests of code that shares memory between threads under the thread sanitizer
	Tests/Sanitizer/mutex.sh $(TSAN_MUTEX)
	$(BUILD) $(TSAN) --build-tests
	TSAN_OPTIONS=halt_on_error=1 $(SWIFT) test -c $(CONFIGURATION) $(TSAN) --skip-build \
	  --filter '$(TSAN_TESTS)'

demo: build ## Train, compress five ways and compare, on Fashion-MNIST
	@SWIFTLET="$$($(BUILD) --show-bin-path)/swiftlet" examples/demo.sh $(OUT)

bench: build ## Time the demo's models and the kernels' building blocks
	@SWIFTLET="$$($(BUILD) --show-bin-path)/swiftlet" Benchmarks/run.sh $(OUT)

bench-peers: build ## Compare inference and training with onnxruntime, OpenVINO and torch
	@$(PEERS) inference $(OUT) $(ARGS)
	@$(PEERS) training

bench-peers-inference: build ## The first half; ARGS=--quick takes minutes, ARGS=--help says more
	@$(PEERS) inference $(OUT) $(ARGS)

bench-peers-training: build ## The second half: training the seed CNN, compared with torch
	@$(PEERS) training

bench-zoo: build ## Compare modern architectures with onnxruntime and OpenVINO; ARGS=--help says more
	@SWIFTLET="$$($(BUILD) --show-bin-path)/swiftlet" Benchmarks/zoo/run.sh $(OUT) $(ARGS)

check-peers: build ## Check the demo's models in onnxruntime: same logits, same accuracy
	@$(PEERS) answers $(OUT)

bench-kernels: deps ## Time the product kernels, compared with peak speed and OpenBLAS
	$(BENCHMARKS) --product KernelBenchmark
	@mkdir -p $(OUT)
	"$$($(BENCHMARKS) --show-bin-path)/KernelBenchmark" --json $(OUT)/kernels.json

bench-linalg: deps ## Time products and factorisations against LAPACKE; JSON and a picture
	$(BENCHMARKS) --product LinalgBenchmark
	@mkdir -p $(OUT)
	"$$($(BENCHMARKS) --show-bin-path)/LinalgBenchmark" --json $(OUT)/linalg.json \
	  --svg $(OUT)/linalg.svg

bench-linalg-peers: deps ## Compare products and factorisations with numpy, scipy and torch
	$(BENCHMARKS) --product LinalgBenchmark
	@mkdir -p $(OUT)
	@Benchmarks/peers/linalg.sh "$$($(BENCHMARKS) --show-bin-path)/LinalgBenchmark" $(OUT)

bench-images: deps ## Compare decoding and resizing pictures with Pillow in torch's DataLoader (ARGS=--help)
	$(BENCHMARKS) --product ImageBenchmark
	@mkdir -p $(OUT)
	@Benchmarks/peers/images.sh "$$($(BENCHMARKS) --show-bin-path)/ImageBenchmark" $(OUT) $(ARGS)

bench-loader: deps ## Time reading ahead of a model: ARGS='MODEL.onnx FOLDER-OF-JPEGS --threads 2'
	$(BENCHMARKS) --product LoaderBenchmark
	@"$$($(BENCHMARKS) --show-bin-path)/LoaderBenchmark" $(ARGS)

bench-interface: library ## Measure the cost of calls from C and Python, and the sizes of the libraries
	@scripts/install-packages.sh gcc python3 python3-numpy
	$(INTERFACE_MODEL)
	@Benchmarks/interface/run.sh $(OUT)/linked $(OUT)/interface.onnx $(PARTS)

bench-distillation: build ## Train a small student by five methods, 3 seeds (hours; ARGS=--help): OUT/distillation
	@scripts/install-packages.sh dataset-fashion-mnist python3
	@python3 -B Benchmarks/distillation/study.py --out $(OUT)/distillation \
	  --swiftlet "$$($(BUILD) --show-bin-path)/swiftlet" $(ARGS)

conformance: build ## Run ONNX's own backend tests (makes a Python venv); writes docs/conformance.md
	@Tests/Conformance/run.sh "$$($(BUILD) --show-bin-path)/swiftlet" docs/conformance.md

real-models: build ## Run models exported by others, compare with onnxruntime (makes a Python venv)
	@Tests/RealModels/run.sh "$$($(BUILD) --show-bin-path)/swiftlet"

fuzz: ## Fuzz the parsers: SECONDS_EACH=60 or RUNS=N inputs each, TARGETS='onnx npy …'
	@Tests/Conformance/run.sh --venv
	@SWIFT="$(SWIFT)" Tests/Fuzz/run.sh $(OUT)/fuzz $(TARGETS)

damage: build ## Run the command on damaged files (SEED=1, RANDOM_FILES=600)
	@Tests/Conformance/run.sh --venv
	@Tests/Conformance/.venv/bin/python Tests/Damage/damage.py \
	  "$$($(BUILD) --show-bin-path)/swiftlet" --seed $(SEED) --random $(RANDOM_FILES)
	@Tests/Conformance/.venv/bin/python Tests/Damage/faults.py \
	  "$$($(BUILD) --show-bin-path)/swiftlet"

docs: build ## Build the documentation (DocC) in OUT/docs: tutorials, guides, all modules; dead links fail
	@scripts/install-packages.sh python3
	SWIFT="$(SWIFT)" docs/docc.sh "$$($(BUILD) --show-bin-path)" $(OUT)/docs

format: deps-lint ## Format the Swift and C sources, and wrap comments
	git ls-files '*.swift' '*.sh' | xargs scripts/wrap.py
	$(SWIFT) format --in-place --recursive --parallel Package.swift Sources Tests Benchmarks examples
	git ls-files '*.c' '*.h' '*.cpp' | xargs scripts/.venv/bin/clang-format -i

lint: deps-lint ## Check formatting, line lengths, comments, wording and licences of the sources
	@SWIFT="$(SWIFT)" scripts/lint.sh

library: build ## Link the command and libswiftlet.so so that they need no Swift: OUT/linked
	$(BUILD) --product SwiftletC
	Packaging/link.sh "$$($(BUILD) --show-bin-path)" $(OUT)/linked

install: library ## Install command, library, header, manual and completions under PREFIX
	@PREFIX="$(PREFIX)" LIBDIR="$(LIBDIR)" DESTDIR="$(DESTDIR)" Packaging/install.sh $(OUT)/linked

package: library ## Make a Debian package that needs no Swift: OUT/swiftlet_VERSION_ARCH.deb
	@Packaging/deb.sh $(OUT)/linked $(OUT)

try-package: package ## Install the package in a minimal Debian and use it there (as root)
	@scripts/install-packages.sh debootstrap
	Packaging/try-deb.sh $(OUT)/swiftlet_*.deb

test-interface: library ## Install into a temporary folder; C, C++ and Python programs use it
	@scripts/install-packages.sh gcc g++ cmake valgrind python3 python3-numpy \
	  python3-venv python3-setuptools python3-wheel
	$(INTERFACE_MODEL)
	Tests/Interface/interface.sh $(OUT)/linked $(OUT)/interface.onnx

api-changes: ## List incompatible changes of the Swift modules since BASE=TAG-OR-COMMIT
	$(SWIFT) package diagnose-api-breaking-changes $(BASE) --products Swiftlet

test-faults: library ## Compress through the library while system calls fail, one after the other
	$(INTERFACE_MODEL)
	$(CC) examples/C/compress.c -ICShims/CSwiftletABI/include -L$(OUT)/linked -lswiftlet \
	  -Wl,-rpath,$(abspath $(OUT)/linked) -o $(OUT)/compress
	Tests/Interface/faults.sh $(OUT)/compress $(OUT)/interface.onnx 'fashion-mnist[0..<16]'

test-swift-package: deps ## Build and run a package that depends on this one: examples and tutorials
	$(EXAMPLE) Tour $(abspath $(OUT))/tour
	$(EXAMPLE) RunAModel $(abspath $(OUT))/tour/seed.onnx
	$(EXAMPLE) MakeAModelSmaller $(abspath $(OUT))/tour/seed.onnx $(abspath $(OUT))/tour/small.onnx

test-onnx-backend: library ## Run ONNX's own backend tests on the Python package (makes a venv)
	@scripts/install-packages.sh python3-venv
	@Tests/Conformance/run.sh --venv
	SWIFTLET_LIBRARY=$(OUT)/linked/libswiftlet.so PYTHONPATH=python \
	  Tests/Conformance/.venv/bin/python Tests/Interface/onnx_backend.py

test-asan: deps ## Run the tests of the C interface, pictures and kernels under the address sanitizer
	$(BUILD) $(ASAN) --build-tests
	ASAN_OPTIONS=detect_leaks=0 $(SWIFT) test -c $(CONFIGURATION) $(ASAN) --skip-build \
	  --filter '$(ASAN_TESTS)'

clean: ## Remove build products and the output of the demo
	rm -rf .build $(OUT)
