# The manual of this project: `make` lists what it can do.
# Needs python3 (3.11 to 3.13) and make; everything else is installed below this folder.

.DEFAULT_GOAL := help
.PHONY: help setup lock format lint test audit sbom faults fuzz bench demo up down train

# uv comes from the package index and from nowhere else that this machine's pip may have been told about.
unexport PIP_FIND_LINKS
# Tests and stacks start hundreds of processes; each takes two seconds longer where Python may keep nothing that
# it has compiled.
unexport PYTHONDONTWRITEBYTECODE
# The Python that is here is used; none is downloaded from outside the package index.
export UV_PYTHON_DOWNLOADS := never

BIN := .venv/bin
LOCK := --universal --generate-hashes --python-version 3.11 --quiet
UV := $(or $(shell command -v uv 2>/dev/null),.uv/bin/uv)
PYTHON := $(shell for name in python3 python3.13 python3.12 python3.11; do \
	"$$name" -c 'import sys; ok = (3, 11) <= sys.version_info < (3, 14); ok and print(sys.executable); sys.exit(not ok)' \
	2>/dev/null && break; done)

help: ## list the targets
	@echo "Targets:"
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile | while IFS="$$(printf '\t')" read -r name text; do \
		printf '  %-8s %s\n' "$$name" "$$text"; done
	@echo "Settings are taken from the environment, such as DATA_DIR, MODEL, KADR_CACHE or API_PORT."

setup: .venv/ready ## install everything into .venv (again when the lock has changed)

lock: $(UV) ## write the locks anew from pyproject.toml
	@$(require_python)
	$(UV) pip compile pyproject.toml --all-extras $(LOCK) -o requirements.lock
	$(UV) pip compile pyproject.toml --extra tracing --constraints requirements.lock $(LOCK) \
		-o deploy/requirements-base.lock
	$(UV) pip compile pyproject.toml --extra quantize --extra tracing --constraints requirements.lock $(LOCK) \
		-o deploy/requirements-inference.lock
	$(UV) pip compile pyproject.toml --extra inference-slim --extra tracing --constraints requirements.lock $(LOCK) \
		-o deploy/requirements-inference-slim.lock
	$(UV) pip compile --group audit $(LOCK) -o deploy/requirements-audit.lock
	@"$(PYTHON)" -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], "editables", sep="\n")' \
		| $(UV) pip compile - --constraints requirements.lock $(LOCK) --custom-compile-command "make lock" \
		-o deploy/requirements-build.lock

format: setup ## format the code and repair what can be repaired
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: setup ## style, types and the rules of who may import whom
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Files in the order of their folders: each shares its servers, and the short ones of `unit` fill up the end. A
# process of pytest that dies ends the run: with another in its place pytest-xdist 3.8 may wait for ever (#1323).
test: setup ## run the tests on servers of their own, beside a running stack: make test [WORKERS= ARGS="-k name"]
	$(BIN)/python -m pytest $(or $(ARGS),-n $(or $(WORKERS),2) --dist loadfile --no-loadscope-reorder --max-worker-restart 0)

audit: .audit/ready ## ask a public database whether a hole is known in what is locked
	@said=$$(.audit/bin/pip-audit --strict --disable-pip --require-hashes --progress-spinner off \
		$(foreach lock,requirements.lock $(wildcard deploy/*.lock),-r $(lock)) 2>&1); case "$$?:$$said" in \
		0:*) echo "$$said" ;; \
		*"Found "*" known vulnerabilit"*) echo "$$said"; exit 1 ;; \
		*) echo "make audit: the database could not be asked, so nothing is known: $$(echo "$$said" | tail -1)" >&2; exit 69 ;; \
	esac

sbom: setup .audit/ready ## write what is installed into sbom.json (CycloneDX)
	.audit/bin/cyclonedx-py environment $(BIN)/python --pyproject pyproject.toml --output-reproducible -o sbom.json

faults: setup ## kill, stop and cut off everything, and check what came of it: make faults [SEED= ROUNDS= ONLY=]
	$(BIN)/python -m tests.faults --seed $(or $(SEED),1) --rounds $(or $(ROUNDS),1) $(if $(ONLY),--only "$(ONLY)")

fuzz: setup ## give damaged videos to decoding children for a while: make fuzz [MINUTES= SEED= ARGS=--help]
	$(BIN)/python -m tests.hostile.fuzz --minutes $(or $(MINUTES),10) --seed $(or $(SEED),1) $(ARGS)

bench: setup ## measure Kadr beside Ultralytics and the bare machine: make bench [VIDEOS= REPEATS= ARGS=--help]
	$(BIN)/python -m benchmarks $(if $(VIDEOS),--videos $(VIDEOS)) $(if $(REPEATS),--repeats $(REPEATS)) $(ARGS)

demo: setup ## find the objects in a video: make demo [VIDEO=path] [MODEL=path]
	@$(BIN)/kadr demo $${VIDEO:+"$$VIDEO"}

up: setup ## run servers and processes until Ctrl-C
	@$(BIN)/kadr up

down: setup ## stop what `make up` started in another terminal
	@$(BIN)/kadr down

train: setup ## train the demo model anew, on synthetic pictures
	$(BIN)/python -m models.train_demo

.venv/ready: requirements.lock pyproject.toml | $(UV)
	@$(require_python)
	@test -x $(BIN)/python || $(UV) venv --quiet --python "$(PYTHON)" .venv
	$(UV) pip sync --quiet --python $(BIN)/python --require-hashes requirements.lock
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

.audit/ready: deploy/requirements-audit.lock | $(UV)
	@$(require_python)
	@test -x .audit/bin/python || $(UV) venv --quiet --python "$(PYTHON)" .audit
	$(UV) pip sync --quiet --python .audit/bin/python --require-hashes $<
	@touch $@

# Some distributions split venv from Python; pip alone is enough there.
.uv/bin/uv:
	@$(require_python)
	@"$(PYTHON)" -m venv .uv >/dev/null 2>&1 || { rm -rf .uv && "$(PYTHON)" -m venv --without-pip .uv; } || { \
		echo "python3 cannot make a virtual environment: install its venv module (Debian: python3-venv), or uv" >&2; exit 1; }
	@if test -x .uv/bin/pip; then .uv/bin/python -m pip install --quiet uv; \
		else "$(PYTHON)" -m pip --python .uv/bin/python install --quiet uv; fi

define require_python
test -n "$(PYTHON)" || { \
	echo "Kadr needs Python 3.11, 3.12 or 3.13; python3 here is $$(python3 --version 2>&1 || echo missing)" >&2; exit 1; }
endef
