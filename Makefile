# Two commands: `make demo` shows the main job on real input, `make test` runs every check. Each installs what it lacks.

SHELL := /bin/bash
.DEFAULT_GOAL := help

# Outside the clone, so that polars is compiled once, not once for every clone.
export CARGO_TARGET_DIR ?= $(HOME)/.cache/argus/target
# Where rustup puts cargo, for shells that have not read its profile; where Debian puts `ip`.
export PATH := $(HOME)/.cargo/bin:$(PATH):/usr/sbin:/sbin

# Cargo unites the features of all packages named in one command. Building the two halves in one command would give
# polars other features than building the analyser alone, and compile it a second time; so they are never mixed.
# tests/tests/dependencies.rs holds this file to it.
ANALYZE := -p argus-schemas -p argus-analyze
CAPTURE := -p argus-bpf -p argus-capture
export ANALYZE CAPTURE

.PHONY: help demo test battery bench fmt setup deny record
help:
	@echo 'make demo     builds, records a demo agent (or takes a sample), writes out/report.html and shows the finding'
	@echo 'make test     every check and test; what is skipped is named at the end'
	@echo 'make battery  records the attribution battery, prints its scores; UPDATE_BATTERY=1 writes tests/battery.md'
	@echo 'make bench    measures recording and analysing, and prints the figures'
	@echo 'make fmt      formats Rust and C'
	@echo 'make deny     checks licences, sources and advisories of all dependencies (installs cargo-deny once)'
	@echo 'make record   records the sample traces anew (needs root) and rewrites the expected reports'
	@echo 'make setup    installs what building and testing need (Debian packages, through apt)'

setup:
	@tests/support/setup.sh build test

demo:
	@tests/support/setup.sh build
	@tests/support/demo.sh

test:
	@tests/support/setup.sh build test
	@tests/support/test.sh

battery:
	@tests/support/setup.sh build test
	@tests/support/battery.sh

bench:
	@tests/support/setup.sh build
	@tests/support/bench.sh

fmt:
	cargo fmt --all
	clang-format -i bpf/programs/*.[ch]

deny:
	@tests/support/deny.sh install

record:
	@tests/support/setup.sh build
	@tests/support/record.sh
