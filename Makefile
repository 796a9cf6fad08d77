# Everything here works on an environment that `python3 run.py test` has built in .venv;
# `make check VENV=/elsewhere` takes another one.
VENV ?= .venv
PYTHON = $(VENV)/bin/python
SOURCES = engine workers tests benchmarks examples run.py

.PHONY: check fmt format-check lint types imports test bench

check: format-check lint types imports test

fmt:
	$(PYTHON) -m ruff format $(SOURCES)
	$(PYTHON) -m ruff check --fix $(SOURCES)

format-check:
	$(PYTHON) -m ruff format --check $(SOURCES)

lint:
	$(PYTHON) -m ruff check $(SOURCES)

types:
	$(PYTHON) -m mypy

imports:
	PYTHONPATH=engine:workers $(VENV)/bin/lint-imports

test:
	$(PYTHON) -m pytest

bench:
	$(PYTHON) -m benchmarks $(BENCH)
