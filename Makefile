# Everything a checkout can do. `make` alone lists it.
# Each stamp is named after a hash of what it depends on, so a step that is done costs nothing and needs no network.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV := .venv
PY := $(VENV)/bin/python
comma := ,
PIP := $(PY) -m pip --disable-pip-version-check
LOCKED := install --no-deps --require-hashes
hash = $(shell { $(1); } | sha256sum | cut -c1-16)

STAMPS := $(VENV)/stamps
# Of pyproject.toml only what comes before the tables of tools: a new lint rule installs nothing.
BASE := $(STAMPS)/base-$(call hash,sed '/^\[tool/$(comma)$$d' pyproject.toml; \
	cd packaging; cat requirements.lock requirements-build.lock requirements-llama.lock llama_wheel.py; echo $(CURDIR))
DEV := $(STAMPS)/dev-$(call hash,cat packaging/requirements-dev.lock; echo $(notdir $(BASE)))
MODELS := $(STAMPS)/models-$(call hash,cat models/catalog.py; echo "$(HOME) $(XDG_DATA_HOME) $(AGENTFLOW_DATA) $(AGENTFLOW_MODELS)")

# Every program that a test starts would compile all sources again.
unexport PYTHONDONTWRITEBYTECODE

CHECKS = $(VENV)/bin/ruff check . && $(VENV)/bin/ruff format --check . && $(VENV)/bin/mypy && $(VENV)/bin/lint-imports
ON_ALL_PROCESSORS := -n auto --maxprocesses 8 --max-worker-restart 0 --dist loadfile --no-loadscope-reorder
# One test has its own bound (tests/bounds.py); this one is for a run that is slow as a whole.
TESTS_MAX_MIN := 60
BOUNDED = timeout --foreground --signal INT --kill-after 60 $(TESTS_MAX_MIN)m

.PHONY: help setup demo test check pyz lock clean

help:  ## list what can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-7s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

setup: $(BASE) $(MODELS)  ## .venv with the af command, and the local models
	@echo "ready: $(VENV)/bin/af --help"

demo: $(BASE) $(MODELS)  ## set up, then answer three customers of a bank, offline
	@$(VENV)/bin/af demo support

# Every processor runs tests, and the checks run beside them. Checks that fail are printed whole when they do, and the
# last lines say all of it again in short: many see no more than those.
test: $(DEV) $(MODELS)  ## set up, then every check and every test
	@( $(CHECKS) ) >$(VENV)/checks.log 2>&1 || { cat $(VENV)/checks.log; exit 1; } & checks=$$!; \
	$(BOUNDED) $(PY) -m pytest $(ON_ALL_PROCESSORS) || tests=$$?; \
	wait $$checks || { failed=1; tail -n 6 $(VENV)/checks.log; echo "checks: failed, see $(VENV)/checks.log"; }; \
	case $${tests:-0} in \
	0) echo "tests: passed";; \
	124 | 137) echo "tests: not done after $(TESTS_MAX_MIN) minutes and ended; what ran then is named above";; \
	*) echo "tests: failed ($$tests)";; \
	esac; exit $${tests:-$${failed:-0}}

check: $(DEV)  ## the checks that run nothing: style, types, layers
	$(CHECKS)

pyz: $(BASE)  ## dist/agentflow.pyz, the one file
	$(PY) packaging/build.py

lock:  ## resolve the requirements again (uses uv)
	bash packaging/lock.sh

clean:  ## remove what was built; .venv and the caches of the user stay
	rm -rf build dist .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

$(PY):
	@bash packaging/venv.sh $(VENV)

# The model library compiles while the rest is fetched.
$(BASE): | $(PY)
	$(PY) packaging/llama_wheel.py >$(VENV)/llama-wheel & compiling=$$!; trap 'kill $$compiling 2>/dev/null || :' EXIT; \
	$(PIP) $(LOCKED) -r packaging/requirements.lock -r packaging/requirements-build.lock; wait $$compiling
	$(PIP) install --no-deps --no-index --force-reinstall "$$(cat $(VENV)/llama-wheel)"
	$(PIP) install --no-deps --no-index --no-build-isolation --editable .
	@mkdir -p $(STAMPS); rm -f $(STAMPS)/base-*; touch $@

$(DEV): $(BASE)
	$(PIP) $(LOCKED) -r packaging/requirements-dev.lock
	@rm -f $(STAMPS)/dev-*; touch $@

$(MODELS): | $(BASE)
	$(VENV)/bin/af models fetch
	@touch $@
