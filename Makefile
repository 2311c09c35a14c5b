# `make run` and `make test` need nothing but Python 3.11 and this folder.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
INSTALLED := .venv/.installed

.PHONY: install run test test-slow check format stack bench crash starter messages wheel clean night

install: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] < (3, 11))' \
		|| { echo "Python 3.11 is needed: set PYTHON=/path/to/python3.11" >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

run: install
	$(BIN)/dragoman run

# A file of tests stays in one process, and so do the fixtures that it shares. Of three processes
# one mostly waits for a server, so that two cores are busy.
TOGETHER := --numprocesses=3 --dist=loadfile --no-loadscope-reorder

# With CI=true what is marked `long` as well.
test: install
	$(BIN)/pytest $(TOGETHER) $(if $(CI),,-m 'not long and not slow and not gpu and not network')

# What takes minutes each, the kills of `make crash` excepted.
test-slow: install
	$(BIN)/pytest $(TOGETHER) -m 'slow and not gpu and not network' --ignore=tests/crash

check: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: install
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# PostgreSQL, a broker, two replicas behind a balancer, workers, beat, a model server if one is set.
stack: install
	$(BIN)/python -m deploy.stack $(STACK)

bench: install
	$(BIN)/python -m benchmarks

# Fourteen days of the demo company's conversations, and what a night learns from them.
night: install
	$(BIN)/python -m benchmarks.night

crash: install
	$(BIN)/pytest -m slow -s tests/crash

# The models that ship, from public sets in ../shared/data (workers/training/dataset/public.py says
# in which form): hours on two cores. What is finished is kept.
STARTER := var/starter

starter: $(STARTER)/small/result.json
	cp -r $(STARTER)/small/model/. models/starter-encoder
	$(BIN)/python -m benchmarks.calibration
	for head in wishes misuse sentiment; do \
		$(BIN)/python -m workers.training.dataset models/recipes/$$head-data.yaml \
			$(STARTER)/$$head-data \
		&& $(BIN)/dragoman train models/recipes/$$head.yaml $(STARTER)/$$head \
		&& cp $(STARTER)/$$head/model/head.safetensors models/$$head/ || exit 1; done

$(STARTER)/encoder-data/manifest.json: models/recipes/starter-encoder-data.yaml | install
	$(BIN)/python -m workers.training.dataset $< $(@D)

$(STARTER)/wide/result.json: models/recipes/starter-wide.yaml $(STARTER)/encoder-data/manifest.json
	$(BIN)/dragoman train $< $(@D)

$(STARTER)/encoder/result.json: models/recipes/starter-encoder.yaml $(STARTER)/wide/result.json
	$(BIN)/dragoman train $< $(@D)

$(STARTER)/support-data/manifest.json: models/recipes/starter-support-data.yaml | install
	$(BIN)/python -m workers.training.dataset $< $(@D)

$(STARTER)/support/result.json: models/recipes/starter-support.yaml \
		$(STARTER)/support-data/manifest.json $(STARTER)/encoder/result.json
	$(BIN)/dragoman train $< $(@D)

$(STARTER)/support-again/result.json: models/recipes/starter-support-again.yaml \
		$(STARTER)/support/result.json
	$(BIN)/dragoman train $< $(@D)

$(STARTER)/encoder-again/result.json: models/recipes/starter-encoder-again.yaml \
		$(STARTER)/support-again/result.json
	$(BIN)/dragoman train $< $(@D)

$(STARTER)/support-last/result.json: models/recipes/starter-support-last.yaml \
		$(STARTER)/encoder-again/result.json
	$(BIN)/dragoman train $< $(@D)

$(STARTER)/everyday-data/manifest.json: models/recipes/starter-everyday-data.yaml | install
	$(BIN)/python -m workers.training.dataset $< $(@D)

$(STARTER)/everyday/result.json: models/recipes/starter-everyday.yaml \
		$(STARTER)/everyday-data/manifest.json $(STARTER)/support-last/result.json
	$(BIN)/dragoman train $< $(@D)

$(STARTER)/small/result.json: models/recipes/starter-small.yaml $(STARTER)/everyday/result.json
	$(BIN)/dragoman train $< $(@D)

messages: install
	mkdir -p var
	$(BIN)/pybabel -q extract --no-location --add-comments=Translators: --width=100 \
		--project=dragoman --output-file=var/dragoman.pot core/phrases.py
	$(BIN)/pybabel -q update --no-fuzzy-matching --ignore-obsolete --ignore-pot-creation-date \
		--width=100 --domain=dragoman --input-file=var/dragoman.pot --output-dir=core/locale
	$(BIN)/pybabel -q compile --domain=dragoman --directory=core/locale
	$(BIN)/pybabel -q extract --mapping=pyproject.toml --no-location --sort-output --width=100 \
		--project=dragoman --output-file=var/console.pot bots/web/console
	$(BIN)/pybabel -q update --no-fuzzy-matching --ignore-obsolete --ignore-pot-creation-date \
		--width=100 --domain=console --input-file=var/console.pot --output-dir=bots/web/console/locale
	$(BIN)/pybabel -q compile --domain=console --directory=bots/web/console/locale

wheel: install
	$(BIN)/python -m build --wheel

clean:
	rm -rf .venv dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
