##@ What ships
.PHONY: docs reference wheel node cli lambda install-c uninstall-c dist-c header-c
.PHONY: version sdist wheel-cli npm-cli deb rpm test-sdist test-install test-old-systems test-free-threaded reproduce release-check
# Makes the output independent of the folder.
REPRODUCIBLE := packaging/reproducible
BUILD_TOOLS := PATH=$(CURDIR)/$(VENV)/build/bin:$$PATH
HOST := $(shell rustc -vV | sed -n 's/^host: //p')

version: ## Check that all packages have the same version, or set it: make version V=0.2.0
	@packaging/version.py $(V)

docs: $(MDBOOK) ## Build the book: target/book/index.html
	$(MDBOOK) build docs
	cargo test --quiet $(LOCKED) --package secretcache-tests --test documentation

reference: ## Generate pages from the code: commands, permissions, unsafe places
	cargo run --quiet --package secretcache-cli -- generate reference > docs/command-reference.md
	cargo run --quiet --package secretcache-cli -- generate permissions > docs/permissions.md
	tests/tools/unsafe-code

# Writes the SBOM and the licences of an artefact into a folder that its package includes.
notices = $(BUILD_TOOLS) $(REPRODUCIBLE) python packaging/inventory.py $(1) $(2) --target $(HOST) $(3)

# On Linux with glibc, zig links against the symbols of glibc 2.17, so that the result runs on every system since 2012.
GLIBC := $(if $(findstring linux-gnu,$(HOST)),2.17)
PORTABLE := $(if $(GLIBC),--zig --compatibility manylinux_$(subst .,_,$(GLIBC)))
COMPLETE := packaging/complete
wheel: $(VENV)/build/.stamp ## Build the Python wheel: dist/*.whl
	$(call notices,secretcache-python,bindings-python/notices)
	rm -f dist/*.whl
	$(BUILD_TOOLS) $(REPRODUCIBLE) maturin build --release $(LOCKED) --target $(HOST) $(PORTABLE) --out dist \
		--manifest-path bindings-python/Cargo.toml
	$(if $(PORTABLE),$(BUILD_TOOLS) auditwheel show dist/*.whl | grep manylinux_$(subst .,_,$(GLIBC)) > /dev/null)
	$(COMPLETE) dist/*.whl

sdist: $(VENV)/build/.stamp ## Pack the sources of the Python package: dist/*.tar.gz
	$(call notices,secretcache-python,bindings-python/notices)
	rm -f dist/secretcache-[0-9]*.tar.gz
	$(BUILD_TOOLS) $(REPRODUCIBLE) maturin sdist --out dist --manifest-path bindings-python/Cargo.toml
	$(COMPLETE) dist/secretcache-[0-9]*.tar.gz

test-sdist: sdist ## Install the source distribution with only pip, in an empty environment
	packaging/try-sdist dist/secretcache-[0-9]*.tar.gz

node: node-tools $(VENV)/build/.stamp ## Build the npm package: dist/*.tgz
	$(call notices,secretcache-node,target/notices/node)
	$(REPRODUCIBLE) cargo build --release --package secretcache-node $(LOCKED)
	cd $(NODE) && npx tsc
	NOTICES=$(CURDIR)/target/notices/node $(NODE)/tools/pack
	$(COMPLETE) dist/secretcache-[0-9]*.tgz

cli: ## Build the command: target/release/secretcache
	$(REPRODUCIBLE) cargo build --release --package secretcache-cli $(LOCKED)

# The command as users install it: the binary of its wheel, for the same glibc. COMMAND=FILE packs an existing one.
COMMAND ?= target/$(HOST)/release/secretcache
COMMAND_RULE := $(if $(filter file,$(origin COMMAND)),wheel-cli)
CLI_PLATFORM := $(shell uname -s | tr A-Z a-z)-$(if $(findstring aarch64,$(HOST)),arm64,x64)
CLI_STAGE := target/cli-stage
dist/cli/notices: $(VENV)/build/.stamp Cargo.lock
	$(call notices,secretcache-cli,$@)
	@touch $@

wheel-cli: dist/cli/notices ## Build the Python wheel of the command: dist/cli/*.whl
	rm -rf dist/cli/*.whl cli/notices
	cp -R dist/cli/notices cli/notices
	$(BUILD_TOOLS) $(REPRODUCIBLE) maturin build --release $(LOCKED) --target $(HOST) $(PORTABLE) --out dist/cli \
		--manifest-path cli/Cargo.toml
	$(if $(PORTABLE),$(BUILD_TOOLS) auditwheel show dist/cli/*.whl | grep manylinux_$(subst .,_,$(GLIBC)) > /dev/null)
	$(COMPLETE) dist/cli/*.whl

npm-cli: dist/cli/notices $(COMMAND_RULE) ## Pack the npm packages of the command: dist/cli/*.tgz
	NOTICES=dist/cli/notices cli/npm/pack dist/cli $(CLI_PLATFORM) $(COMMAND)
	$(COMPLETE) dist/cli/secretcache-cli-$(CLI_PLATFORM)-*.tgz

deb rpm: dist/cli/notices $(COMMAND_RULE) ## Pack the command as a .deb or .rpm: dist/cli/
	rm -f dist/cli/*.$@
	packaging/stage-cli $(COMMAND) dist/cli/notices $(CLI_STAGE)
	STAGE=$(CURDIR)/$(CLI_STAGE) VERSION=$$(packaging/version.py) ARCHITECTURE=$(if $(findstring aarch64,$(HOST)),arm64,amd64) $(BUILD_TOOLS) \
		$(REPRODUCIBLE) nfpm package --config packaging/nfpm.yaml --packager $@ --target dist/cli/
	$(COMPLETE) dist/cli/*.$@

# For another architecture, name the target and its linker:
#     rustup target add aarch64-unknown-linux-gnu && apt-get install gcc-aarch64-linux-gnu libc6-dev-arm64-cross
#     make lambda LAMBDA_TARGET=aarch64-unknown-linux-gnu \
#         CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
# CA=FILE adds the certificate authorities of the databases, such as RDS's global-bundle.pem.
LAMBDA_TARGET ?=
LAMBDA_ARCHITECTURE = $(or $(firstword $(subst -, ,$(LAMBDA_TARGET))),$(shell uname -m))
lambda: $(VENV)/build/.stamp ## Build the rotation function for AWS Lambda: dist/secretcache-rotation-*.zip
	$(call notices,secretcache-rotation,target/notices/lambda,--no-default-features --features lambda)
	$(REPRODUCIBLE) cargo build --release $(LOCKED) --package secretcache-rotation --bin bootstrap --no-default-features \
		--features lambda $(if $(LAMBDA_TARGET),--target $(LAMBDA_TARGET))
	@tests/tools/pack_function.py target/$(if $(LAMBDA_TARGET),$(LAMBDA_TARGET)/)release/bootstrap \
		dist/secretcache-rotation-$(LAMBDA_ARCHITECTURE).zip --notices target/notices/lambda $(CA)
	$(COMPLETE) dist/secretcache-rotation-$(LAMBDA_ARCHITECTURE).zip

CRATES := secretcache secretcache-rotation secretcache-access secretcache-local secretcache-cli
.PHONY: crates
crates: ## Pack the crates and compile each from its package, as `cargo publish` does
	cargo package $(LOCKED) $(CRATES:%=--package %)

PREFIX ?= /usr/local
install-c: ## Install the C and C++ library: make install-c PREFIX=/usr/local [LIBDIR=…] [DESTDIR=…]
	$(REPRODUCIBLE) cargo build --release --package secretcache-c $(LOCKED)
	bindings-c/install target/release $(abspath $(PREFIX))

uninstall-c: ## Remove what install-c installed, with the same PREFIX and DESTDIR
	bindings-c/uninstall $(abspath $(PREFIX))

dist-c: $(VENV)/build/.stamp ## Build the C and C++ library as a tarball: dist/secretcache-c-*.tar.gz
	$(call notices,secretcache-c,target/notices/c)
	$(BUILD_TOOLS) $(REPRODUCIBLE) cargo $(if $(GLIBC),zigbuild,build) --release --package secretcache-c $(LOCKED) \
		--target $(HOST)$(GLIBC:%=.%)
	rm -f dist/secretcache-c-*.tar.gz*
	NOTICES=target/notices/c $(REPRODUCIBLE) bindings-c/dist target/$(HOST)/release dist
	$(COMPLETE) dist/secretcache-c-*.tar.gz

# Not in `make test`, because what they need is large or takes long.
test-old-systems: wheel deb ## Install the wheel and the .deb on Debian 11, and read a secret there
	packaging/try-debian-11 dist/*.whl dist/cli/*.deb

# PYTHON=FILE tests with that interpreter.
test-free-threaded: venv-tests venv-databases servers build ## Test the Python packages on free-threaded CPython, without the global lock
	packaging/try-free-threaded

REPRODUCED ?= wheel sdist node wheel-cli deb rpm lambda dist-c
reproduce: $(VENV)/build/.stamp ## Build everything in two folders and compare the bytes (an hour or more; REPRODUCED="wheel deb")
	packaging/reproduce $(REPRODUCED)

test-install: venv-tests servers build
	$(PYTEST) tests/local/test_install.py

release-check: ## Check what a release needs as far as one machine can, without publishing (an hour or more)
	@$(STEP) 1/7 "checking versions and changelog" packaging/version.py --ready
	@$(STEP) 2/7 "packing and compiling the crates" $(MAKE) crates
	@$(STEP) 3/7 "packing Python's sources, and installing them with pip alone" $(MAKE) test-sdist
	@$(STEP) 4/7 "building the packages, with notices and SBOM in each" $(MAKE) wheel node wheel-cli npm-cli deb rpm lambda dist-c
	@$(STEP) 5/7 "installing the wheels in an empty environment" packaging/try-wheels dist/*.whl dist/cli/*.whl
	@$(STEP) 6/7 "linking programs with the unpacked C library" packaging/try-c dist/secretcache-c-*.tar.gz
	@$(STEP) 7/7 "rotating a database, starting from pip install" env SECRETCACHE_CLI_WHEEL="$$(echo dist/cli/*.whl)" $(MAKE) test-install

header-c: $(CBINDGEN) ## Regenerate secretcache.h
	bindings-c/header $(CBINDGEN) bindings-c/include
