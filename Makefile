PYTHON ?= python3
BIN := .venv/bin
# The tests wait for servers and browsers as much as they compute: three at a time keep two cores busy.
WORKERS ?= 3
UPGRADE ?=
# A module stays with one worker, and so do its browser and its service, until others have nothing left to do.
SPREAD := --dist worksteal
UNIT_TESTS := tests/unit tests/architecture
LONG_TESTS := tests/fuzz tests/property tests/contracts/test_schemas.py tests/faults/test_rebuild_faults.py

LOCK = $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --no-emit-index-url \
	--no-emit-find-links --group build $(if $(UPGRADE),--upgrade) pyproject.toml

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev hooks run demo check test test-long lint format fuzz bench bench-ui screenshots contracts lock clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## make .venv with what running needs
	@$(PYTHON) scripts/bootstrap.py runtime

setup-dev: ## make .venv with what tests and checks need too
	@$(PYTHON) scripts/bootstrap.py dev

hooks: setup-dev ## check style and layers at each commit of this checkout
	@git config core.hooksPath scripts/hooks

run: setup ## run Ops and the reference portal; Ctrl-C stops both
	@exec $(BIN)/ops-service dev

demo: setup ## the same on a scratch database with three days of made-up traffic, which goes on
	@exec $(BIN)/python -m scripts.demo

test: setup-dev ## run every test (ARGS="tests/unit -k fold" narrows it)
	-@$(BIN)/python -m tests.servers.chromium
	@$(BIN)/python -m pytest -q -n $(WORKERS) $(SPREAD) $(ARGS)

test-long: setup-dev ## what could go on for ever, further than `make test` goes (LONG="tests/fuzz" narrows it)
	@TESTS_LONG=1 $(BIN)/python -m pytest -q -n $(WORKERS) $(SPREAD) $(or $(LONG),$(LONG_TESTS))

check: lint ## for every save: lint and the tests that need no database and no server
	@$(BIN)/python -m pytest -q -n 2 $(UNIT_TESTS)

lint: setup-dev ## style, formatting, types, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup-dev ## let ruff rewrite what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

fuzz: setup-dev ## fuzz for long (FUZZ_EXAMPLES=1000000 requests)
	@FUZZ_EXAMPLES=$(or $(FUZZ_EXAMPLES),1000000) $(BIN)/python -m pytest -q -n $(WORKERS) tests/fuzz

bench: setup-dev ## measure ingest, funnel, rebuild and the emitter on this machine
	@for name in ingest funnel rebuild emit; do echo "== $$name"; $(BIN)/python -m bench.$$name || exit 1; done

bench-ui: setup-dev ## measure the desk in a browser
	@for name in ui live; do echo "== $$name"; $(BIN)/python -m bench.$$name || exit 1; done

screenshots: setup-dev ## take the pictures in docs/screenshots from a demo of their own
	$(BIN)/python -m scripts.screenshots

contracts: setup-dev ## write the schemas and the AsyncAPI document in docs/contracts anew
	$(BIN)/python -m scripts.contract_documents

lock: setup-dev ## pin what pyproject.toml asks for (UPGRADE=1 takes newer versions)
	$(LOCK) --output-file requirements.lock
	$(LOCK) --extra redis --group dev --constraint requirements.lock --output-file requirements-dev.lock

clean: ## remove the environment and every cache
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build portal_hooks/build *.egg-info portal_hooks/*.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
