# make install   the virtual environment with exact versions
# make demo      the main job in a browser, no accounts needed
# make test      format, lint, strict types and all tests
# make fuzz      ten times as many changed requests for every route as make test sends
# make mutate    every small change of the guarded modules has to fail a test; an hour or two
# make serve     the service for real, from the settings in the environment
# make load      a minute under load with reloads, restarts and kills; keeps its table in benchmarks/RESULTS.md
# make held      two minutes beside held connections; likewise
# make lock      both lock files anew
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: install demo test fuzz mutate serve lock format benchmark load held

install: $(VENV)/.installed

$(VENV)/.installed: requirements-dev.lock
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	touch $@

demo: install
	@$(BIN)/python cli.py demo

test: install
	@scripts/test

fuzz: install
	@FUZZ_EXAMPLES=3000 $(BIN)/pytest -n "$$(getconf _NPROCESSORS_ONLN)" --dist worksteal tests/fuzz

mutate: install
	@$(BIN)/python -m tests.mutation

# What the service needs and no more; where everything is installed, that will do.
serve: $(if $(wildcard $(VENV)/.installed),install,$(VENV)/.served)
	@$(BIN)/python cli.py serve

$(VENV)/.served: requirements.lock
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	touch $@

benchmark: install
	@$(BIN)/python -m benchmarks

load: install
	@$(BIN)/python -m benchmarks.load --keep

held: install
	@$(BIN)/python -m benchmarks.held --keep

format: install
	$(BIN)/ruff format . && $(BIN)/ruff check --fix .

lock: install
	@scripts/lock
