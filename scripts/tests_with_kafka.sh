#!/usr/bin/env bash
# The tests that need a Kafka cluster, and all other tests of the crates. Run by scripts/kafka/with_kafka.sh --secure.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo test --release --locked --workspace --no-fail-fast
# The control plane once more, on PostgreSQL.
scripts/with_postgres.sh cargo test --release --locked --workspace --no-fail-fast -q -- \
  access:: clusters:: database:: resource_db:: daggers:: edits:: history:: topics:: lifecycle::
tests/kafka/python.sh tests/kafka/oracle_test.py
