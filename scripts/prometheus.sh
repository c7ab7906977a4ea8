#!/usr/bin/env bash
# Runs a command with a Prometheus of its own that takes remote write, whose address is in MILLRACE_PROMETHEUS_URL:
# prometheus.sh -- COMMAND... Installs Debian's package if it is missing.
set -euo pipefail
[ "${1:-}" = -- ] && shift
[ $# -gt 0 ] || { echo "usage: prometheus.sh -- COMMAND..." >&2; exit 2; }
if ! command -v prometheus >/dev/null; then
  command -v apt-get >/dev/null || { echo "missing: Prometheus (Debian package prometheus)" >&2; exit 1; }
  sudo=""
  [ "$(id -u)" = 0 ] || sudo=sudo
  $sudo apt-get update -qq >&2
  $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends prometheus >&2
fi
work=$(mktemp -d)
server=
finish() {
  [ -z "$server" ] || { kill "$server" && wait "$server"; } 2>/dev/null || true
  rm -rf "$work"
}
trap finish EXIT
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
# What is written again after a crash is behind what is there already.
cat >"$work/prometheus.yml" <<C
storage:
  tsdb:
    out_of_order_time_window: 1h
C
prometheus --config.file="$work/prometheus.yml" --storage.tsdb.path="$work/data" --storage.tsdb.retention.time=100y \
  --web.listen-address="127.0.0.1:$port" --web.enable-remote-write-receiver >"$work/log" 2>&1 &
server=$!
for _ in $(seq 400); do
  curl -sf -o /dev/null "http://127.0.0.1:$port/-/ready" && break
  kill -0 "$server" 2>/dev/null || { cat "$work/log" >&2; exit 1; }
  sleep 0.05
done
export MILLRACE_PROMETHEUS_URL=http://127.0.0.1:$port
"$@"
