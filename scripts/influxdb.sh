#!/usr/bin/env bash
# Runs a command with an InfluxDB 1.6 of its own, whose URL is in MILLRACE_TEST_INFLUXDB. Takes the server out of Debian's
# package, which is fetched once and not installed.
set -euo pipefail
[ $# -gt 0 ] || { echo "usage: influxdb.sh COMMAND..." >&2; exit 2; }
server=$(command -v influxd || true)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/millrace/influxdb
if [ -z "$server" ]; then
  server=$cache/usr/bin/influxd
  if [ ! -x "$server" ]; then
    command -v apt-get >/dev/null || { echo "missing: InfluxDB 1.6 (Debian package influxdb)" >&2; exit 1; }
    fetched=$(mktemp -d)
    if ! (cd "$fetched" && apt-get download -qq influxdb >&2); then
      sudo=""
      [ "$(id -u)" = 0 ] || sudo=sudo
      $sudo apt-get update -qq >&2
      (cd "$fetched" && apt-get download -qq influxdb >&2)
    fi
    mkdir -p "$(dirname "$cache")"
    dpkg -x "$fetched"/influxdb_*.deb "$cache.$$"
    rm -rf "$fetched" "$cache"
    mv "$cache.$$" "$cache"
  fi
fi
work=$(mktemp -d)
pid=
finish() {
  if [ -n "$pid" ]; then kill "$pid" 2>/dev/null || true; wait "$pid" 2>/dev/null || true; fi
  rm -rf "$work"
}
trap finish EXIT
port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
http=$(port)
cat >"$work/influxdb.conf" <<CONF
reporting-disabled = true
bind-address = "127.0.0.1:$(port)"
[meta]
  dir = "$work/meta"
[data]
  dir = "$work/data"
  wal-dir = "$work/wal"
  index-version = "inmem"
[coordinator]
  max-select-series = 0
[http]
  bind-address = "127.0.0.1:$http"
  log-enabled = false
[monitor]
  store-enabled = false
[continuous_queries]
  enabled = false
CONF
"$server" -config "$work/influxdb.conf" >"$work/log" 2>&1 &
pid=$!
for _ in $(seq 100); do
  curl -fs "http://127.0.0.1:$http/ping" >/dev/null 2>&1 && break
  kill -0 "$pid" 2>/dev/null || { cat "$work/log" >&2; exit 1; }
  sleep 0.1
done
export MILLRACE_TEST_INFLUXDB=http://127.0.0.1:$http
"$@"
