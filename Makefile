# Set-up happens by itself: every target needs .venv/.ready, which is renewed when the lock file changes.
.DEFAULT_GOAL := help
SHELL := /bin/bash
BIN := .venv/bin
export OMP_WAIT_POLICY := PASSIVE
export NO_MKDOCS_2_WARNING := 1
export PATH := $(CURDIR)/.venv/bin:$(PATH)
TESTS := $(BIN)/pytest -q -n 2 --dist loadgroup

.PHONY: help setup demo test quick check docs bench fix lock clean

help: ## show this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

.venv/.ready: requirements.lock pyproject.toml tools/setup.sh
	@bash tools/setup.sh

setup: .venv/.ready ## install everything into .venv

demo: setup ## the main job on real recorded answers, with a report
	@$(BIN)/homespun demo

test: check ## lint, types, layers, then every test
	$(TESTS)

quick: setup ## the tests that take under a minute together
	$(TESTS) -m "not slow"

check: setup ## lint, format, types, layers, dependencies, spelling
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/deptry src
	$(BIN)/typos
	$(BIN)/pyright

docs: setup ## build the documentation, strictly
	$(BIN)/mkdocs build --strict

bench: setup ## every claim of speed, beside a named peer; JSON on stdout
	@for script in bench/*.py; do $(BIN)/python $$script || exit 1; done

fix: setup ## mend what can be mended by itself
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/python tools/cli_docs.py

lock: ## renew requirements.lock from pyproject.toml
	@test -x $(BIN)/python || python3 -m venv .venv
	$(BIN)/python tools/lock.py

clean: ## remove the environment and what was built
	rm -rf .venv site build dist
