# Everything a person does here; `make help` lists it. One cargo profile for all, so that dependencies build once.
CARGO ?= cargo
DATA_DIR ?= data
LISTEN ?= 127.0.0.1:8080
NAME ?= all
AREA ?= all
SEEDS ?= 20
MINUTES ?= 5
KAFKA ?= embedded

.PHONY: help build up test bench faults lint conformance e2e

help:
	@echo "make up           build what is missing, start everything with the demo city, print the address; KAFKA=real with a Kafka"
	@echo "make test         run all tests (installs what they need)"
	@echo "make build        target/release/millrace"
	@echo "make bench        benchmarks; NAME=tumble|hop|session|memory|firehose|idle|lists|chart|codec|log|series|s2|sinks|delivery|kafka for one"
	@echo "make faults       fault tests; AREA=engine|control|series|delivery|kafka|kafka-fast for one, SEEDS=20 runs; AREA=kafka-city MINUTES=5"
	@echo "make conformance  the protobuf conformance suite"
	@echo "make e2e          the portal in Chromium: every page at two widths in two themes, with axe"
	@echo "make lint         rustfmt, clippy, cargo deny"

build:
	@scripts/prepare.sh
	$(CARGO) build --release --locked --workspace

up: build
ifeq ($(KAFKA),real)
	scripts/kafka/demo.sh $(DATA_DIR) $(LISTEN)
else
	target/release/millrace up --demo --data-dir $(DATA_DIR) --listen $(LISTEN)
endif

test: build
	scripts/test.sh

lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --release --locked --workspace --all-targets -- -D warnings
	@if $(CARGO) deny --version >/dev/null 2>&1; then $(CARGO) deny check licenses bans sources; else echo "cargo deny is not installed: cargo install --locked cargo-deny" >&2; fi

bench: build
	@scripts/bench.sh $(NAME)

faults: build
	@scripts/faults.sh $(AREA) $(SEEDS) $(MINUTES)

conformance: build
	tests/conformance/run.sh

e2e: build
	scripts/e2e.sh
