# make demo: install, then run the main job on a simulated study and print the findings.
# make test: install with the development tools, then check everything.
# Both make a virtual environment if there is none; an active one, or VENV=path, is used as it is.
PYTHON ?= python3
VENV ?= $(or $(VIRTUAL_ENV),.venv)
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
DEMO_OUT ?= demo
TEST_WORKERS ?= 2
DEMO_STAMP := $(VENV)/.marrowmap-demo
TEST_STAMP := $(VENV)/.marrowmap-test

.PHONY: demo test clean
.DELETE_ON_ERROR:

demo: $(DEMO_STAMP)
	$(BIN)/marrowmap demo --out $(DEMO_OUT)

test: $(TEST_STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(TEST_WORKERS) --dist loadfile

clean:
	rm -rf build dist marrowmap.egg-info $(DEMO_STAMP) $(TEST_STAMP)

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "marrowmap needs Python 3.11 or newer: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)

$(DEMO_STAMP): pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) install --quiet -c constraints.txt -e ".[simulate]"
	touch $@

$(TEST_STAMP): pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) install --quiet -c constraints.txt -e ".[dev,train,simulate,serve,cohort,onnx,mlflow]"
	touch $(DEMO_STAMP) $@
