# make run    sets up .venv when it has to, and serves on 127.0.0.1:8080
# make run ARGS="-b 127.0.0.1:8081"    gives gunicorn further options
# make test   sets up .venv when it has to, and runs every check and test that a commit needs

PYTHON ?= python3
VENV ?= .venv
PIP = $(VENV)/bin/python -m pip --quiet --disable-pip-version-check --no-input
RUFF = $(VENV)/bin/python -m ruff
# What the caller's shell says about settings concerns `make run`; tests bring their own. They start interpreters by the
# hundred, which are not to compile every module each time.
TEST_ENV = env -u FLASKMAIL_CONFIG -u FLASKMAIL_DATA -u PYTHONDONTWRITEBYTECODE
CODE = flaskmail tests benchmarks plugins docs/examples .ci wsgi.py gunicorn.conf.py

# A virtual environment of ours is made anew when its Python has gone (an upgrade) or the folder has moved.
ifneq ($(wildcard $(VENV)/.made),)
ifneq ($(shell $(VENV)/bin/python -c 'print("works")' 2>/dev/null) $(shell cat $(VENV)/.made),works $(CURDIR))
$(shell rm -rf $(VENV))
endif
endif

.PHONY: run test test-waiting test-rest test-long lint docs setup setup-test clean help
.DELETE_ON_ERROR:

run: setup
	@exec $(VENV)/bin/python -m gunicorn $(ARGS) wsgi:app

# What talks to servers and browsers mostly waits: it runs beside the rest. Each says at its end what it found.
WAITING = tests/wire tests/browser

# Two at a time: style and types take a minute of one processor, and the two halves of the tests about the same.
test: setup-test
	@echo "Checking style and types, and running the tests in two halves, two of the three at once (about six minutes)"
	@$(MAKE) --no-print-directory -k -j2 --output-sync=target test-waiting lint test-rest

test-waiting:
	@$(TEST_ENV) $(VENV)/bin/python -m pytest -q -p no:cacheprovider -m "not long" $(WAITING)

test-rest:
	@$(TEST_ENV) $(VENV)/bin/python -m pytest -q -m "not long" $(WAITING:%=--ignore=%)

test-long: setup-test
	@$(TEST_ENV) $(VENV)/bin/python -m pytest -q -m long --hypothesis-profile=new

lint: setup-test
	@echo "Checking style and types"
	@$(RUFF) check --quiet --config .ci/ruff.toml $(wildcard $(CODE))
	@$(RUFF) format --quiet --check --config .ci/ruff.toml $(wildcard $(CODE))
	@$(VENV)/bin/python -m mypy --strict flaskmail $(wildcard wsgi.py)

docs: setup
	@$(VENV)/bin/flaskmail config example > config.example.toml
	@$(VENV)/bin/flaskmail config example --markdown > docs/configuration.md
	@$(VENV)/bin/python .ci/document_hooks.py
	@$(VENV)/bin/python .ci/document_commands.py
	@$(VENV)/bin/python -m flaskmail.expressions.documents docs/expressions.md
	@$(VENV)/bin/python .ci/document_explain.py

setup: $(VENV)/.run
setup-test: $(VENV)/.test $(VENV)/.node

$(VENV)/.made:
	@command -v $(PYTHON) >/dev/null || { echo "There is no $(PYTHON). Name a Python 3.11 or newer: make run PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "$(PYTHON) is older than 3.11. Name a newer one: make run PYTHON=python3.12" >&2; exit 1; }
	@echo "Setting up $(VENV) (the first time, about a minute)"
	@$(PYTHON) -m venv $(VENV) || \
	  { echo "Python's venv module does not work. On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@echo "$(CURDIR)" > $@

# Stamps are written last: an installation that was interrupted is done again.
$(VENV)/.run: $(VENV)/.made setup.cfg pyproject.toml
	@echo "Installing flaskmail and what it needs"
	@$(PIP) install -e .
	@touch $@

$(VENV)/.test: $(VENV)/.made setup.cfg pyproject.toml
	@echo "Installing flaskmail and what its tests need"
	@$(PIP) install -e '.[test,dev]'
	@touch $(VENV)/.run $@

# A JMAP client in JavaScript. Without npm, or without a network, its test is skipped and says so.
$(VENV)/.node: $(VENV)/.test $(wildcard tests/wire/node/package-lock.json)
	@if command -v npm >/dev/null; then \
	  echo "Installing the JavaScript client for the tests"; \
	  npm ci --silent --no-audit --no-fund --prefix tests/wire/node || { echo "npm could not install it; its test will be skipped" >&2; exit 0; }; \
	fi; touch $@

clean:
	@rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis tests/wire/node/node_modules
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

help:
	@echo "make run | test | test-long | lint | docs | clean"
