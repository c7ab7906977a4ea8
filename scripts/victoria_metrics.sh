#!/usr/bin/env bash
# Runs a command with a VictoriaMetrics of its own, whose address is in MILLRACE_VICTORIA_METRICS_URL:
# victoria_metrics.sh -- COMMAND... Builds it from the Go proxy if it is missing; the binary stays in .deps.
set -euo pipefail
cd "$(dirname "$0")/.."
version=v1.110.0
[ "${1:-}" = -- ] && shift
[ $# -gt 0 ] || { echo "usage: victoria_metrics.sh -- COMMAND..." >&2; exit 2; }
binary=$PWD/.deps/victoria-metrics-$version
if [ ! -x "$binary" ]; then
  command -v go >/dev/null || { echo "missing: go, to build VictoriaMetrics $version" >&2; exit 1; }
  mkdir -p .deps
  sources=$(mktemp -d)
  # The module carries its dependencies in a folder that the proxy leaves out of it, so it is built with -mod=mod.
  module=$(cd "$sources" && GOFLAGS=-mod=mod go mod download -json "github.com/VictoriaMetrics/VictoriaMetrics@$version" |
    python3 -c 'import json, sys; print(json.load(sys.stdin)["Dir"])')
  cp -r "$module" "$sources/module"
  chmod -R u+w "$sources/module"
  rm -rf "$sources/module/vendor"
  (cd "$sources/module" && GOFLAGS='-mod=mod -buildvcs=false' go build -trimpath -ldflags '-s -w' -o "$binary.new" ./app/victoria-metrics) >&2
  mv "$binary.new" "$binary"
  rm -rf "$sources"
fi
work=$(mktemp -d)
server=
finish() {
  [ -z "$server" ] || { kill "$server" && wait "$server"; } 2>/dev/null || true
  rm -rf "$work"
}
trap finish EXIT
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
# Old points are kept, and the same point written twice is there once.
"$binary" -storageDataPath="$work/data" -httpListenAddr="127.0.0.1:$port" -retentionPeriod=100y -search.latencyOffset=0s \
  -dedup.minScrapeInterval=1ms -memory.allowedBytes=256MB >"$work/log" 2>&1 &
server=$!
for _ in $(seq 400); do
  curl -sf -o /dev/null "http://127.0.0.1:$port/health" && break
  kill -0 "$server" 2>/dev/null || { cat "$work/log" >&2; exit 1; }
  sleep 0.05
done
export MILLRACE_VICTORIA_METRICS_URL=http://127.0.0.1:$port
"$@"
