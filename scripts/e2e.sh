#!/usr/bin/env bash
# The portal in real Chromium, against a server of its own with the demo city. Screenshots: web/test-results.
set -euo pipefail
cd "$(dirname "$0")/.."
chromium=$(scripts/chromium.sh)
work=$(mktemp -d)
server=
finish() {
  if [ -n "$server" ]; then kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; fi
  rm -rf "$work"
}
trap finish EXIT
# The tests make their accounts with this token.
MILLRACE_ADMIN_TOKEN=$(od -An -N24 -tx1 /dev/urandom | tr -d ' \n')
export MILLRACE_ADMIN_TOKEN
# No test goes there: requests to it are answered in the browser.
export MILLRACE_GRAFANA_URL=https://grafana.example.com
# Sinks of the tests are on this machine.
target/release/millrace up --demo --sink-networks 127.0.0.1 --data-dir "$work/data" --listen 127.0.0.1:0 >"$work/url" 2>"$work/log" &
server=$!
for _ in $(seq 300); do [ -s "$work/url" ] && break; sleep 0.1; done
[ -s "$work/url" ] || { cat "$work/log" >&2; exit 1; }
# The chart and the map need results of whole minutes.
url=$(cat "$work/url")
for _ in $(seq 180); do
  target/release/millrace --server "$url" sql "SELECT 1 FROM driver_count_demo LIMIT 1" -o ndjson 2>/dev/null | grep -q . && break
  sleep 1
done
cd web
CHROMIUM=$chromium MILLRACE_URL=$url npx --no-install playwright test --config e2e/playwright.config.ts "$@"
