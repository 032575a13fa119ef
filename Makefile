# Every target does its own set-up in .venv/. Your pip settings (PIP_INDEX_URL, PIP_EXTRA_INDEX_URL, pip.conf,
# also as `make test PIP_INDEX_URL=...`) reach pip unchanged. Another interpreter: make PYTHON=python3.12 TARGET

PYTHON ?= python3
WORKERS ?= 2
ARGS ?=

BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
# Two workers with spinning thread pools are slower than two with one thread each, by far.
ONE_THREAD := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
QUICKSTART := examples/configs/quickstart.yaml

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help venv demo test test-slow check format data wheel clean

help: ## this list
	@echo "securefl: make TARGET"
	@sed -n 's/^\([a-z][a-z%-]*\):.*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "  %-12s %s\n", $$1, $$2 }'

venv: $(BIN)/.dev ## the development environment: .[all,dev] in .venv

demo: $(BIN)/.core ## the main job: private, masked, robust training on digits; a new folder each time
	@out=runs/quickstart; n=2; \
	while [ -e "$$out" ]; do out="runs/quickstart-$$n"; n=$$((n + 1)); done; \
	echo "securefl run $(QUICKSTART) --out $$out"; \
	$(BIN)/securefl run $(QUICKSTART) --out "$$out"

test: $(BIN)/.dev $(BIN)/.data ## the quick test suite
	$(ONE_THREAD) $(BIN)/python -m pytest -n $(WORKERS) $(ARGS)

test-slow: $(BIN)/.dev $(BIN)/.data ## the slow tests only
	$(ONE_THREAD) $(BIN)/python -m pytest -n $(WORKERS) -m slow $(ARGS)

check: $(BIN)/.dev ## lint, format, types, import contracts: changes nothing
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: $(BIN)/.dev ## apply the formatter and the safe lint fixes
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

data: $(BIN)/.core ## the optional data sets (again, even when already there)
	PYTHON=$(BIN)/python bash scripts/install_data.sh
	@touch $(BIN)/.data

bench-%: $(BIN)/.bench $(BIN)/.data ## one benchmark, e.g. bench-round; writes benchmarks/results/NAME.json
	@test -f benchmarks/$(subst -,_,$*).py || { echo "no benchmark benchmarks/$(subst -,_,$*).py"; exit 2; }
	$(BIN)/python benchmarks/$(subst -,_,$*).py $(ARGS)

wheel: $(BIN)/.dev ## sdist and wheel in dist/
	$(BIN)/python -m build --outdir dist .

clean: ## remove caches and build products; keeps .venv and runs
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -path ./.venv -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "securefl needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) --version 2>&1)."; \
	  echo "Install one (python.org, your package manager, pyenv) and name it: make PYTHON=python3.12 TARGET"; \
	  exit 2; }
	@$(PYTHON) -m venv .venv || { \
	  rm -rf .venv; \
	  echo "'$(PYTHON) -m venv' failed; on Debian and Ubuntu: apt-get install python3-venv"; \
	  exit 2; }

# Stamps: an environment is installed again only when what it is made from has changed.
$(BIN)/.core: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing securefl in .venv (half a minute to some minutes, by your index) ..."
	$(INSTALL) -e .
	@touch $@

$(BIN)/.dev: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing securefl[all,dev] in .venv (one to some minutes, by your index) ..."
	$(INSTALL) -e ".[all,dev]"
	@touch $(BIN)/.core $@

$(BIN)/.bench: $(BIN)/.core
	$(INSTALL) -e ".[bench]"
	@touch $@

$(BIN)/.data: requirements-data.txt scripts/install_data.sh scripts/schools_csv.py | $(BIN)/.core
	PYTHON=$(BIN)/python bash scripts/install_data.sh
	@touch $@
