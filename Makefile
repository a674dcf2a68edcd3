# The few verbs of this project; README.md says what each is for.
STUDY ?= studies/demo
PORT ?= 8501
run := .venv/bin/python -m

.PHONY: setup demo app test lint clean
.DEFAULT_GOAL := demo

setup:
	@.ci/setup

demo: setup
	@.ci/demo $(STUDY) $(PORT)

app: setup
	@.ci/serve $(STUDY) $(PORT)

lint: setup
	@$(run) ruff check .
	@$(run) ruff format --check .
	@$(run) mypy
	@.venv/bin/lint-imports --no-cache

test: lint
	@OMP_NUM_THREADS=1 $(run) pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

clean:
	rm -rf .venv pages/viewer/built pages/viewer/node_modules .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
