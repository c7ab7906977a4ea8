#!/usr/bin/env bash
# Runs a command with a Kafka cluster of its own: with_kafka.sh [options of `cluster.sh up`] -- COMMAND...
# MILLRACE_KAFKA_BOOTSTRAP and other variables say how to reach it; MILLRACE_KAFKA_DIR is its folder for cluster.sh.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
options=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do options+=("$1"); shift; done
[ $# -gt 1 ] || { echo "usage: with_kafka.sh [options of cluster.sh up] -- COMMAND..." >&2; exit 2; }
shift
work=$(mktemp -d)
finish() {
  "$here/cluster.sh" down "$work/kafka" --now || true
  rm -rf "$work"
}
trap finish EXIT
"$here/cluster.sh" up "$work/kafka" --while $$ ${options[@]+"${options[@]}"}
while IFS='=' read -r name value; do
  export "MILLRACE_KAFKA_${name#KAFKA_}=$value"
done <"$work/kafka/env"
export MILLRACE_KAFKA_DIR=$work/kafka
"$@"
