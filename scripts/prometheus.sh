#!/usr/bin/env bash
# Runs a command with a Prometheus of its own that takes remote write, whose address is in MILLRACE_PROMETHEUS_URL:
# prometheus.sh -- COMMAND... Without a command it fetches it only. Takes the program out of Debian's package, which is fetched
# once and not installed.
set -euo pipefail
[ "${1:-}" = -- ] && shift
program=$(command -v prometheus || true)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/millrace/prometheus
if [ -z "$program" ]; then
  program=$cache/usr/bin/prometheus
  if [ ! -x "$program" ]; then
    for tool in apt-get dpkg; do
      command -v $tool >/dev/null || { echo "missing: Prometheus 2.40 or newer (Debian package prometheus) on the PATH" >&2; exit 1; }
    done
    fetched=$(mktemp -d)
    trap 'rm -rf "$fetched"' EXIT
    if ! (cd "$fetched" && apt-get download -qq prometheus >&2); then
      sudo=""
      [ "$(id -u)" = 0 ] || sudo=sudo
      $sudo apt-get update -qq >&2
      (cd "$fetched" && apt-get download -qq prometheus >&2)
    fi
    mkdir -p "$(dirname "$cache")"
    # Beside its place and then renamed: whoever sees the folder sees all of it.
    dpkg -x "$fetched"/prometheus_*.deb "$cache.$$"
    rm -rf "$fetched" "$cache"
    mv "$cache.$$" "$cache"
    trap - EXIT
  fi
fi
[ $# -gt 0 ] || exit 0
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
"$program" --config.file="$work/prometheus.yml" --storage.tsdb.path="$work/data" --storage.tsdb.retention.time=100y \
  --web.listen-address="127.0.0.1:$port" --web.enable-remote-write-receiver >"$work/log" 2>&1 &
server=$!
for _ in $(seq 400); do
  curl -sf -o /dev/null "http://127.0.0.1:$port/-/ready" && break
  kill -0 "$server" 2>/dev/null || { cat "$work/log" >&2; exit 1; }
  sleep 0.05
done
export MILLRACE_PROMETHEUS_URL=http://127.0.0.1:$port
"$@"
