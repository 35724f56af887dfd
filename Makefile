# Each target works as the first command in a fresh checkout; see CONTRIBUTING.md.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
TEST_WORKERS ?= 2
PYTEST_ARGS ?=
BENCH_ARGS ?=

export PATH := $(CURDIR)/.cache/go/bin:$(PATH)
BIN := .venv/bin
SERVER := .venv/.server-installed
DEV := .venv/.dev-installed
LIBRARIES := src/cairn/web/static/lib/libraries.json
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header

.PHONY: help setup up system-packages test test-nightly test-shaken check fix bench docs lock clean

help: ## Show this list.
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/^([a-z-]+):.*## /make \1\t/' | expand -t 20

setup: $(DEV) $(LIBRARIES) ## Make .venv with everything in it.

up: $(SERVER) $(LIBRARIES) ## Run Cairn on this machine: http://127.0.0.1:3000 and ssh port 2222.
	@exec $(BIN)/cairnd up

system-packages:
	@scripts/system-packages
	@scripts/recent-go

test: $(DEV) $(LIBRARIES) system-packages ## Run every test but the nightly ones; PYTEST_ARGS=tests/git narrows it.
	@$(BIN)/pytest -m "not nightly" -n $(TEST_WORKERS) --dist loadfile $(PYTEST_ARGS)

test-nightly: $(DEV) $(LIBRARIES) system-packages ## Run the tests that take too long for each commit.
	@TEST_SEED=$${TEST_SEED:-$$RANDOM$$RANDOM} HYPOTHESIS_PROFILE=nightly \
	    $(BIN)/pytest -m nightly --timeout 3600 $(PYTEST_ARGS)

test-shaken: $(DEV) $(LIBRARIES) system-packages ## Run the suite with pauses as a busy machine makes them; SHAKE=0.003 for more.
	@SHAKE=$${SHAKE:-0.001} PYTHONPATH=$(CURDIR)/tests/shaken \
	    $(BIN)/pytest -m "not nightly" -n $(TEST_WORKERS) --dist loadfile $(PYTEST_ARGS)

check: $(DEV) ## Check format, lint, types, import direction, templates and tidiness.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	@scripts/check-templates $(BIN)/djlint
	$(BIN)/pytest -q tests/test_tidy.py

fix: $(DEV) ## Format, and repair what the linter can repair.
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(DEV) system-packages ## Measure beside nginx and stock git; writes bench/RESULTS.md.
	@$(BIN)/python -m bench $(BENCH_ARGS)

docs: $(DEV) ## Write the generated pages of docs/reference.
	@$(BIN)/python -m cairn.programs.reference docs/reference

# dev.txt is a superset of the other two, and they are held to its versions.
lock: $(DEV) ## Lock the dependencies again; add UPGRADE=--upgrade for newer ones.
	$(COMPILE) $(UPGRADE) pyproject.toml --extra server --group dev -o requirements/dev.txt
	$(COMPILE) pyproject.toml --extra server -c requirements/dev.txt --no-annotate -o requirements/server.txt
	$(COMPILE) --group build -c requirements/dev.txt --no-annotate -o requirements/build.txt
	cd assets && PATH="$(CURDIR)/$(BIN):$$PATH" npm $(if $(UPGRADE),update,install) --package-lock-only

clean: ## Remove .venv and what the tools left behind.
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache $(dir $(LIBRARIES))

.venv/bin/python:
	@scripts/make-venv "$(PYTHON)" .venv

# What `make up` needs: the server's libraries, and Cairn itself as an editable install (its build tools are locked too).
$(SERVER): requirements/server.txt requirements/build.txt pyproject.toml | .venv/bin/python
	@echo "Installing Cairn and its libraries into .venv ..."
	@$(BIN)/python -m pip install --quiet --require-hashes -r requirements/server.txt -r requirements/build.txt
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

# What pages load into the browser. Never fails: without npm or network pages do without.
$(LIBRARIES): assets/package.json assets/package-lock.json assets/codemirror.mjs scripts/browser-libraries | $(SERVER)
	@$(BIN)/python scripts/browser-libraries

$(DEV): requirements/dev.txt $(SERVER)
	@echo "Installing the development tools into .venv ..."
	@$(BIN)/python -m pip install --quiet --require-hashes -r requirements/dev.txt
	@touch $@
