# Each target sets up what it needs: `make demo` and `make test` work in a fresh clone with Python 3.11 and make.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: demo test check bench nightly clean

$(VENV)/.runtime: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Sluice needs Python 3.11 or later: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing Sluice into $(VENV) (once) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime
	@echo "Installing the tools for tests and checks (once) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

demo: $(VENV)/.runtime  ## watch a guarded stream; no key, no network
	@$(BIN)/python examples/demo.py

test: $(VENV)/.dev  ## the whole suite
	@$(BIN)/python -m pytest -q

check: $(VENV)/.dev  ## format, lint, types, import contracts, sizes
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python tests/contract/sizes.py

nightly: $(VENV)/.dev  ## the contract's properties with many generated cases, and the mutants
	@SLUICE_NIGHTLY=1 $(BIN)/python -m pytest -q --timeout 3600 tests/streaming
	@$(BIN)/python tests/streaming/mutants.py

bench: $(VENV)/.runtime  ## the stream contract, measured on the example configuration
	@$(BIN)/nemoguardrails bench stream --config examples/configs/streaming

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
