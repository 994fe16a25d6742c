# Every task of this repository. `make` alone lists them.
#
# The virtual environment is made on first use. A stamp says what is in it: `demo` holds the core and the demo's
# data, `imaging` MONAI and the brain, `test` everything. All are laid again when pyproject.toml changes.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
# In the same pip call as the rest, or pip would choose a torch of its own: one with gigabytes of CUDA.
TORCH ?= torch==2.13.0
# Test processes side by side. Tests start processes of their own, so not one for every core of a big machine.
JOBS ?= 2

BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: help demo demo-crash demo-imaging test check lint types generated arch docs stubs bench bench-peers bench-scale bench-pages clean

help: ## List these tasks
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: .venv/.stamp-demo ## Four clinics train one model on this machine: real kits, TLS, real patient records
	$(BIN)/rondo demo

demo-crash: .venv/.stamp-demo ## The same, while server, clients and workers are killed: nothing is lost
	$(BIN)/rondo demo --crash

demo-imaging: .venv/.stamp-imaging ## Four simulated scanners segment a real brain: an MMAR of Clara, MONAI, some minutes
	$(BIN)/python examples/brain-mri/demo.py

# The big part last: what failed stands at the end, where a reader of a log looks first.
test: .venv/.stamp-test ## Run every test
	@tools/debian
	@failed=0; \
	$(BIN)/python -m pytest -m serial || failed=1; \
	$(BIN)/python -m pytest -m "not serial" -n $(JOBS) --dist=worksteal --durations=15 || failed=1; \
	exit $$failed

check: lint types generated arch ## Everything that CI holds besides the tests (`make -k check`: go on after a fault)

lint: .venv/.stamp-test ## Style and formatting (ruff)
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: .venv/.stamp-test ## Types (mypy, strict)
	$(BIN)/mypy

generated: .venv/.stamp-test ## Are the generated stubs and reference pages those of the code?
	$(BIN)/python tools/stubs.py --check
	$(BIN)/python tools/docs.py --check
	$(BIN)/python -m benchmarks.pages --check

arch: .venv/.stamp-test ## Floors and house rules
	$(BIN)/python -m pytest -q -m "not serial" tests/arch

docs: .venv/.stamp-test ## Write the reference pages from the code
	$(BIN)/python tools/docs.py

stubs: .venv/.stamp-test ## Write the code for the wire from rondo.proto
	$(BIN)/python tools/stubs.py

bench: .venv/.stamp-test ## Measure Rondo alone, under 10 minutes, into benchmarks/results/rondo.json
	$(BIN)/python -m benchmarks $(BENCH)

bench-peers: .venv/.stamp-test ## Rondo beside NVFlare and Flower, in turn on this machine (BENCH="--quick": does it work?)
	$(BIN)/python -m benchmarks.peers $(BENCH)

bench-scale: .venv/.stamp-test ## How seconds and memory grow, 1 MB to 2 GB and 1 to 32 clients
	$(BIN)/python -m benchmarks.scale $(BENCH)

bench-pages: .venv/.stamp-test ## Draw the pictures and write docs/benchmarks.md and the README's figures from what was measured
	$(BIN)/python -m benchmarks.plots
	$(BIN)/python -m benchmarks.pages

clean: ## Remove the virtual environment, caches, and the folders of demos
	rm -rf .venv .bench .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist src/*.egg-info rondo-demo-*
	find src tests tools -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/.stamp-venv:
	@$(PYTHON) -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Rondo needs Python 3.11 or newer with venv (Debian: python3-venv); $(PYTHON) is not that." \
		     "Name another one: make PYTHON=python3.12" >&2; exit 1; }
	@echo "Making .venv with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv .venv
	@touch $@

.venv/.stamp-demo: pyproject.toml | .venv/.stamp-venv
	@echo "Installing Rondo and the demo's data into .venv (once)"
	@$(PIP) --editable '.[demo]'
	@touch $@

.venv/.stamp-imaging: pyproject.toml | .venv/.stamp-venv
	@echo "Installing Rondo, MONAI, nilearn and $(TORCH) into .venv (once, some minutes)"
	@$(PIP) --editable '.[imaging]' '$(TORCH)'
	@touch $@

.venv/.stamp-test: pyproject.toml | .venv/.stamp-venv
	@echo "Installing Rondo, its extras, $(TORCH) and the tools of development into .venv (once, some minutes)"
	@$(PIP) --editable '.[test,dev,demo,sklearn,monai,imaging]' '$(TORCH)'
	@touch .venv/.stamp-demo .venv/.stamp-imaging $@
