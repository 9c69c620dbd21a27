.DEFAULT_GOAL := help
PY := .venv/bin/python
# the tests start hundreds of processes: none shall compile nunect anew
export PYTHONDONTWRITEBYTECODE =
.PHONY: help up test whole lint fuzz deaths bench corpus lock clean

help: ## what can be made
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

up: .venv/runs ## start everything on this machine; Ctrl-C stops it
	@exec $(PY) manage.py up

# four at once on two cores, since many wait for a server; in the order of the files,
# since xdist would keep the one that takes longest, with the fewest tests, for the end
test: .venv/develops ## every test, on real servers, but for those of `make whole`
	$(PY) -m pytest -n 4 --dist loadfile --no-loadscope-reorder -m "not whole and not long" $(TESTS)

whole: .venv/develops ## the product as `make up` starts it, and the long ones: killed at each step, each page on each screen
	$(PY) -m pytest -n 3 --dist loadfile --no-loadscope-reorder -m "whole or long"

lint: .venv/develops ## style, types, imports, migrations
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	.venv/bin/lint-imports
	$(PY) manage.py makemigrations --check --dry-run

fuzz: .venv/develops ## all of REST and the admin's fields of words, for longer than in the suite (FUZZ_EXAMPLES=100)
	FUZZ_EXAMPLES=$(or $(FUZZ_EXAMPLES),100) $(PY) -m pytest -n 3 --dist loadfile tests/api/test_fuzz.py tests/admin/test_any_text.py

deaths: .venv/develops ## kill the worker at every step of every kind of job, and a take-over of three servers at each of its own
	EVERY_STEP=1 $(PY) -m pytest tests/provisioning/test_jobs_live.py tests/provisioning/test_jobs_streams.py \
		tests/provisioning/test_takeover_cluster_killed.py tests/whole/test_job_deaths.py

bench: .venv/develops ## measure against the bare server; prints ratios
	$(PY) -m benchmarks
	$(PY) -m benchmarks.rest
	$(PY) -m benchmarks.live

corpus: .venv/develops ## hold our parser against the server's on every .conf below DIR=…
	$(PY) scripts/corpus.py "$(DIR)"

lock: ## write requirements/*.txt anew (needs uv)
	uv pip compile -q --universal --generate-hashes --no-header --no-annotate pyproject.toml -o requirements/base.txt
	uv pip compile -q --universal --generate-hashes --no-header --no-annotate --extra postgres \
		-c requirements/base.txt pyproject.toml -o requirements/postgres.txt
	uv pip compile -q --universal --generate-hashes --no-header --no-annotate --extra dev --extra postgres \
		-c requirements/base.txt pyproject.toml -o requirements/dev.txt

clean: ## remove the environment; the state in var/ stays
	rm -rf .venv

.venv/runs: requirements/base.txt pyproject.toml scripts/setup.sh
	@sh scripts/setup.sh base

.venv/develops: requirements/dev.txt pyproject.toml scripts/setup.sh
	@sh scripts/setup.sh dev
