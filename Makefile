# Everything a checkout needs. `make` alone lists the targets; each sets up by itself what it needs, once.
# Beforehand: git, make, Python 3.11 or newer with venv (`PYTHON=…` names one). Works with GNU Make 3.81 and newer.

VENV := .venv
PY := $(VENV)/bin/python
READY := $(VENV)/.ready
DASHBOARD := app/dashboard
BUILT := $(DASHBOARD)/dist/index.html
MODULES := $(DASHBOARD)/node_modules/.package-lock.json
# Folders are listed too: their time changes when a file in them is deleted.
SOURCES := $(wildcard $(addprefix $(DASHBOARD)/,*.html *.json *.ts)) \
           $(shell find $(DASHBOARD)/src $(DASHBOARD)/public 2>/dev/null)

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PYTHON

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup demo up test check check-python check-dashboard bench migrate dashboard backup restore clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' Makefile
	@echo
	@echo "  ARGS=… is passed on: make demo ARGS=--exit, make test ARGS='tests/unit -x'"

setup: $(READY) ## Make the virtual environment .venv, or bring it up to date

demo: $(READY) $(BUILT) ## Find the planted label errors in the digits, then show them at http://127.0.0.1:8000
	@$(PY) -m tools.demo $(ARGS)

up: $(READY) $(BUILT) ## Serve the API and the dashboard, with a worker
	@$(PY) -m app up $(ARGS)

# Three processes, since the tests mostly wait for servers and trainings; one thread each. A file's tests stay together,
# and the files are taken in the order of tests/conftest.py: those that last longest first.
test: $(READY) $(BUILT) ## Run every test, the dashboard's and the browser's too
	@tools/npm.sh --silent test
	@OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} $(PY) -m pytest -n $${TEST_PROCESSES:-3} --dist loadfile --no-loadscope-reorder $(ARGS)

check: ## Lint, types and import contracts, in Python and in the dashboard
	@$(MAKE) --silent --no-print-directory $(READY) $(MODULES)
	@$(MAKE) --no-print-directory -j2 check-python check-dashboard

check-python: $(READY)
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/lint-imports --no-logo
	@$(VENV)/bin/mypy

check-dashboard: $(MODULES)
	@tools/npm.sh --silent run check
	@tools/npm.sh --silent run lint

# All but those that are given a DATA_FOLDER, which is not here.
bench: ARGS ?= --quick
bench: $(READY) ## Run the benchmarks in their short form (ARGS=--check: at full size, and fail below a bar)
	@status=0; for script in $$(grep -L DATA_FOLDER benchmarks/[a-z]*.py); do \
	  name=$$(basename $$script .py); echo "== $$name $(ARGS)"; \
	  $(PY) -m benchmarks.$$name $(ARGS) || status=1; \
	done; exit $$status

migrate: $(READY) ## Bring the database's tables up to date
	@$(PY) -m alembic upgrade head

dashboard: $(BUILT) ## Build the dashboard, if its sources have changed

backup: $(READY) ## Write the database and the payloads to FILE=….tar
	@$(PY) -m tools.backup save "$(FILE)"

restore: $(READY) ## Read FILE=….tar into an empty database and data folder
	@$(PY) -m tools.backup restore "$(FILE)"

clean: ## Remove what was installed, built or cached here; data/ stays
	rm -rf $(VENV) $(DASHBOARD)/node_modules $(DASHBOARD)/dist build ./*.egg-info
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find app benchmarks migrations sondage store tests tools worker -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): pyproject.toml constraints.txt tools/setup.sh
	@tools/setup.sh

$(MODULES): $(DASHBOARD)/package.json $(DASHBOARD)/package-lock.json tools/npm.sh | $(READY)
	@tools/npm.sh ci
	@touch $@

$(BUILT): $(MODULES) $(SOURCES)
	@tools/npm.sh --silent run build
