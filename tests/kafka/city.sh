#!/usr/bin/env bash
# The demo city on a Kafka of three brokers with TLS and SASL, of which one after the other is killed for so many minutes,
# while two daggers publish to it exactly once: city.sh [MINUTES]. The last line of stdout is one JSON object.
# Needs `cargo build --release --workspace --examples` and the jars of Kafka (fetched on first use).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
exec "$here/../../scripts/kafka/with_kafka.sh" --quick --nodes 3 --secure --property broker.session.timeout.ms=3000 -- \
  "$here/python.sh" "$here/city.py" "${1:-5}"
