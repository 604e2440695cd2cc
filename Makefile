# Two commands do everything on a machine with Python 3.11 and a C++ compiler:
#   make demo   installs, fetches samples and models, runs tonight's recall, prints where the report is
#   make test   installs, checks style, types and the direction of imports, runs the tests

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test lint install bench requirements clean

demo: install
	$(BIN)/nightjar demo

# Two processes, a file at a time: tests of one file share what their fixtures set up.
test: lint
	$(BIN)/python -m pytest -n 2 --dist loadfile

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: install
	$(BIN)/nightjar bench all --output benchmarks/reports

install: $(VENV)/.installed

# uv resolves nothing here: every version and hash is pinned. --compile-bytecode spares each worker three quarters
# of its start.
$(VENV)/.installed: requirements.txt pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || python3 -m venv $(VENV)
	$(BIN)/python -c 'import sys; assert sys.version_info[:2] == (3, 11), "Nightjar needs Python 3.11, found " + sys.version'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps --only-binary :all: -r requirements-uv.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode --require-hashes -r requirements.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	touch $@

# After changing a dependency in pyproject.toml.
requirements: install
	$(BIN)/uv pip compile --quiet --python-version 3.11 --python-platform x86_64-manylinux_2_28 --generate-hashes --extra dev --no-header --no-emit-index-url pyproject.toml -o requirements.txt

clean:
	rm -rf $(VENV) nightjar-demo
