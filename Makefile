# make run: serve the page; make test: lint, type-check and run every test; make static, make space: folders for the
# Hugging Face Hub; make space-check: start the latter in an environment of its own.
PYTHON ?= python3
HOST ?= 127.0.0.1
PORT ?= 7860
STATIC ?= build/static
SPACE_FOLDER ?= build/space
MODEL ?= embedded
HARDWARE ?= zero
WORKERS ?= 2
BIN := .venv/bin
QUICKEST_LAST := tests/app tests/proxies tests/browser tests/installed tests/test_readme.py tests/reference tests/unit
export PYTHONDONTWRITEBYTECODE =  # tests start many processes, which need not compile the same files each

.PHONY: run test lint processors bench load abuse static space space-check clean

run: .venv/run.stamp
	$(BIN)/python app.py --host $(HOST) --port $(PORT)

test: .venv/dev.stamp
	./tests/browser/ensure_chromium.sh
	./tests/proxies/ensure_nginx.sh
	$(MAKE) --jobs 2 lint processors
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder $(QUICKEST_LAST)

lint: .venv/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	find app -name "*.pyi" -delete  # Gradio writes these beside its subclasses, and mypy would read them instead
	$(BIN)/mypy -p app -p core && $(BIN)/mypy app.py

processors: .venv/dev.stamp  # the reference tests, as on other processors and with two threads
	$(BIN)/python -m tests.processors

bench: .venv/run.stamp
	$(BIN)/python -m core bench --json --page "$(BIN)/python app.py"

load: .venv/dev.stamp  # LOAD holds its options, such as --visitors 8 or --hostile
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.load $(LOAD)

abuse: .venv/dev.stamp
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.abuse $(ABUSE)

static: .venv/run.stamp  # SPACE=owner/name: the static Space that it is for; LIVE=owner/name: one that draws, to link to
	$(BIN)/python -m app.gallery $(STATIC) --space "$(SPACE)" --live "$(LIVE)"

space: .venv/run.stamp  # SPACE=owner/name; MODEL=janus; HARDWARE=cpu
	$(BIN)/python -m app.space $(SPACE_FOLDER) --space "$(SPACE)" --model $(MODEL) --hardware $(HARDWARE)

space-check: .venv/dev.stamp
	$(BIN)/python -m tests.space.trial

.venv/run.stamp: requirements.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --requirement requirements.txt
	touch $@

.venv/dev.stamp: requirements.txt requirements-training.txt requirements-janus.txt requirements-mcp.txt requirements-scale.txt requirements-dev.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --requirement requirements-dev.txt
	touch $@ .venv/run.stamp

clean:
	rm -rf .venv build .mypy_cache .pytest_cache .ruff_cache .hypothesis
