# What people and continuous integration run. `make` alone lists it.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VENV := target/venv
STEP := tests/tools/step
LOCKED := $(if $(CI),--locked)
LIBRARY := target/debug/lib_core.$(if $(filter Darwin,$(shell uname)),dylib,so)
EXTENSION := bindings-python/python/secretcache/_core.abi3.so
NODE := bindings-node
DENY := target/tools/bin/cargo-deny
CBINDGEN := target/tools/bin/cbindgen

.PHONY: help demo test bench lint wheel cli install-c node
help: ## List these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## See a Python program get a changed secret without a restart, on this machine alone
	@$(STEP) 1/3 "installing boto3, the aws command line, AWS's own cache and PostgreSQL" \
		$(MAKE) venv-tests venv-official venv-databases
	@$(STEP) 2/3 "building (the first time some minutes, most of them the AWS SDK)" $(MAKE) build
	@$(STEP) 3/3 "running the demo" $(VENV)/tests/bin/python tests/demo/demo.py --official $(VENV)/official/bin/python

test: ## Run all tests
	@$(STEP) 1/10 "installing what the tests use" \
		$(MAKE) servers c-tools venv-tests venv-official venv-databases venv-connected $(NODE)/node_modules/.stamp $(CBINDGEN)
	@$(STEP) 2/10 "building (the first time some minutes, most of them the AWS SDK)" $(MAKE) build
	@$(STEP) 3/10 "testing the Rust crates" $(MAKE) test-rust
	@$(STEP) 4/10 "testing the Python packages" $(VENV)/tests/bin/pytest -q bindings-python/tests
	@$(STEP) 5/10 "holding the same contract against AWS's own library" \
		env SECRETCACHE_ORACLE=official $(VENV)/official/bin/pytest -q $(OFFICIAL_TESTS)
	@$(STEP) 6/10 "testing the local endpoint and the command line" $(VENV)/tests/bin/pytest -q tests/local
	@$(STEP) 7/10 "testing the commands that rotate, and the rotation function" $(MAKE) test-rotate test-lambda
	@$(STEP) 8/10 "testing programs that stay connected while secrets rotate" $(MAKE) test-connected
	@$(STEP) 9/10 "testing the npm package" $(MAKE) test-node
	@$(STEP) 10/10 "testing the C and C++ interface" $(MAKE) test-c

bench: ## Measure the figures of the README, side by side with AWS's libraries
	@$(STEP) 1/4 "building all that is shipped (some minutes)" $(MAKE) wheel cli node lambda
	@$(STEP) 2/4 "building what the figures take besides" $(MAKE) build install-c PREFIX=target/c/release
	@$(STEP) 3/4 "installing AWS's own libraries, the drivers and the servers" \
		$(MAKE) servers venv-official venv-bench venv-databases venv-connected
	@$(STEP) 4/4 "measuring (an hour or more)" $(MAKE) figures

lint: ## Check format, lints, licences, banned dependencies and the types of every language
	@$(STEP) 1/7 "checking the format of Rust code" cargo fmt --all --check
	@$(STEP) 2/7 "running clippy" cargo clippy --workspace --all-targets $(LOCKED) -- -D warnings
	@$(STEP) 3/7 "installing cargo-deny (compiled once, about a minute)" $(MAKE) $(DENY)
	@$(STEP) 4/7 "checking licences and banned crates" $(DENY) --log-level error check bans licenses
	@$(STEP) 5/7 "checking Python code" $(MAKE) lint-python
	@$(STEP) 6/7 "checking Python types against the extension module" $(MAKE) lint-types
	@$(STEP) 7/7 "checking the types of the npm package" $(MAKE) lint-node

wheel: $(VENV)/build/.stamp ## Build the Python wheel: dist/*.whl
	rm -f dist/*.whl
	$(VENV)/build/bin/maturin build --release $(LOCKED) --out dist --manifest-path bindings-python/Cargo.toml

node: $(NODE)/node_modules/.stamp ## Build the npm package: dist/*.tgz
	cargo build --release --package secretcache-node $(LOCKED)
	cd $(NODE) && npx tsc
	$(NODE)/tools/pack

cli: ## Build the command: target/release/secretcache
	cargo build --release --package secretcache-cli $(LOCKED)

# For another architecture than this machine's, name the target and its linker, as with
#     rustup target add aarch64-unknown-linux-gnu && apt-get install gcc-aarch64-linux-gnu libc6-dev-arm64-cross
#     make lambda LAMBDA_TARGET=aarch64-unknown-linux-gnu \
#         CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
# CA=FILE packs the certificate authorities of the databases, such as RDS's global-bundle.pem.
LAMBDA_TARGET ?=
LAMBDA_ARCHITECTURE = $(or $(firstword $(subst -, ,$(LAMBDA_TARGET))),$(shell uname -m))
.PHONY: lambda test-lambda
lambda: ## Build the rotation function for AWS Lambda: dist/secretcache-rotation-*.zip
	cargo build --release $(LOCKED) --package secretcache-rotation --bin bootstrap --no-default-features \
		--features lambda $(if $(LAMBDA_TARGET),--target $(LAMBDA_TARGET))
	@tests/tools/pack_function.py target/$(if $(LAMBDA_TARGET),$(LAMBDA_TARGET)/)release/bootstrap \
		dist/secretcache-rotation-$(LAMBDA_ARCHITECTURE).zip $(CA)

test-lambda: servers venv-tests venv-databases build
	$(VENV)/tests/bin/pytest -q tests/function

PREFIX ?= /usr/local
install-c: ## Install the C and C++ library: make install-c PREFIX=/usr/local
	cargo build --release --package secretcache-c $(LOCKED)
	bindings-c/install target/release $(abspath $(PREFIX))

# Each part runs even if one before it has figures that were not reached.
.PHONY: figures
figures:
	@mkdir -p target/bench
	@status=0; $(VENV)/bench/bin/python tests/bench/bench.py --official $(VENV)/official/bin/python || status=$$?; \
		$(VENV)/connected/bin/python tests/bench/connected.py | tee target/bench/connected.md || status=$$?; \
		$(VENV)/connected/bin/python tests/bench/node_connected.py | tee target/bench/node-connected.md || status=$$?; \
		exit $$status

# Parts of the above. One cargo command builds for tests and demo alike, so that the SDK is compiled once.
.PHONY: build lint-python lint-types servers venv-tests venv-official venv-databases venv-bench
build:
	cargo build --workspace --all-targets $(LOCKED)
	@cmp -s $(LIBRARY) $(EXTENSION) || install -m 755 $(LIBRARY) $(EXTENSION)

OFFICIAL_TESTS := bindings-python/tests/test_defects.py $(wildcard bindings-python/tests/test_dropin_*.py)

lint-python: $(VENV)/lint/.stamp
	$(VENV)/lint/bin/ruff check .
	$(VENV)/lint/bin/ruff format --check .

lint-types: servers $(VENV)/lint/.stamp build
	cd bindings-python && MYPYPATH=python ../$(VENV)/lint/bin/python -m mypy.stubtest --mypy-config-file pyproject.toml \
		--allowlist ../tests/stubtest-allowlist.txt secretcache aws_secretsmanager_caching
	cd bindings-python && MYPYPATH=python ../$(VENV)/lint/bin/mypy \
		-p secretcache -p aws_secretsmanager_caching
	cd bindings-python && MYPYPATH=python ../$(VENV)/lint/bin/mypy --strict tests/typing

$(DENY):
	cargo install --quiet --locked --debug --root target/tools --target-dir target/tools/build cargo-deny@0.20.2
	rm -rf target/tools/build

# Virtual environments, made again when their requirements change.
venv-tests: $(VENV)/tests/.stamp ; @:
venv-official: $(VENV)/official/.stamp ; @:
venv-databases: $(VENV)/databases/.stamp ; @:
servers: ; @tests/tools/servers
venv-bench: $(VENV)/bench/.stamp
	$(VENV)/bench/bin/pip install --quiet --no-deps --force-reinstall dist/*.whl

$(VENV)/tests/.stamp: tests/requirements.txt tests/tools/venv
	tests/tools/venv $(@D) $< bindings-python/python
$(VENV)/lint/.stamp: tests/requirements-lint.txt tests/requirements-drivers.txt tests/tools/venv
	tests/tools/venv $(@D) $< bindings-python/python
$(VENV)/%/.stamp: tests/requirements-%.txt tests/tools/venv
	tests/tools/venv $(@D) $<

# The commands that rotate, mend and look at secrets, on real servers.
.PHONY: test-rotate
test-rotate: servers venv-tests venv-databases build
	$(VENV)/tests/bin/pytest -q tests/rotation

# The C and C++ bindings, after `build`.
.PHONY: test-c test-races-c fuzz-c header-c c-tools
c-tools: ; @tests/tools/c-tools
test-c: c-tools servers venv-tests venv-databases $(CBINDGEN) build
	$(VENV)/tests/bin/pytest -q bindings-c/tests
test-races-c: c-tools build
	$(VENV)/tests/bin/pytest -q bindings-c/tests/test_races.py
# Guided by coverage, which the stable compiler has; `cargo fuzz` adds the sanitizers of the nightly one.
FUZZ_SECONDS ?= 60
fuzz-c:
	cd bindings-c/fuzz && RUSTC_WRAPPER=$(CURDIR)/bindings-c/fuzz/coverage cargo build $(LOCKED) --target-dir $(CURDIR)/target/fuzz
	mkdir -p target/fuzz/corpus
	target/fuzz/debug/calls -max_total_time=$(FUZZ_SECONDS) -max_len=4096 \
		-artifact_prefix=target/fuzz/ target/fuzz/corpus
header-c: $(CBINDGEN)
	bindings-c/header $(CBINDGEN) bindings-c/include/secretcache.h

# Pinned: another version may write another header.
$(CBINDGEN):
	cargo install --quiet --locked --debug --root target/tools --target-dir target/tools/build cbindgen@0.29.4
	rm -rf target/tools/build

# Rotations killed at every effect, and in a row, on real servers; `python tests/bench/rotation.py` is the whole of it.
.PHONY: test-kill
test-kill:
	cargo test --package secretcache-tests --test kill --test rows $(LOCKED)

# Programs that stay connected, with every driver, against real servers.
.PHONY: venv-connected test-connected
venv-connected: $(VENV)/connected/.stamp ; @:
$(VENV)/connected/.stamp: tests/requirements-connected.txt tests/requirements-drivers.txt tests/tools/venv
	tests/tools/venv $(@D) $< bindings-python/python
test-connected: servers venv-connected venv-databases build
	$(VENV)/connected/bin/pytest -q tests/connected

# The npm package: its tests with a debug build of the extension module, on this machine's Node and a short one on the
# newest line; its types, which are generated and committed. `make test-node-versions` is all tests on every line.
.PHONY: test-node test-node-versions lint-node
NODE_LINES := 22 24 26
NODE_TESTS = node --test --test-timeout=120000
test-node: servers c-tools $(NODE)/node_modules/.stamp target/node/26/.stamp build
	$(MAKE) lint-node
	cd $(NODE) && node tools/place.mjs debug
	cd $(NODE) && $(NODE_TESTS) $$(ls test/*.test.mjs)
	cd $(NODE) && PATH=$(CURDIR)/target/node/26/node_modules/node/bin:$$PATH $(NODE_TESTS) test/smoke.test.mjs

test-node-versions: servers c-tools $(NODE)/node_modules/.stamp $(NODE_LINES:%=target/node/%/.stamp) build
	cd $(NODE) && node tools/place.mjs debug && npx tsc
	cd $(NODE) && for line in $(NODE_LINES); do \
		PATH=$(CURDIR)/target/node/$$line/node_modules/node/bin:$$PATH $(NODE_TESTS) $$(ls test/*.test.mjs); done

# The newest of a line, as npm has it: about 60 MB to download.
target/node/%/.stamp:
	mkdir -p $(@D) && echo '{"private": true}' > $(@D)/package.json
	cd $(@D) && npm install --no-audit --no-fund --loglevel=error node@$*
	touch $@

lint-node: $(NODE)/node_modules/.stamp build
	cd $(NODE) && node tools/types.mjs && npx tsc && npx tsc -p test/typing
	git diff --exit-code -- $(NODE)/types $(NODE)/ts/binding.d.ts

$(NODE)/node_modules/.stamp: $(NODE)/package.json
	cd $(NODE) && npm install --ignore-scripts --no-audit --no-fund --loglevel=error
	touch $@

.PHONY: test-rust
test-rust:
	cargo test --workspace $(LOCKED)
	$(MAKE) test-schedules

# The core's single flight in thousands of orders of its threads, which shuttle chooses, and defects sown to be found so.
.PHONY: test-schedules
test-schedules:
	cargo test --quiet --locked --manifest-path tests/schedules/Cargo.toml --target-dir target/schedules
	tests/schedules/seeded.py
