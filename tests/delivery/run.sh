#!/usr/bin/env bash
# Faults under firehoses to every sink: run.sh [SEEDS] [CASE]. Wants target/release/millrace; installs and starts the rest.
set -euo pipefail
cd "$(dirname "$0")/../.."
python=target/delivery-faults
wanted="psycopg[binary]==3.2.3"
if [ "$(cat "$python/wanted" 2>/dev/null)" != "$wanted" ]; then
  rm -rf "$python"
  python3 -m venv "$python"
  "$python/bin/pip" install --quiet --disable-pip-version-check "$wanted"
  echo "$wanted" >"$python/wanted"
fi
scripts/with_postgres.sh scripts/influxdb.sh -- "$python/bin/python" tests/delivery/faults.py "$@"
