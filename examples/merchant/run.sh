#!/usr/bin/env bash
# The merchant's report, before and after, with two PostgreSQL servers and a Millrace of its own: run.sh [--orders N] ...
# Wants target/release/millrace; installs PostgreSQL and Python's psycopg if they are missing.
set -euo pipefail
cd "$(dirname "$0")/../.."
if [ -z "${REPORTS_DATABASE:-}" ]; then
  if [ -z "${ORDERS_DATABASE:-}" ]; then
    ORDERS_DATABASE=wanted exec scripts/with_postgres.sh "$0" "$@"
  fi
  ORDERS_DATABASE=$MILLRACE_TEST_DATABASE REPORTS_DATABASE=wanted exec scripts/with_postgres.sh "$0" "$@"
fi
python=target/merchant
wanted="psycopg[binary]==3.2.3"
if [ "$(cat "$python/wanted" 2>/dev/null)" != "$wanted" ]; then
  rm -rf "$python"
  python3 -m venv "$python"
  "$python/bin/pip" install --quiet --disable-pip-version-check "$wanted"
  echo "$wanted" >"$python/wanted"
fi
REPORTS_DATABASE=$MILLRACE_TEST_DATABASE exec "$python/bin/python" examples/merchant/story.py "$@"
