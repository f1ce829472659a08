# Everything from a fresh clone: `make run`, `make test`, `make lint`, `make bench`.
# Each sets up .venv when it is missing or older than the requirements.

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STATE ?= .run
REST_IP ?= 127.0.0.1
REST_PORT ?= 8666
LISTEN ?= 0.0.0.0
HTTP_PORT ?= 8667
TFTP_PORT ?= 6969
WHERE := --rest-ip $(REST_IP) --rest-port $(REST_PORT) \
  --listen $(LISTEN) --http-port $(HTTP_PORT) --tftp-port $(TFTP_PORT)

.PHONY: help venv run plugins test lint format bench bench-micro soak parameters phones docs lock clean

help:
	@echo "make run      start the daemon in the foreground, state in $(STATE)/"
	@echo "              REST_IP, REST_PORT, LISTEN, HTTP_PORT, TFTP_PORT say where it listens"
	@echo "make test     run all tests"
	@echo "make lint     style, types, import contracts"
	@echo "make bench    measure the daemon under load, beside other servers"
	@echo "make bench-micro  measure pieces of it, in memory"
	@echo "make soak     kill and harm a daemon for 15 minutes: nothing may be lost"
	@echo "make plugins  build our plugins into build/plugins and build/repository"
	@echo "make parameters  write docs/parameters.md anew from provd/model/parameters.py"
	@echo "make phones   write docs/phones/index.md anew from plugins/*/family.toml"
	@echo "make docs     build the documentation"
	@echo "make lock     pin the dependencies anew"

venv: $(VENV)/.ready

$(VENV)/.ready: requirements/dev.txt setup.py
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is missing: apt-get install python3 python3-venv"; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { echo "the venv module is missing: apt-get install python3-venv"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation \
	  --config-settings editable_mode=compat -e .
	touch $@

plugins: venv
	$(BIN)/provd-plugin make plugins --dest build

run: plugins
	mkdir -p $(STATE)
	PATH="$(CURDIR)/$(BIN):$$PATH" exec $(BIN)/twistd --nodaemon --no_save --pidfile= \
	  --logger provd.logs.observer provd \
	  --config-file etc/provd/run.yml --state-dir $(STATE) $(WHERE) --hints

test: venv plugins
	$(BIN)/python -m pytest

lint: venv
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: venv
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

BENCH ?=
bench: venv plugins
	$(BIN)/python -m benchmarks $(BENCH)

bench-micro: venv
	mkdir -p build
	$(BIN)/python -m pytest benchmarks/micro --benchmark-columns=median,iqr,ops \
	  --benchmark-sort=fullname --benchmark-json=build/benchmark-micro.json

soak: venv
	$(BIN)/python -m benchmarks.soak

phones: venv
	mkdir -p build
	$(BIN)/python docs/make_phones.py > build/phones.md
	mv build/phones.md docs/phones/index.md

parameters: venv
	mkdir -p build
	$(BIN)/python -m tests.unit.plugins.parameters_used > build/parameters.json
	$(BIN)/python docs/make_parameters.py < build/parameters.json > build/parameters.md
	mv build/parameters.md docs/parameters.md

docs: venv
	$(BIN)/sphinx-build -W -q docs build/docs

lock:
	@command -v uv >/dev/null || { echo "uv is missing: pip install uv"; exit 1; }
	for name in run build dev; do \
	  uv pip compile --quiet --upgrade --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	    requirements/$$name.in -o requirements/$$name.txt || exit 1; done

clean:
	rm -rf build $(VENV) $(STATE) *.egg-info
