##@ One area's tests
# Each target builds and installs what it needs; CONTRIBUTING.md says where a new test goes.
PYTEST := $(VENV)/tests/bin/pytest -q

.PHONY: test-rust test-schedules test-kill test-python test-official test-local test-access test-rotation test-lambda test-connected
test-rust: ## Test the Rust crates: units, properties, scenarios, model checker, kill matrix, thread schedules
	cargo test --workspace $(LOCKED)
	$(MAKE) test-schedules

# shuttle runs the core's threads in thousands of orders, and must find seeded defects.
test-schedules: ## Run the core's threads in thousands of orders
	cargo test --quiet --locked --manifest-path tests/schedules/Cargo.toml --target-dir target/schedules
	tests/schedules/seeded.py

# The same properties with another seed: the current time, or PROPTEST_RNG_SEED=…. A failure prints the smallest input.
PROPTEST_RNG_SEED ?= $(shell date +%s)
.PHONY: fuzz-properties
fuzz-properties: ## Run the property tests with other seeds than `make test`
	PROPTEST_RNG_SEED=$(PROPTEST_RNG_SEED) PROPTEST_CASES=4096 cargo test $(LOCKED) \
		--package secretcache --lib --test cache --package secretcache-rotation --package secretcache-access

.PHONY: mutants
mutants: $(MUTANTS) ## Change the decision code in small ways, and check that a test notices each (hours; PARTS="policy access")
	packaging/mutants $(MUTANTS) $(PARTS)

test-kill: servers ## Kill rotations before and after every effect; `make soak PARTS=kill` runs the full matrix
	cargo test --package secretcache-tests --test kill --test rows $(LOCKED)

test-python: venv-tests venv-databases servers build ## Test the Python packages
	$(PYTEST) bindings-python/tests

# The same tests must pass with AWS's library, except where a test says that only ours does it.
OFFICIAL_TESTS := bindings-python/tests/test_defects.py $(wildcard bindings-python/tests/test_dropin_*.py)
test-official: venv-official ## Test the drop-in's contract against AWS's own library
	env SECRETCACHE_ORACLE=official $(VENV)/official/bin/pytest -q $(OFFICIAL_TESTS)

test-local: venv-tests venv-databases servers browser target/local-node/.stamp build ## Test the local endpoint and the command line
	$(PYTEST) tests/local

test-access: venv-tests venv-deploy build ## Test the commands that audit access, on accounts in moto
	$(PYTEST) tests/access

test-rotation: venv-tests venv-databases servers build ## Test the commands that rotate and recover, on real servers
	$(PYTEST) tests/rotation

test-lambda: venv-tests venv-databases servers build ## Test the rotation function
	$(PYTEST) tests/function

test-connected: venv-connected venv-airflow venv-databases servers c-tools build pools ## Test the integrations, and the pools of Rust drivers, through rotations
	$(VENV)/connected/bin/pytest -q tests/connected

# Not in `make test`, because it needs two more environments, of 600 MB.
OLDEST := celery django pools redis aio_pika wrong_secrets airflow
.PHONY: test-connected-oldest
test-connected-oldest: $(VENV)/oldest/.stamp $(VENV)/airflow-oldest/.stamp venv-databases servers build ## Test Python's integrations with the oldest supported releases
	env SECRETCACHE_TEST_AIRFLOW=$(CURDIR)/$(VENV)/airflow-oldest \
		$(VENV)/oldest/bin/pytest -q -k "not metadata" $(OLDEST:%=tests/connected/test_%.py)

.PHONY: pools
pools: ## Build the test program for the pools of Rust drivers
	cargo build --quiet --locked --manifest-path tests/pools/Cargo.toml --target-dir target/pools

# All tests with a debug build on this machine's Node, and a short one on the newest release line.
.PHONY: test-node test-node-runtimes test-node-versions test-c test-races-c fuzz-c fuzz-parsers
NODE_LINES := 22 24 26
NODE_TESTS = node --test --test-timeout=120000
test-node: node-tools servers c-tools target/node/26/.stamp target/local-node/.stamp build ## Test the npm package
	$(MAKE) lint-node
	cd $(NODE) && node tools/place.mjs debug
	cd $(NODE) && $(NODE_TESTS) $$(ls test/*.test.mjs)
	cd $(NODE) && PATH=$(CURDIR)/target/node/26/node_modules/node/bin:$$PATH $(NODE_TESTS) test/smoke.test.mjs

test-node-runtimes: node-tools build target/runtimes/.stamp ## Test the npm package under Bun and Deno, and in builds of webpack, Vite and Next
	$(NODE)/tools/runtimes target/runtimes

test-node-versions: node-tools servers c-tools $(NODE_LINES:%=target/node/%/.stamp) target/local-node/.stamp build ## Run all npm tests on every release line of Node
	cd $(NODE) && node tools/place.mjs debug && npx tsc
	cd $(NODE) && for line in $(NODE_LINES); do \
		PATH=$(CURDIR)/target/node/$$line/node_modules/node/bin:$$PATH $(NODE_TESTS) $$(ls test/*.test.mjs); done

test-c: c-tools servers venv-tests venv-databases $(CBINDGEN) build ## Test the C and C++ interface
	$(PYTEST) bindings-c/tests

test-races-c: c-tools venv-tests build ## Test the C interface under helgrind
	$(PYTEST) bindings-c/tests/test_races.py

# Guided by coverage, which works on stable Rust; `cargo fuzz` adds the sanitizers of nightly Rust. Each target runs for
# FUZZ_SECONDS. An input that breaks one is saved in target/fuzz.
FUZZ_SECONDS ?= 60
FUZZ := -max_total_time=$(FUZZ_SECONDS) -max_len=8192 -timeout=10 -print_final_stats=1 -artifact_prefix=target/fuzz/
fuzz-build = cd $(1) && RUSTC_WRAPPER=$(CURDIR)/tests/fuzz/coverage cargo build $(LOCKED) --target-dir $(CURDIR)/target/fuzz
fuzz-c: ## Fuzz the C interface with random calls, guided by coverage
	$(call fuzz-build,bindings-c/fuzz)
	mkdir -p target/fuzz/corpus/calls
	target/fuzz/debug/calls $(FUZZ) target/fuzz/corpus/calls

PARSERS ?= $(notdir $(wildcard tests/fuzz/seeds/*))
fuzz-parsers: ## Fuzz parsers of untrusted input, guided by coverage (PARSERS="schedule secret")
	$(call fuzz-build,tests/fuzz)
	for parser in $(PARSERS); do \
		mkdir -p target/fuzz/corpus/$$parser; \
		PARSER=$$parser target/fuzz/debug/parsers $(FUZZ) target/fuzz/corpus/$$parser tests/fuzz/seeds/$$parser || exit; done

# Each part runs even if an earlier one missed a figure.
.PHONY: figures
figures:
	@mkdir -p target/bench
	@$(VENV)/bench/bin/python tests/bench/bench.py --official $(VENV)/official/bin/python $(PARTS)
