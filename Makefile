# Everything works on a fresh clone with make and Python 3.11 or later; .venv holds the rest.
# PYTHON=… chooses the interpreter of a new .venv, ARGS=… goes on to what is run.

VENV := .venv
BIN := $(VENV)/bin
LOCK := requirements-dev.lock

# Named after what it stands for, so no file's time matters: another lock, another pyproject or
# another place (scripts in a venv hold its path) is another stamp.
STAMP := $(VENV)/installed-$(shell { pwd; cat pyproject.toml $(LOCK); } | cksum | tr -dc 0-9)

PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input

.PHONY: help run test lint format observe-test image-test autobahn bench bench-quick bench-peers lock clean
help:
	@echo "make run     start the demo: a proxy, two echo servers and commands to try"
	@echo "make test    check style, types and import rules, and run all tests"
	@echo "make lint    only the checks; make format repairs what can be repaired"
	@echo "make observe-test  let a real Prometheus scrape a real sidecar"
	@echo "make image-test    build the image on stand-ins of its bases, and run it"
	@echo "make autobahn  WebSockets through the proxy, beside Autobahn's fuzzing client"
	@echo "make bench   measure beside other proxies, about 45 minutes; make bench-quick: one, with nginx"
	@echo "make bench-peers  install the other proxies and the load generator"
	@echo "make lock    pin the dependencies anew (ARGS=--upgrade: all of them)"
	@echo "make clean   remove what these commands made"

run: $(STAMP)
	@exec $(BIN)/hotsplice demo $(ARGS)

test: lint
	$(BIN)/python -m pytest $(ARGS)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

observe-test: $(STAMP)
	HOTSPLICE_TEST_OBSERVE=1 $(BIN)/python -m pytest tests/packaging/test_prometheus.py $(ARGS)

image-test: $(STAMP)
	HOTSPLICE_TEST_IMAGE=1 $(BIN)/python -m pytest -s -rs tests/packaging/test_image.py $(ARGS)

# Exit status 1 says that something failed or missed its target; bench/README.md says more.
bench: $(STAMP)
	$(BIN)/python bench/run.py $(ARGS)

bench-quick: $(STAMP)
	$(BIN)/python bench/run.py --quick $(ARGS)

bench-peers: $(STAMP)
	bench/peers/install $(BIN)/python .peers

# uv resolves for every platform and Python at once; only this target needs it.  What the image gets,
# and what its wheel is built with, are parts of the one resolution.  Neither indexes nor local files
# may get into a lock: it has to hold wherever it is installed from.
COMPILE = $(BIN)/uv pip compile --no-config --universal --python-version 3.11 --generate-hashes \
	--custom-compile-command "make lock" --quiet
PART := --no-annotate --constraint $(LOCK)
lock: | $(BIN)/python
	$(PIP) install --quiet uv
	$(COMPILE) pyproject.toml --group dev --output-file $(LOCK) $(ARGS)
	$(COMPILE) pyproject.toml $(PART) --output-file requirements.lock
	$(COMPILE) $(PART) --group build --output-file requirements-build.lock
	@if grep -n '://' requirements*.lock; then echo "a lock names a place to install from" >&2; exit 1; fi

# Needs Python 2.7, and says so where there is none; ARGS='1.* 7.*' runs some of the cases.  The
# echo server would refuse what some of them send, 4 MiB in frames of 64 octets.
autobahn: $(STAMP)
	@set -f; WEBSOCKETS_MAX_FRAGMENTS=100000 $(BIN)/python -m tests.autobahn $(ARGS)

clean:
	rm -rf $(VENV) .autobahn .peers .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .schemathesis dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(STAMP): | $(BIN)/python
	@echo "installing into $(VENV)"
	@rm -f $(VENV)/installed-*
	@$(PIP) install --quiet --require-hashes --requirement $(LOCK)
	@$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(BIN)/python:
	@fits() { "$$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }; \
	for python in $(or $(PYTHON),python3 python3.14 python3.13 python3.12 python3.11); do \
		fits "$$python" && break; \
	done; \
	if ! fits "$$python"; then \
		echo "Python 3.11 or later is needed: $(or $(PYTHON),python3) is older, or not there." >&2; \
		echo "Install one, or name it: make PYTHON=/path/to/python3" >&2; exit 1; \
	fi; \
	if ! "$$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then \
		echo "$$python cannot make virtual environments; on Debian: apt install python3-venv" >&2; \
		exit 1; \
	fi; \
	"$$python" -m venv --clear $(VENV)
