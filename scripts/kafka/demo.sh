#!/usr/bin/env bash
# The demo city with a real Kafka of one node beside it, known to Millrace as the cluster `kafka`: demo.sh DATA_DIR LISTEN.
# Kafka keeps its records in DATA_DIR/kafka and stops with the server.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
millrace=$here/../../target/release/millrace
data=$1
listen=$2
"$here/cluster.sh" up "$data/kafka" --heap 512m
server=
finish() {
  # Once is enough, however often a key is pressed.
  trap '' INT TERM
  if [ -n "$server" ]; then kill "$server" 2>/dev/null || true; wait "$server" || true; fi
  "$here/cluster.sh" down "$data/kafka"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
# Out of reach of the terminal's ^C, which would reach it besides the signal of `finish`; two end it at once.
setsid "$millrace" up --demo --data-dir "$data" --listen "$listen" &
server=$!
until "$millrace" --data-dir "$data" get kafka-clusters >/dev/null 2>&1; do
  kill -0 "$server" 2>/dev/null || { wait "$server"; exit; }
  sleep 0.2
done
bootstrap=$(sed -n 's/^BOOTSTRAP=//p' "$data/kafka/env")
"$millrace" --data-dir "$data" apply -f - >&2 <<YAML
apiVersion: millrace/v1
kind: KafkaCluster
metadata: {name: kafka}
spec: {type: kafka, bootstrap: ["$bootstrap"]}
YAML
echo "Kafka is at $bootstrap; scripts/kafka/console.sh TopicCommand --bootstrap-server $bootstrap --list" >&2
wait "$server"
