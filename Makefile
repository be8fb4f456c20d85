# Two commands for everybody: `make demo` and `make test`. Each makes the environment that it needs.
PYTHON ?= python3
INPUT ?= samples
OUTPUT ?= out

.PHONY: demo test check clean

demo: .venv-demo/installed
	.venv-demo/bin/unrain clean $(INPUT) -o $(OUTPUT)
	.venv-demo/bin/python samples/side_by_side.py $(INPUT) $(OUTPUT)

test: check
	.venv/bin/python -m pytest

check: .venv/installed
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy

.venv-demo/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-demo
	.venv-demo/bin/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable .
	touch $@

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	.venv/bin/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

clean:
	rm -rf .venv .venv-demo out
