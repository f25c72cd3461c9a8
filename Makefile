# make setup     .venv with evornn and its test tools, in the versions of constraints.txt
# make demo      train, compare and report on the sunspots: installs only the core, without extras
# make test      lint, then the tests of up to 5 seconds each; where CI is set, all tests
# make coverage  all tests, and which files they cover least
# make lint      ruff, mypy, import-linter
# make docs      the documentation as a site, in site/; fails on broken links
# make reference what is made from the catalog: pages in docs/reference, and its size in README.md and docs/index.md
# make bench     every benchmark, one after the other, at small sizes
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Modules are compiled when they are first imported, and kept: most of what is installed never is, and tests start hundreds of
# processes, each of which would compile all that it imports again.
unexport PYTHONDONTWRITEBYTECODE
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --constraint constraints.txt
# Some distributions split ensurepip from Python: then the pip that is there puts one into the environment.
WITHOUT_ENSUREPIP := $(PYTHON) -m venv --clear --without-pip $(VENV) && $(PYTHON) -m pip --python $(BIN)/python install --quiet pip

BENCHMARKS := $(basename $(notdir $(shell grep -l __main__ benchmarks/*.py 2>/dev/null))) papers

.PHONY: setup demo test coverage lint style docs reference bench clean

setup: $(VENV)/.test

demo: $(VENV)/.evornn
	$(BIN)/evornn run examples/sunspots.yaml --report sunspots.html

# Long files begin first (tests/conftest.py), so that no worker is left with one at the end. On a new machine the checks of types
# and layers take minutes: where CI is set, beside the tests, which often wait.
PYTEST := $(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder

test: $(if $(CI),style,lint)
	$(if $(CI),($(BIN)/lint-imports && $(BIN)/mypy) & checks=$$!; $(PYTEST) || exit; wait $$checks,$(PYTEST) -m "not slow")

coverage: $(VENV)/.test
	$(PYTEST) --cov --cov-report=
	@$(BIN)/coverage report | awk 'NR <= 32 || /^TOTAL/'

lint: style
	$(BIN)/mypy
	$(BIN)/lint-imports

style: $(VENV)/.test
	$(BIN)/ruff check
	$(BIN)/ruff format --check

docs: $(VENV)/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	@echo "The documentation is in site/: open site/index.html"

reference: $(VENV)/.evornn
	$(BIN)/python -m evornn.experiments.catalog_pages docs/reference README.md docs/index.md

bench: $(VENV)/.bench
	@set -e; for name in $(BENCHMARKS); do echo "== $$name"; $(BIN)/python -m benchmarks.$$name --quick; done

clean:
	rm -rf $(VENV) build dist site *.egg-info

# The stamps: an installation is done again when what it is made from changes, and never otherwise.
$(VENV)/.evornn: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "evornn needs Python 3.11 or newer: make PYTHON=python3.11")'
	@echo "Installing evornn into $(VENV), which takes a minute or two ..."
	$(PYTHON) -m venv $(VENV) || { $(WITHOUT_ENSUREPIP); }
	$(PIP_INSTALL) --editable .
	@touch $@

$(VENV)/.test: $(VENV)/.evornn
	$(PIP_INSTALL) --editable '.[test]'
	@touch $@

$(VENV)/.docs: $(VENV)/.evornn
	$(PIP_INSTALL) --editable '.[docs]'
	@touch $@

$(VENV)/.bench: $(VENV)/.evornn
	$(PIP_INSTALL) --editable '.[bench]'
	@touch $@
