.DEFAULT_GOAL := help
SHELL := /bin/bash
export MOLECULE_GLOB := molecule/*/molecule.yml

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' Makefile

.PHONY: venv
venv: .venv/installed ## Install the pinned tools into .venv (once, and again when the lock changes)

.venv/installed: requirements.lock tools/venv
	@tools/venv

.PHONY: host
host: ## Make Docker answer and build the image of a host under test
	@tools/host

.PHONY: demo
demo: venv host ## Serve several applications from one container, and show what runs where
	@tools/demo

.PHONY: test
test: venv host ## Run every check: lint, unit, and each Molecule scenario (two scenarios at a time; JOBS=1: one)
	@.venv/bin/python tools/test --jobs $(or $(JOBS),2)

.PHONY: lint
lint: venv ## Check style, types and documentation
	@tools/lint

.PHONY: unit
unit: venv ## Run the unit tests
	@tools/unit

.PHONY: molecule
molecule: venv host ## Test one role on a host of its own: make molecule ROLE=fcgid (RELEASE=13: on that Debian)
	@tools/molecule $(or $(ROLE),$(error say which: make molecule ROLE=<name>)) $(RELEASE)

.PHONY: bench
bench: venv host ## Measure converging, requests and memory, with ratios (SITES=100 for a quick look)
	@.venv/bin/python -m bench $(if $(SITES),--sites $(SITES))

.PHONY: format
format: venv ## Let ruff put the Python code in order
	@.venv/bin/ruff check --quiet --fix-only . $$(grep -l '^#!.*python' tools/*)
	@.venv/bin/ruff format --quiet . $$(grep -l '^#!.*python' tools/*)

.PHONY: lock
lock: venv ## Pin anew what requirements.in asks for
	@tools/lock

.PHONY: clean
clean: ## Remove every container, image, volume, network and file that this project made
	@tools/clean
