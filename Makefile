# The commands that people and continuous integration run. `make` alone lists them.
# The parts are in make/: tools.mk (what gets installed), test.mk (one target per area), lint.mk, dist.mk (what is shipped).
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VENV := target/venv
STEP := tests/tools/step
LOCKED := $(if $(CI),--locked)
NODE := bindings-node
DENY := target/tools/bin/cargo-deny
HACK := target/tools/bin/cargo-hack
SEMVER := target/tools/bin/cargo-semver-checks
MUTANTS := target/tools/bin/cargo-mutants
CBINDGEN := target/tools/bin/cbindgen
MDBOOK := target/tools/bin/mdbook

.PHONY: help demo test bench soak fuzz lint build
help: ## List these commands
	@awk -F ':.*## ' '/^##@/ { printf "\n%s\n", substr($$0, 5) } /^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' \
		Makefile make/test.mk make/lint.mk make/dist.mk

##@ Every day
demo: ## Watch running programs pick up rotated secrets, all on this machine
	@$(STEP) 1/3 "installing boto3, the aws command line, AWS's own cache and PostgreSQL" \
		$(MAKE) venv-tests venv-official venv-databases
	@$(STEP) 2/3 "building (a few minutes the first time)" $(MAKE) build
	@$(STEP) 3/3 "running the demo" $(VENV)/tests/bin/python tests/demo/demo.py --official $(VENV)/official/bin/python

# Longest parts first. Most of them spend more time waiting for servers and processes than computing.
PARTS_TESTED := test-rust test-c test-node test-python test-rotation test-access test-connected test-local test-lambda test-official
test: ## Run all tests
	@$(STEP) 1/2 "installing what the tests use, and building (a few minutes the first time)" \
		tests/tools/side-by-side 2 build test-tools
	@$(STEP) 2/2 "testing, two parts at a time" tests/tools/side-by-side 2 $(PARTS_TESTED)

lint: ## Check format, lints, docs, licences, types and commit subjects
	@$(STEP) 1/6 "checking Rust code" $(MAKE) lint-rust
	@$(STEP) 2/6 "checking licences and banned crates" $(MAKE) lint-dependencies
	@$(STEP) 3/6 "checking Python code and types" $(MAKE) lint-python
	@$(STEP) 4/6 "checking TypeScript code and types" $(MAKE) lint-node
	@$(STEP) 5/6 "checking C and C++ code" $(MAKE) lint-c lint-recipes
	@$(STEP) 6/6 "checking workflows, versions and commit subjects" $(MAKE) lint-workflows lint-version lint-commits

bench: ## Measure the documented figures against AWS's libraries (over an hour; PARTS="hits rust" for some of them)
	@$(STEP) 1/4 "building everything that ships (a few minutes)" $(MAKE) wheel cli node lambda
	@$(STEP) 2/4 "building what only the measurements need" $(MAKE) build install-c PREFIX=target/c/release
	@$(STEP) 3/4 "installing AWS's own libraries, the drivers and the servers" $(MAKE) soak-tools venv-tests venv-official venv-bench
	@$(STEP) 4/4 "measuring (over an hour)" $(MAKE) figures

soak: build pools soak-tools ## Rotate and kill for hours what the tests do a few times (PARTS="kill rows", ROTATIONS=10)
	@$(VENV)/connected/bin/python tests/bench/soak.py $(PARTS)

fuzz: fuzz-parsers fuzz-c ## Search for inputs that break a parser or the C interface (FUZZ_SECONDS=60 for each)

# One cargo command builds for both tests and demo, so that the SDK is compiled once.
EXTENSION := bindings-python/python/secretcache/_core.abi3.so
LIBRARY := target/debug/lib_core.$(if $(filter Darwin,$(shell uname)),dylib,so)
build: ## Build everything that the tests need, and install Python's extension module in place
	cargo build --workspace --all-targets $(LOCKED)
	@cmp -s $(LIBRARY) $(EXTENSION) || install -m 755 $(LIBRARY) $(EXTENSION)

include make/test.mk make/lint.mk make/dist.mk make/tools.mk
