# make demo   the whole story on the embedded nano_books suite
# make test   unit tests, then the slow ones
# make lint   ruff, mypy --strict
# make bench  speed and memory, as ratios
# make gpu    what needs a CUDA device: tests, then memory and time of 7B shapes against the plan
# make generated   the files that are written from the code: task YAML, cards, docs, schema

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
DEV    := $(VENV)/.dev
BROWSER := $(VENV)/browser
NODE_PACKAGES := playwright-core@1.65.1 axe-core@4.14.1
YAML   := $(shell find tasks baselines -name '*.yaml' 2>/dev/null)

# Modules are compiled when they are first imported: compiling all of them at installation takes half a minute.
INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check --no-compile -c constraints.txt
export PYTHONDONTWRITEBYTECODE =

.PHONY: demo test unit slow lint generated bench gpu clean

demo: $(STAMP)
	$(BIN)/rub demo

test: unit slow

unit: $(DEV)
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2

slow: $(DEV) $(BROWSER)/.installed
	RUB_BROWSER=$(BROWSER) OMP_NUM_THREADS=1 $(BIN)/pytest -m slow -n 2

lint: $(DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

generated: $(DEV)
	$(BIN)/python -m robust_unlearn_bench.generated

BENCHES := startup harness_batching harness_session unlearn_loop unlearn_steps unlearn_memory gptq_memory relearn_memory \
  leaderboard_speed leaderboard_coverage leaderboard_gate_power

bench: $(DEV)
	for name in $(BENCHES); do echo "== $$name"; $(BIN)/python benchmarks/$$name.py || exit 1; done

# Without a CUDA device the tests are skipped and the benchmark says so.
gpu: $(DEV)
	$(BIN)/pytest -m gpu -n 0 -rs
	$(BIN)/python benchmarks/gpu_placement.py

# The editable install copies the task YAML into lm-eval, so it is repeated when they change.
$(STAMP): pyproject.toml constraints.txt $(YAML)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(INSTALL) -e .
	touch $@

$(DEV): $(STAMP)
	$(INSTALL) -e '.[dev,peft,sweep]'
	touch $@

# The page is tested in a browser where npm and Chromium are; elsewhere these tests are skipped and say what is missing.
$(BROWSER)/.installed: Makefile
	@if ! command -v npm >/dev/null; then echo "browser tests: npm is missing"; \
	elif ! command -v chromium >/dev/null && ! command -v google-chrome >/dev/null; then echo "browser tests: Chromium is missing"; \
	elif npm install --prefix $(BROWSER) --silent --no-audit --no-fund --fetch-retries=0 $(NODE_PACKAGES) >/dev/null 2>&1; then \
	  touch $@; \
	else echo "browser tests: npm cannot install $(NODE_PACKAGES)"; fi

clean:
	rm -rf $(VENV) dist build *.egg-info .pytest_cache .mypy_cache .ruff_cache
