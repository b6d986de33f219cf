# A fresh machine needs Python 3.11 or later and make. Everything is run by .venv/bin/python from here: no activation.
PY := .venv/bin/python
READY := .venv/.installed
SOURCES := plugins dags sandbox stack live tests benchmarks docs_build

# A real OpenSearch as the cluster of demo and up: OPENSEARCH=2.19.6 or 3.6.0.
OPENSEARCH :=
REAL := $(if $(OPENSEARCH),--opensearch $(OPENSEARCH))
# The vendor of the demo: PROVIDER=sagemaker, bedrock or cohere.
PROVIDER :=
VENDOR := $(if $(PROVIDER),--provider $(PROVIDER))
# EXECUTOR=celery: Airflow on several machines, as processes.
EXECUTOR :=
# WHEEL=1: the package as its wheel installs it, and no plugins folder.
WHEEL :=
ifneq ($(EXECUTOR),)
RUNNER := .venv-celery/bin/python
INSTALLED := .venv-celery/.installed
SEVERAL := --executor $(EXECUTOR)
else
RUNNER := $(if $(WHEEL),.venv-wheel/bin/python,$(PY))
INSTALLED := $(if $(WHEEL),install-wheel,$(READY))
endif

# Processes that run tests: most tests wait for other processes, and three at a time keep two cores busy.
WORKERS := 3
# Tries of a failed test after its first, each told in the summary. CI has one; nobody else has any.
RERUNS :=
TRIES := $(if $(RERUNS),--reruns $(RERUNS) --rerun-show-tracebacks -r fER)

.PHONY: demo up test test-fast test-real test-celery mutants test-wheel faults soak wheel install-wheel wheel-plain live lint docs bench clean clean-provider help
help:
	@echo "make demo   a whole run on this machine: Airflow, sandbox, results, five questions (CI=true: stops afterwards)"
	@echo "            OPENSEARCH=2.19.6 or 3.6.0: with a real OpenSearch as the cluster; needs Java and Maven"
	@echo "            PROVIDER=sagemaker, bedrock or cohere: with that vendor's jobs instead of OpenAI's"
	@echo "            EXECUTOR=celery: on several machines, as processes; needs redis-server or valkey-server (make up too)"
	@echo "            WHEEL=1: with the package installed from its wheel, without a plugins folder (make up too)"
	@echo "make up     the same Airflow and sandbox (OPENSEARCH=… too), and the run is yours"
	@echo "make test   all tests but those that need a real OpenSearch"
	@echo "make test-fast  those of single functions, of stores and of the DAG files"
	@echo "make test-real  those: fetches OpenSearch through Maven, needs a JDK 17 and a JDK 21 or 25, and Linux; with Python 3.12 also ogx, a batch server that is not ours"
	@echo "make test-celery  those on two schedulers, triggerers and Celery workers; needs redis-server or valkey-server"
	@echo "make mutants  changes the submit, wait and land rooms and the triggers one place at a time, and prints what no fast test notices (SAMPLE=400 SEED=1 MINUTES=30; SAMPLE=0: all; AGAIN=1: what came through the last time)"
	@echo "make wheel  dist/opensearch_batch-*.whl, for pip install"
	@echo "make test-wheel   the e2e tests from the wheel; make wheel-plain: the wheel into plain Airflows (PYTHONS=\"3.11 3.12 3.13\")"
	@echo "make live   ten paid rows through your own cluster and OpenAI key; asks first"
	@echo "make lint   ruff, mypy, import-linter"
	@echo "make docs   the pages as a site in site/; fails on a broken link"
	@echo "make bench  CPU and memory beside what users write by hand and a peer (its venv is made once), into benchmarks/RESULTS.md"
	@echo "make faults a run struck at each of its steps by each fault, on a stack of its own: an hour; docs/explanation/faults.md"
	@echo "make soak   SEED=1 BATCHES=20: so many jobs at all vendors, in runs with faults drawn from the seed, and each tenth call failing (JOBS_A_RUN=8 RUNS_A_WAVE=10 POLL_SECONDS=1 TASKS_AT_ONCE=32; WAVES_DONE=1 goes on after a wave)"
	@echo "make clean-provider MANIFESTS=… [KEEP_DAYS=…]  delete at the provider what those manifests say has landed; --dry-run names it"
	@echo "make clean  delete .venv, caches and what the demo keeps in .demo"

demo: $(INSTALLED)
	@$(RUNNER) -m stack demo $(REAL) $(VENDOR) $(SEVERAL)

up: $(INSTALLED)
	@$(RUNNER) -m stack up --sandbox $(REAL) $(SEVERAL)

test: $(READY)
	$(PY) -m pytest -n $(WORKERS) $(TRIES) -m "not real and not celery"

test-fast: $(READY)
	$(PY) -m pytest -n 2 tests/unit tests/stores tests/dags

# Fetching needs the network, and the tests get one of their own in which there is nothing else.
test-real: $(READY)
	@$(PY) -m stack.opensearch check
	@$(PY) -m stack.opensearch fetch
	@$(PY) -m tests.real.ogx_venv || echo "the tests with ogx will be skipped" >&2
	$(PY) -m stack.namespace -- $(PY) -m pytest -n 2 $(TRIES) -m real

# cosmic-ray changes the code; its venv has nothing else, and no test runs there.
SAMPLE := 400
MINUTES := 30

mutants: $(READY) .venv-mutants/.installed
	@PYTHONPATH=plugins:dags:. nice $(PY) -m tests.mutants --sample $(SAMPLE) --seed $(SEED) --minutes $(MINUTES) $(if $(AGAIN),--again)

.venv-mutants/.installed: tests/mutants/requirements.txt | .venv/bin/uv
	@.venv/bin/uv venv --quiet --clear --python $(PY) .venv-mutants
	@.venv/bin/uv pip sync --quiet --python .venv-mutants/bin/python tests/mutants/requirements.txt
	@touch $@

wheel: $(READY)
	@$(PY) -m stack.wheel build

install-wheel: $(READY)
	@$(PY) -m stack.wheel install

test-wheel: install-wheel
	.venv-wheel/bin/python -m pytest -n 2 -m e2e tests/e2e

# Fetches a plain Airflow for each Python.
PYTHONS := 3.11 3.12 3.13
wheel-plain: wheel
	@PYTHONPATH=plugins $(PY) -m tests.wheel.plain $(PYTHONS)

# A part: make faults ONLY="--scenario - --fault 'task killed'"
ONLY :=
faults: $(READY)
	PYTHONPATH=plugins:dags:. $(PY) -m tests.faults $(ONLY)

SEED := 1
BATCHES := 20
JOBS_A_RUN := 8
RUNS_A_WAVE := 10
POLL_SECONDS := 1
TASKS_AT_ONCE := 32
WAVES_DONE := 0
soak: $(READY)
	PYTHONPATH=plugins:dags:. $(PY) -m tests.faults.soak --seed $(SEED) --batches $(BATCHES) --jobs-a-run $(JOBS_A_RUN) --runs-a-wave $(RUNS_A_WAVE) --poll-seconds $(POLL_SECONDS) --tasks-at-once $(TASKS_AT_ONCE) --waves-done $(WAVES_DONE)

# Outside make test: it needs a package of the system.
test-celery: .venv-celery/.installed
	@.venv/bin/uv pip install --quiet --no-deps --python .venv-celery/bin/python --requirements tests/celery/kubernetes.lock
	.venv-celery/bin/python -m pytest -m celery tests/celery

.venv-celery/.installed: stack/celery.lock $(READY)
	@$(PY) -m stack.celery_venv
	@touch $@

live: $(READY)
	@$(PY) -m live

lint: $(READY)
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	PYTHONPATH=plugins .venv/bin/lint-imports --no-cache

# NO_MKDOCS_2_WARNING: Material announces the end of its own life in red at each build.
docs: $(READY)
	@$(PY) -m docs_build
	NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --strict

bench: $(READY)
	$(PY) -m benchmarks
	$(PY) -m benchmarks.metrics_cost
	$(PY) -m benchmarks.pages

# make's own --dry-run reaches the command: + runs the line all the same, and the command only names the files.
clean-provider: $(READY)
	+@$(if $(MANIFESTS),,echo "name them: make clean-provider MANIFESTS=file:///…/manifest.json" >&2; exit 2;) \
	PYTHONPATH=plugins $(PY) -m opensearch_batch.clean_provider \
	  $(if $(findstring n,$(filter-out --%,$(firstword -$(MAKEFLAGS)))),--dry-run) $(if $(KEEP_DAYS),--keep-days $(KEEP_DAYS)) $(foreach uri,$(MANIFESTS),'$(uri)')

clean:
	rm -rf .venv .venv-celery .venv-mutants .venv-wheel dist .demo site .mypy_cache .pytest_cache .ruff_cache
	find $(SOURCES) -name __pycache__ -type d -prune -exec rm -rf {} +

# Compiling costs eight seconds once; each of the stack's six processes would spend them at its first start.
$(READY): requirements.lock | .venv/bin/uv
	@.venv/bin/uv pip sync --quiet --compile-bytecode --python $(PY) requirements.lock
	@touch $@

# A .venv without uv is one that was interrupted, or not ours: it is filled up, not deleted.
.venv/bin/uv:
	@python=; for candidate in python3.13 python3.12 python3.11 python3; do \
	  if $$candidate -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' >/dev/null 2>&1; then python=$$candidate; break; fi; \
	done; \
	test -n "$$python" || { echo "Python 3.11 or later is needed, and neither python3.13, python3.12, python3.11 nor python3 is one: https://www.python.org/downloads/" >&2; exit 1; }; \
	$$python -c 'import ensurepip, venv' 2>/dev/null || { echo "$$python has no venv module; on Debian and Ubuntu: apt install $$($$python -c 'import sys; print("python%d.%d" % sys.version_info[:2])')-venv" >&2; exit 1; }; \
	echo "making .venv with $$($$python --version)"; \
	$$python -m venv .venv && $(PY) -m pip install --quiet --disable-pip-version-check uv
