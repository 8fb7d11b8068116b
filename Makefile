# What a developer repeats. `make test` and `make demo` need a Rust toolchain and Python 3, no more:
# the rest is installed into a cache of the project's own (scripts/cache, scripts/tools).
SHELL := bash
.DEFAULT_GOAL := help
.PHONY: help demo test editors tools lint fmt bench fixtures

CACHE := $(shell scripts/cache)
# Variables of a Neovim or a Celery that this make was started from would reach what we start.
unexport VIM VIMRUNTIME NVIM_APPNAME CELERY_BROKER_URL CELERY_RESULT_BACKEND

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1\t\2/p' Makefile | expand -t 18

demo: ## a lively Celery cluster of your own in Neovim; nothing is left when Neovim closes
	@scripts/demo

test: tools ## everything: unit, transcripts, real Redis and Celery workers, a real Neovim
	cargo test

# Screens are compared cell by cell on the Neovim of `make test` alone.
editors: tools ## the plugin in the oldest and the newest Neovim it runs in, from Debian's packages
	@scripts/tools nvim-oldest nvim-newest
	LAZYCELERY_NVIM=nvim-oldest cargo test --test suite neovim:: -- --skip screens::
	LAZYCELERY_NVIM=nvim-newest cargo test --test suite neovim:: -- --skip screens::

tools:
	@scripts/tools celery nvim redis

lint: ## formatting, clippy, Lua style and types, documentation
	@scripts/lint

fmt: ## format Rust and Lua
	@scripts/tools stylua
	cargo fmt
	$(CACHE)/bin/stylua lua plugin tests/nvim

bench: ## how fast events come in, and what a person waits for
	@scripts/tools celery nvim redis
	cargo bench --bench figures

fixtures: export PATH := $(CACHE)/bin:$(PATH)
fixtures: ## record the payloads in tests/fixtures anew, from real workers
	@scripts/tools celery redis
	python tests/fixtures/record.py
	python tests/fixtures/state.py
	python tests/fixtures/kombu_urls.py > tests/fixtures/kombu_urls.json
	python tests/fixtures/saferepr.py > tests/fixtures/saferepr.json
