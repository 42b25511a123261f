# Each target does the set-up that it needs in .venv, asks nothing, and is instant when there is nothing to do.
.DEFAULT_GOAL := help
SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1
PIP := $(BIN)/python -m pip install --progress-bar on --no-input

RUN := $(VENV)/.run-installed
DEV := $(VENV)/.dev-installed
PACKAGES := contract spool vibration edge gateway cloud simulators shopfloor
UV_COMPILE := $(BIN)/uv pip compile pyproject.toml --quiet --universal --generate-hashes --no-annotate --no-header

.PHONY: help setup demo test check bench golden e2e compose-test lock clean

help:  ## show this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## (.*)/  make \1\t\2/' | expand -t 20
	@echo
	@echo '  SHOPFLOOR_PORT (8080) and SHOPFLOOR_HOME (./.shopfloor) choose the port and the folder of the demo.'

$(BIN)/python:
	@python=; for each in python3 python3.13 python3.12 python3.11; do \
	  $$each -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && python=$$each && break; done; \
	if [ -z "$$python" ]; then echo 'make: Python 3.11 to 3.13 is needed, and none was found; install one (python3.11 and python3.11-venv)' >&2; exit 2; fi; \
	echo "making $(VENV) with $$($$python --version)"; $$python -m venv $(VENV)

# what the demo needs; the smaller half, so that the first demo starts soon
$(RUN): $(BIN)/python requirements-demo.lock pyproject.toml
	$(PIP) --require-hashes -r requirements-demo.lock
	$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

$(DEV): $(RUN) requirements.lock
	$(PIP) --require-hashes -r requirements.lock
	@touch $@ $(RUN)

setup: $(DEV)  ## install everything that development needs into .venv

demo: $(RUN)  ## start the whole plant and print the link to it (Ctrl-C ends it)
	@exec $(BIN)/shopfloor demo $(ARGS)

test: $(DEV)  ## run the tests (not the end-to-end and the slow ones)
	$(BIN)/pytest -n 4 --dist loadfile --no-loadscope-reorder -m 'not e2e and not load and not slow' $(ARGS)

.PHONY: slow
slow: $(DEV)  ## run the tests that take long, each for itself
	$(BIN)/pytest -n 2 -m slow --timeout 1200 -o faulthandler_timeout=1190 $(ARGS)

e2e: $(DEV)  ## run the end-to-end tests: the whole plant from the command line
	$(BIN)/pytest -m 'e2e and not slow' --timeout 600 -o faulthandler_timeout=590 tests/plant $(ARGS)

.PHONY: load
load: $(DEV)  ## exceed each limit of the cloud from a second process while a healthy client is timed
	$(BIN)/pytest -n 0 -m load --timeout 300 -o faulthandler_timeout=290 tests/cloud/test_load.py $(ARGS)

compose-test: $(DEV)  ## build the containers, run the plant in them, break it, look whether anything is lost
	$(BIN)/python tests/compose/run.py $(ARGS)

check: $(DEV)  ## style, types, import contracts, generated files, the console
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python .ci/golden.py --check
	$(BIN)/python .ci/console.py

golden: $(DEV)  ## write the generated files anew
	$(BIN)/python .ci/golden.py

bench: $(DEV)  ## measure the chain: delay, rates, memory, query times
	$(BIN)/python bench/run.py $(ARGS)

.PHONY: chaos crashes fuzz mutants
chaos: $(DEV)  ## harm a factory on purpose and check that nothing is lost (LONG=1: an hour)
	$(BIN)/shopfloor chaos --seconds $(if $(LONG),3600,90) $(ARGS)

crashes: $(DEV)  ## open the spool in more than ten thousand crash states (LONG=1: every byte)
	$(BIN)/python -m robustness.crashes --step $(if $(LONG),1,8) $(if $(LONG),--seconds 7200) $(ARGS)

fuzz: $(DEV)  ## odd bytes for each decoder and each driver, a minute each (LONG=1: ten)
	$(BIN)/python -m robustness.fuzz --seconds $(if $(LONG),600,60) $(ARGS)

mutants: $(DEV)  ## break our own code in many ways and see that the checks find it
	$(BIN)/python -m robustness.mutants $(ARGS)

lock: $(DEV)  ## resolve the dependencies anew (needs uv in .venv)
	@test -x $(BIN)/uv || $(PIP) uv
	$(UV_COMPILE) --all-extras --group build --group dev -o requirements.lock
	$(UV_COMPILE) --extra demo --group build -c requirements.lock -o requirements-demo.lock
	$(UV_COMPILE) --extra drivers --extra provision --group build -c requirements.lock -o requirements-edge-gateway.lock
	$(UV_COMPILE) --extra simulators -c requirements.lock -o requirements-simulators.lock
	$(UV_COMPILE) --extra cloud --extra postgres --group build -c requirements.lock -o requirements-cloud.lock

clean:  ## remove what was installed and built; the data in SHOPFLOOR_HOME stays
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	rm -rf cloud/console/node_modules cloud/console/dist
	find $(PACKAGES) robustness tests bench -name __pycache__ -type d -prune -exec rm -rf {} +
