# make run: serve the page; make test: lint, type-check and run every test.
PYTHON ?= python3
HOST ?= 127.0.0.1
PORT ?= 7860
BIN := .venv/bin

.PHONY: run test lint bench clean

run: .venv/run.stamp
	$(BIN)/python app.py --host $(HOST) --port $(PORT)

test: .venv/dev.stamp lint
	./tests/browser/ensure_chromium.sh
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist loadfile
	$(BIN)/python -m tests.processors  # the reference tests, as on other processors and with two threads

lint: .venv/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	find app -name "*.pyi" -delete  # Gradio writes these beside its subclasses, and mypy would read them instead
	$(BIN)/mypy -p app -p core && $(BIN)/mypy app.py

bench: .venv/run.stamp
	$(BIN)/python -m core bench --json --page "$(BIN)/python app.py"

.venv/run.stamp: requirements.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --requirement requirements.txt
	touch $@

.venv/dev.stamp: requirements.txt requirements-training.txt requirements-janus.txt requirements-mcp.txt requirements-dev.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --requirement requirements-dev.txt
	touch $@ .venv/run.stamp

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis
