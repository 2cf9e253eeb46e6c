# Everything a person does with this repository. It needs Python 3.11+ and make, and installs the rest.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
UV_VERSION := 0.13.9
WORKERS ?= 2

.PHONY: help install up test test-unit test-integration test-cluster test-cluster-chaos soak-cluster crds lint fmt bench lock clean test-hostile fuzz

help: ## Show what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  \033[1m%-18s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(BIN)/uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Christmas needs Python 3.11 or newer: make PYTHON=python3.13 install"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

.venv/installed: requirements.lock pyproject.toml strategy-runtime/pyproject.toml operator/pyproject.toml | $(BIN)/uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps -e strategy-runtime -e operator
	@touch $@

install: .venv/installed ## Prepare .venv, so that .venv/bin/christmas works

up: .venv/installed ## Run the example fleet on this machine, embedded stores included
	$(BIN)/christmas up examples

test: test-unit test-integration test-cluster ## All tests, fast first

test-unit: .venv/installed ## Only what needs no server
	$(BIN)/pytest tests/unit -n $(WORKERS) --dist loadfile -q

test-integration: .venv/installed ## Real servers: Valkey, PostgreSQL and TimescaleDB, whole fleets, faults and kills
	$(BIN)/pytest tests/model tests/bad_input tests/fuzz tests/integration -q

test-hostile: .venv/installed ## The order life against its model, bad input, and fuzzing for a few seconds
	$(BIN)/pytest tests/model tests/bad_input tests/fuzz -q

MINUTES ?= 10
fuzz: .venv/installed ## Fuzz everything that comes in from outside, for MINUTES in all
	$(BIN)/python -m tests.fuzz --minutes $(MINUTES)

# CHRISTMAS_TEST_CLUSTER: a command that brings a cluster up with our images in it and prints what to eval.
test-cluster: .venv/installed ## The chart, and the fleet on the cluster that KUBECONFIG names
	@set -e; if [ -n "$$CHRISTMAS_TEST_CLUSTER" ]; then handed="$$($$CHRISTMAS_TEST_CLUSTER)"; eval "$$handed"; fi; \
	$(BIN)/pytest tests/chart tests/cluster -q

test-cluster-chaos: .venv/installed ## Only what takes every part of an installation away in turn (8 min)
	$(BIN)/pytest tests/cluster/test_chaos.py -q

soak-cluster: .venv/installed ## Apply, change, suspend and delete 30 Strategies at random for MINUTES on KUBECONFIG's cluster
	$(BIN)/python -m tests.cluster.soak --minutes $(MINUTES)

crds: .venv/installed ## Generate crds/ from the models in christmas.resources
	$(BIN)/python -m christmas_operator.crds
	cp crds/*.yaml charts/christmas/crds/

lint: .venv/installed ## ruff, flake8, mypy strict, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/flake8 strategy-runtime operator tests
	$(BIN)/mypy
	$(BIN)/lint-imports

fmt: .venv/installed ## Format and mend what can be mended
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: .venv/installed ## Measure speed and memory, side by side with what they are compared to
	$(BIN)/python tests/benchmarks/run.py

lock: | $(BIN)/uv ## Resolve the dependencies anew
	$(BIN)/uv pip compile --quiet --upgrade --universal --generate-hashes --no-emit-index-url --no-header \
	  --no-emit-package christmas --no-emit-package christmas-operator --group dev --all-extras pyproject.toml -o requirements.lock

clean: ## Remove the environment and caches
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis
