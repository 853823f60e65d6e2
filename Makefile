# The bridge on a machine with Python 3.11 (with venv) and make.
#   make run     everything in one terminal, with simulated people
#   make test    the whole test suite
#   make check   everything that needs no test: lint, types, layers, dead code, contract, vendors' tables, migrations
#   make pages   what documents are made of the code, made anew
SHELL := /bin/sh
.DEFAULT_GOAL := run

VENV := .venv
BIN := $(VENV)/bin
PACKAGES := auren biometrics resilience
INSTALLED := $(VENV)/requirements.installed
REQUIREMENTS := requirements.txt requirements-dev.txt

# Stands in for what a production host sets, where a tool wants settings to be there.
# One for each vendor of the registry: a new one needs no line here.
VENDOR_SECRETS := $(shell sed -n 's/^    "\([a-z0-9_]*\)": "biometrics\.vendors\..*/\1/p' \
  biometrics/vendors/registry.py | tr a-z A-Z | sed 's/.*/AUREN_WEBHOOK_SECRET_&=check/')
CHECK_ENV := AUREN_MODE=production DATABASE_URL=postgres://checks@127.0.0.1:1/checks \
  SECRET_KEY=for-checks-only-0123456789-abcdefghijklmnopqrstuvwxyz-0123456789 \
  AUREN_TOKEN_KEYS=Zm9yLWNoZWNrcy1vbmx5LTAxMjM0NTY3ODktMDEyMzQ= \
  AUREN_OURA_CLIENT_ID=check AUREN_OURA_CLIENT_SECRET=check \
  AUREN_OURA_VERIFICATION_TOKEN=check \
  AUREN_WHOOP_CLIENT_ID=check AUREN_WHOOP_CLIENT_SECRET=check \
  AUREN_TERRA_DEV_ID=check AUREN_TERRA_API_KEY=check \
  $(VENDOR_SECRETS) \
  PUBLIC_URL=https://bridge.example.org KAFKA_REPLICATION_FACTOR=3

.PHONY: run test check pages audit format lock clean venv bench-bodies bench-breaker bench-console bench bench-drain bench-growth bench-hrv bench-intake bench-latency bench-live bench-retention bench-scale bench-trouble chaos chaos-short drill

run: venv
	@exec $(BIN)/python manage.py devstack

# Three processes: half of the tests wait for servers more than they compute.
TEST_PROCESSES ?= 3

test: venv
	$(BIN)/pytest -n $(TEST_PROCESSES) --dist loadfile
	$(BIN)/python -m tests.on_postgres -n $(TEST_PROCESSES) --dist loadfile

check: venv
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(CHECK_ENV) $(BIN)/mypy $(PACKAGES) tests
	$(BIN)/lint-imports
	$(BIN)/vulture
	$(CHECK_ENV) AUREN_MODE=development DATABASE_URL=sqlite://:memory: $(BIN)/python manage.py makemigrations --check --dry-run
	$(CHECK_ENV) $(BIN)/python manage.py contract --check
	$(CHECK_ENV) $(BIN)/python manage.py coverage --check
	$(CHECK_ENV) $(BIN)/python manage.py reference --check
	$(CHECK_ENV) $(BIN)/python manage.py check --deploy --fail-level WARNING

# What `make check` calls stale: the contract, vendors' tables, docs/settings.md and the like.
# With its settings, so that nothing of this machine gets into them.
pages: venv
	$(CHECK_ENV) $(BIN)/python manage.py contract
	$(CHECK_ENV) $(BIN)/python manage.py coverage
	$(CHECK_ENV) $(BIN)/python manage.py reference

format: venv
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Known vulnerabilities of the pinned packages: a report, never a failure.
audit: venv
	$(BIN)/python -m auren.devstack.audit $(REQUIREMENTS)

# All of them, one after the other: two hours and a half; docs/benchmarks.md.
bench: bench-intake bench-trouble bench-latency bench-drain bench-growth bench-bodies bench-hrv bench-breaker bench-console bench-live bench-retention bench-scale

bench-breaker: venv
	$(BIN)/python -m tests.bench.bench_breaker

bench-console: venv
	$(BIN)/python -m tests.bench.bench_console --write

# The live socket while a burst comes in: what it costs, how late it is.
bench-live: venv
	$(BIN)/python -m tests.bench.bench_live --write

bench-intake: venv
	$(BIN)/python -m tests.bench.bench_intake --write

# Memory for bodies of 50 MiB; docs/performance.md.
bench-bodies: venv
	$(BIN)/python -m tests.bench.bench_bodies

bench-drain: venv
	$(BIN)/python -m tests.bench.bench_drain --write

bench-growth: venv
	$(BIN)/python -m tests.bench.bench_growth --write

bench-latency: venv
	$(BIN)/python -m tests.bench.bench_latency --write

bench-scale: venv
	$(BIN)/python -m tests.bench.bench_scale --write

bench-trouble: venv
	$(BIN)/python -m tests.bench.bench_trouble --write

bench-hrv: venv
	$(BIN)/python -m tests.bench.bench_hrv --write

# Does forgetting disturb intake? docs/performance.md.
bench-retention: venv
	$(BIN)/python -m tests.bench.bench_retention

# docs/deploy.md to the letter: a fresh clone, three brokers, a rolling restart under wrk,
# a restore. Two to six minutes; Debian's redis-server, nginx-light and wrk.
drill: venv
	$(BIN)/python -m tests.drills.production

# Kills and freezes everything at random, and counts; docs/reliability.md. SEEDS, FIRST.
SEEDS := 20
FIRST := 1
chaos: venv
	$(BIN)/python -m tests.chaos.run --seeds $(SEEDS) --first $(FIRST)

# One seed with every fault, Kafka away for 8 s.
chaos-short: venv
	$(BIN)/python -m tests.chaos.run --seeds 1 --first $(FIRST) --short

# Pins everything anew: both requirements files, and the jars of the embedded Kafka.
lock: venv
	$(BIN)/pip-compile --quiet --upgrade --strip-extras --no-header --no-emit-index-url --no-emit-find-links --output-file=requirements.txt requirements.in
	$(BIN)/pip-compile --quiet --upgrade --strip-extras --no-header --no-emit-index-url --no-emit-find-links --output-file=requirements-dev.txt requirements-dev.in
	$(BIN)/python -m auren.devstack.kafka_jars

# Forgets the state of make run and what tools have left. The virtual environment and
# the fetched Kafka (~/.cache/auren) stay.
clean:
	@if [ -f .devstack/lock ] && command -v flock >/dev/null && ! flock -n .devstack/lock true; then \
	  echo "make run is running here: stop it first." >&2; exit 1; \
	fi
	rm -rf .devstack staticfiles htmlcov .coverage .coverage.* \
	  .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find $(PACKAGES) tests -name __pycache__ -type d -prune -exec rm -rf {} +

# By content, not by date: a checkout gives files new dates.
venv:
	@if ! cat $(REQUIREMENTS) 2>/dev/null | cmp -s - $(INSTALLED); then \
	  for python in python3.11 python3.12 python3.13 python3; do \
	    if $$python -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	      found=$$python; break; \
	    fi; \
	  done; \
	  if [ -z "$$found" ]; then \
	    echo "Python 3.11 or newer with venv is needed (Debian: apt install python3-venv)." >&2; exit 1; \
	  fi; \
	  echo "Installing into $(VENV), this once (a minute or two)."; \
	  [ -x $(BIN)/python ] || $$found -m venv $(VENV) || exit 1; \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check \
	    $(foreach file,$(REQUIREMENTS),-r $(file)) || exit 1; \
	  cat $(REQUIREMENTS) > $(INSTALLED); \
	fi
