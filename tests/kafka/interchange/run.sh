#!/usr/bin/env bash
# Kafka's Java clients, kcat, confluent-kafka and Millrace read what the others wrote, on a real cluster of one node.
# The binary is target/release/millrace or $MILLRACE_BINARY; with MILLRACE_URL (and MILLRACE_TOKEN) it only talks to the server
# there. --without-millrace checks the other clients among themselves.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
missing=()
want() { command -v "$1" >/dev/null 2>&1 || missing+=("$2"); }
want kcat kcat
want protoc protobuf-compiler
[ ${#missing[@]} -eq 0 ] || "$root/scripts/kafka/install.sh" "${missing[@]}"

options=()
if [ "${1:-}" != --without-millrace ]; then
  binary=${MILLRACE_BINARY:-$root/target/release/millrace}
  [ -x "$binary" ] || { echo "there is no $binary; \`make build\` makes it" >&2; exit 1; }
  options=(--millrace "$binary")
fi
"$root/scripts/kafka/with_kafka.sh" -- "$root/tests/kafka/python.sh" "$here/interchange.py" ${options[@]+"${options[@]}"}
