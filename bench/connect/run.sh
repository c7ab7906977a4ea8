#!/usr/bin/env bash
# A topic of a real Kafka into PostgreSQL: our firehose beside Kafka Connect with Debezium's JDBC sink: run.sh [RECORDS]
# Wants target/release/millrace; installs and starts the rest.
set -euo pipefail
cd "$(dirname "$0")/../.."
libs=$(scripts/kafka/fetch.sh)
plugins=$(bench/connect/fetch.sh)
python=target/connect-bench
wanted="psycopg[binary]==3.2.3 confluent-kafka==2.16.1"
if [ "$(cat "$python/wanted" 2>/dev/null)" != "$wanted" ]; then
  rm -rf "$python"
  python3 -m venv "$python"
  # shellcheck disable=SC2086
  "$python/bin/pip" install --quiet --disable-pip-version-check $wanted
  echo "$wanted" >"$python/wanted"
fi
KAFKA_LIBS=$libs DEBEZIUM_JDBC=$plugins scripts/kafka/with_kafka.sh --quick -- \
  scripts/with_postgres.sh "$python/bin/python" bench/connect/beside_connect.py "${1:-400000}"
