#!/usr/bin/env bash
# A real Apache Kafka on this machine, for tests and for trying; `cluster.sh --help` says how.
set -euo pipefail
exec python3 -B "$(dirname "$0")/cluster.py" "$@"
