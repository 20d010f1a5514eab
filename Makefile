# Every target is one thing a person would want done.  A machine needs Python 3.11 and make.
PYTHON ?= python3
BIN := .venv/bin
# Who runs the tests; CI has `scripts.twice` run them.
PYTEST ?= $(BIN)/pytest
.PHONY: help run test check lint types layers coverage clients slow suite peers soak nemesis heal-report mutants fmt lock clean
.DEFAULT_GOAL := help

help:     ## what can be asked for
	@grep -E '^[a-z-]+: .*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

run: .venv/run.stamp   ## a three-node cluster on loopback, alive; Ctrl-C stops it
	$(BIN)/unidesk demo

test: .venv/dev.stamp  ## the default suite, under five minutes
	$(PYTEST) -q -n auto -m "not slow"

check: lint types layers test ## what decides whether a change lands

lint: .venv/dev.stamp  ## ruff: faults and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/dev.stamp ## mypy, strict
	$(BIN)/mypy

layers: .venv/dev.stamp ## wal <- cluster <- node, never back
	$(BIN)/lint-imports --no-cache

fmt: .venv/dev.stamp   ## mend format and simple faults
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

coverage: .venv/dev.stamp ## branches of wal/ and cluster/ that no pure test and no simulated cluster takes
	$(BIN)/pytest -q -n auto -m "not slow and not process" --timeout 0 -k "not planted" --cov wal --cov cluster --cov-branch --cov-report term-missing:skip-covered tests/wal tests/cluster tests/sim

clients: .venv/dev.stamp ## the clients of all languages, each against a live cluster
	$(PYTEST) -q -n auto tests/clients

slow: .venv/dev.stamp  ## what the default suite leaves out, but for what takes minutes
	$(PYTEST) -q -n auto -m "slow and not soak and not peers" --ignore=tests/clients

suite: .venv/dev.stamp ## everything, also what is slow
	$(BIN)/pytest -q -n auto

lock:     ## requirements*.txt anew, with hashes (needs uv)
	uv pip compile --no-strip-extras --universal --generate-hashes --no-header -q --python-version 3.11 pyproject.toml -o requirements.txt
	uv pip compile --no-strip-extras --universal --generate-hashes --no-header -q --python-version 3.11 pyproject.toml --group dev --extra postgres --extra otlp -o requirements-dev.txt
	uv pip compile --no-strip-extras --universal --generate-hashes --no-header -q --python-version 3.11 pyproject.toml --group peers -c requirements-dev.txt -o requirements-peers.txt

peers: .venv/peers.stamp ## the tests against software of others, such as an OpenID provider
	$(BIN)/pytest -q -m peers

nemesis: .venv/dev.stamp ## five real nodes under random faults, FOR=60s
	$(BIN)/python -m scripts.nemesis --nodes $(or $(NODES),5) --for $(or $(FOR),60s)

heal-report: .venv/dev.stamp ## every row of AutoHeal's table, injected into real nodes: ONLY=1,9 TIMES=3
	$(BIN)/python -m scripts.heal_report --times $(or $(TIMES),3) $(if $(ONLY),--only "$(ONLY)",--page docs/reference/healing-measured.md)

soak: .venv/dev.stamp  ## thousands of simulated clusters, SEEDS=2000
	$(BIN)/python -m tests.sim.soak --seeds $(or $(SEEDS),2000)

mutants: .venv/dev.stamp ## faults planted one at a time: which the simulator finds
	$(BIN)/python -m tests.sim.mutants

clean:    ## forget the environment; the demo's data stays
	rm -rf .venv

# Editable, so a checkout is what runs.  `compileall` spares every start a recompile.
.venv/run.stamp: requirements.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "unidesk needs Python 3.11 or newer; say make PYTHON=/path/to/python3.11")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements.txt
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps -e .
	$(BIN)/python -m compileall -q .venv/lib wal cluster node || true
	touch $@

.venv/dev.stamp: requirements-dev.txt .venv/run.stamp
	$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements-dev.txt
	$(BIN)/python -m compileall -q .venv/lib || true
	touch $@

.venv/peers.stamp: requirements-peers.txt .venv/dev.stamp
	$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements-peers.txt
	touch $@
