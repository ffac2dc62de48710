##@ One language's checks
.PHONY: lint-rust lint-docs lint-features lint-interfaces lint-semver lint-dependencies lint-python lint-node lint-c lint-recipes lint-workflows lint-commits lint-version
lint-rust: lint-docs lint-features lint-interfaces lint-semver ## Check Rust: format, clippy, unsafe places, and rustdoc with and without default features
	cargo fmt --all --check
	cargo fmt --check --manifest-path tests/pools/Cargo.toml
	tests/tools/unsafe-code --check
	cargo clippy --workspace --all-targets $(LOCKED) -- -D warnings

lint-docs:
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --quiet $(LOCKED)
	RUSTDOCFLAGS="-D warnings" cargo doc --package secretcache --package secretcache-rotation --no-default-features --no-deps --quiet $(LOCKED)

# Each feature alone, none and all; then the core's tests without its driver.
lint-features: $(HACK) ## Check that every feature compiles alone
	PATH=$(CURDIR)/target/tools/bin:$$PATH RUSTFLAGS="-D warnings" cargo hack check --each-feature $(LOCKED) --target-dir target/features \
		--package secretcache --package secretcache-rotation --package secretcache-access
	RUSTFLAGS="-D warnings" cargo check --package secretcache --no-default-features --all-targets $(LOCKED) --target-dir target/features

lint-interfaces: ## Compare the types of other crates in public interfaces with the list of allowed ones
	RUSTFLAGS="-D warnings" tests/tools/foreign-types secretcache secretcache-rotation secretcache-access

# The tool does not know that `secretcache::host` may change between minor versions, and reports that too.
lint-semver: ## Compare the crates' interfaces with those of the last tag, as semantic versioning demands
	@tag=$$(git describe --tags --abbrev=0 2> /dev/null) || { echo "lint-semver: no tag yet, so there is nothing to compare with"; exit 0; }; \
	$(MAKE) $(SEMVER); \
	PATH=$(CURDIR)/target/tools/bin:$$PATH cargo semver-checks --baseline-rev $$tag \
		--package secretcache --package secretcache-rotation --package secretcache-access --package secretcache-local

lint-dependencies: $(DENY) ## Check for banned licences and crates, and that lock files match their manifests
	$(DENY) --log-level error check bans licenses
	for lock in $$(git ls-files '*Cargo.lock'); do \
		cargo metadata --locked --format-version 1 --manifest-path $${lock%lock}toml > /dev/null || exit; done

lint-python: servers $(VENV)/lint/.stamp $(VENV)/types/.stamp build ## Check Python: ruff, mypy, pyright, and the stubs against the extension module
	$(VENV)/lint/bin/ruff check .
	$(VENV)/lint/bin/ruff format --check .
	cd bindings-python && MYPYPATH=python ../$(VENV)/types/bin/python -m mypy.stubtest --mypy-config-file pyproject.toml \
		--allowlist ../tests/stubtest-allowlist.txt secretcache aws_secretsmanager_caching
	cd bindings-python && MYPYPATH=python ../$(VENV)/types/bin/mypy -p secretcache -p aws_secretsmanager_caching
	cd bindings-python && MYPYPATH=python ../$(VENV)/types/bin/mypy --strict tests/typing
	$(VENV)/types/bin/pyright --pythonpath $(VENV)/types/bin/python bindings-python/tests/typing

# The npm package's types are generated and committed.
lint-node: node-tools build ## Check TypeScript: biome, the types as programs see them, publint and attw on the package
	cd $(NODE) && npx biome check --error-on-warnings
	cd local && ../$(NODE)/node_modules/.bin/biome check --error-on-warnings
	cd $(NODE) && node tools/types.mjs && npx tsc && npx tsc -p test/typing
	git diff --exit-code -- $(NODE)/types $(NODE)/ts/binding.ts
	cd $(NODE) && tools/stage ../target/node-lint && npx publint --strict ../target/node-lint
	cd $(NODE) && npx attw --quiet --pack ../target/node-lint

lint-c: c-tools servers $(VENV)/lint/.stamp ## Check C and C++: clang-format, and clang-tidy on headers and examples
	bindings-c/lint $(VENV)/lint/bin

lint-recipes: c-tools $(VENV)/lint/.stamp build ## Try the Conan recipe with the debug build
	packaging/conan/try $(VENV)/lint/bin/conan target/debug

lint-workflows: $(VENV)/lint/.stamp ## Check workflows and action (schemas, pinned actions, least privilege, injection), container files and vcpkg.json
	$(VENV)/lint/bin/zizmor --quiet --offline --min-severity low .github
	$(VENV)/lint/bin/hadolint local/Dockerfile
	$(VENV)/lint/bin/check-jsonschema --builtin-schema vendor.compose-spec local/compose.yaml
	$(VENV)/lint/bin/check-jsonschema --builtin-schema vendor.github-actions .github/actions/*/action.yml
	$(VENV)/lint/bin/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(VENV)/lint/bin/check-jsonschema --schemafile packaging/vcpkg.schema.json packaging/vcpkg/secretcache/vcpkg.json

lint-commits: ## Check the subjects of new commits: `area: what changes`, at most 72 characters
	tests/tools/commit-subjects

lint-version: ## Check that all packages have the same version
	@packaging/version.py > /dev/null
