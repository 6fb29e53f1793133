# Every target sets up what it needs, in .venv, from python3 >= 3.11 alone.
PYTHON ?= python3
UV := .venv/bin/python -m uv
RUN := .venv/bin/python -m
PYTEST_ARGS ?=
WITH_KAFKA := tests/integration/ tests/e2e/
export UV_PYTHON_DOWNLOADS := never
unexport VIRTUAL_ENV PYTHONPATH UV_PROJECT_ENVIRONMENT

.PHONY: install demo test test-without-kafka test-with-kafka long crash disasters soak upgrade fuzz bench chart image sbom check asyncapi format docs release clean help

help: ## Show the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

install: .venv/.installed ## Set up .venv

.venv/.installed: pyproject.toml uv.lock .ci/bootstrap.py
	@$(PYTHON) .ci/bootstrap.py
	@$(UV) sync --quiet --locked --all-extras --all-groups --compile-bytecode
	@touch $@

demo: install ## Show everything at work on this machine, with nothing configured
	@.venv/bin/enrolment-worker demo $(DEMO_ARGS)

test: install ## Run all tests: unit, integration, end to end
ifeq ($(strip $(PYTEST_ARGS)),)
	@$(MAKE) --no-print-directory -k -j2 test-without-kafka test-with-kafka
else
	@$(RUN) pytest -m "not long" $(PYTEST_ARGS)
endif

# At the same time as the others, which mostly wait; what it says comes when it is done.
test-without-kafka: install
	@said=$$(mktemp); $(RUN) pytest -m "not long" $(filter-out $(WITH_KAFKA),$(wildcard tests/*/)) > $$said 2>&1; \
	status=$$?; cat $$said; rm $$said; exit $$status

test-with-kafka: install
	@$(RUN) pytest -m "not long" $(WITH_KAFKA)

long: install ## Run the tests that wait long: outages, lost answers, the budget, more partitions
	@$(RUN) pytest -m long $(PYTEST_ARGS)

crash: install ## Kill, freeze and restart everything for minutes, then compare the books (CRASH_ARGS="--brokers 3")
	@$(RUN) tests.crash $(CRASH_ARGS)

disasters: install ## Delete, cut and expire the logs, let all brokers die, under load; then compare the books
	@$(RUN) tests.crash.disasters $(DISASTER_ARGS)

soak: install ## Run for minutes against an API of all weathers, then compare the books
	@$(RUN) tests.soak $(SOAK_ARGS)

upgrade: install ## Let two versions of the worker take turns on one group (minutes), then compare the books
	@$(RUN) tests.upgrade $(UPGRADE_ARGS)

fuzz: install ## Feed a million hostile records to whatever reads records (minutes)
	@$(RUN) tests.fuzz $(FUZZ_ARGS)

bench: install ## Measure throughput, scale, memory, restarts, what is felt of them, known customers (BENCH_ARGS=scale for one)
	@$(RUN) tests.bench $(BENCH_ARGS)

chart: install ## Write what is generated in the Helm chart, then lint and test it
	@.venv/bin/python helm/generate.py
	@$(RUN) pytest tests/chart $(PYTEST_ARGS)

image: install ## Build the image and let it enrol a customer, read-only and without capabilities
	@$(RUN) tests.image $(IMAGE_ARGS)

sbom: install ## Write dist/sbom.cdx.json and dist/licences.csv of what the image holds
	@.venv/bin/python .ci/supply_chain.py

check: install ## Lint, format, types, import rules, lock file, Dockerfile
	@$(UV) lock --quiet --check
	@$(RUN) ruff check .
	@$(RUN) ruff format --check --quiet .
	@$(RUN) mypy
	@.venv/bin/lint-imports --no-cache
	@.venv/bin/hadolint Dockerfile

asyncapi: install ## Write topics/asyncapi.json anew, after a change of the records
	@.venv/bin/enrolment-worker topics asyncapi > topics/asyncapi.json

format: install ## Format and fix what can be fixed
	@$(RUN) ruff check --quiet --fix-only . ; $(RUN) ruff format .

docs: install ## Write the pages that are made from the code
	@$(RUN) worker.telemetry.page
	@$(RUN) worker.settings.page

release: install ## Commit and tag a release: VERSION=x.y.z
	@.venv/bin/python .ci/release.py $(VERSION)

clean: ## Remove what the targets made
	@rm -rf .venv .state .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist
