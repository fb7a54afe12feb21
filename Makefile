PYTHON ?= python3
BIN := .venv/bin

run: .venv/.installed
	$(BIN)/quarterdeck

test: check
	$(BIN)/python -m pytest -n auto

check: .venv/.installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/deptry .

cov: .venv/.installed
	$(BIN)/coverage run -m pytest
	$(BIN)/coverage combine
	$(BIN)/coverage report --fail-under=90

bench: .venv/.installed
	$(BIN)/python -m benchmarks

shots: .venv/.installed
	$(BIN)/python -m benchmarks.shots

.venv/.installed: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[dev]"
	touch $@

.PHONY: run test check cov bench shots
