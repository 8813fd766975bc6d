.DEFAULT_GOAL := help
.PHONY: help setup demo test test-slow check bench docs wheel clean

PYTHON ?= python3
WORKERS ?= 2
BIN := .venv/bin
READY := .venv/.ready

help:  ## show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

# The lock pins torch and torchvision as the matching CUDA pair: a lone CPU build of torch beside it fails at import.
$(READY): requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $(READY)

setup: $(READY)  ## make .venv with everything pinned in requirements.lock

demo: setup  ## the main job: pretrain t-ReX on the embedded world, evaluate, report
	$(BIN)/python -m transferbench +experiment=trex

test: setup  ## the tests, in WORKERS=2 processes
	$(BIN)/python -m pytest -m "not slow" -n $(WORKERS) --dist worksteal

test-slow: setup  ## all tests, with those that train in earnest
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

check: setup  ## ruff and mypy --strict
	$(BIN)/ruff format --check src tests benchmarks
	$(BIN)/ruff check src tests benchmarks
	$(BIN)/mypy

bench: setup  ## the benchmarks of the hot paths
	for file in benchmarks/*.py; do $(BIN)/python $$file || exit 1; done

docs: setup  ## the contact sheet of the world and the figures of the README
	$(BIN)/python -m transferbench.world.contact_sheet --out docs/world.png

wheel: setup  ## dist/*.whl, with the configurations inside
	$(BIN)/python -m build --no-isolation --wheel

clean:  ## remove the environment and what was built, never outputs/
	rm -rf .venv dist build .mypy_cache .ruff_cache .pytest_cache
	find . -name __pycache__ -prune -exec rm -rf {} +
