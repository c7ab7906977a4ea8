#!/usr/bin/env bash
# Runs a command with an InfluxDB 1.6 of its own, whose address is in MILLRACE_INFLUXDB_URL: influxdb.sh -- COMMAND...
# Without `influxd` in the path the server is taken out of Debian's package, which is fetched once and not installed.
set -euo pipefail
[ "${1:-}" = -- ] && shift
[ $# -gt 0 ] || { echo "usage: influxdb.sh -- COMMAND..." >&2; exit 2; }
program=$(command -v influxd || true)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/millrace/influxdb
if [ -z "$program" ]; then
  program=$cache/usr/bin/influxd
  if [ ! -x "$program" ]; then
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
export MILLRACE_INFLUXD=$program
work=$(mktemp -d)
server=
finish() {
  [ -z "$server" ] || { kill "$server" && wait "$server"; } 2>/dev/null || true
  rm -rf "$work"
}
trap finish EXIT
read -r port rpc < <(python3 -c 'import socket
sockets = [socket.socket() for _ in range(2)]
[s.bind(("127.0.0.1", 0)) for s in sockets]
print(*[s.getsockname()[1] for s in sockets])')
cat >"$work/influxdb.conf" <<C
reporting-disabled = true
bind-address = "127.0.0.1:$rpc"
[meta]
  dir = "$work/meta"
[data]
  dir = "$work/data"
  wal-dir = "$work/wal"
[http]
  bind-address = "127.0.0.1:$port"
  log-enabled = false
[monitor]
  store-enabled = false
[continuous_queries]
  enabled = false
C
"$program" -config "$work/influxdb.conf" >"$work/log" 2>&1 &
server=$!
for _ in $(seq 400); do
  curl -sf -o /dev/null "http://127.0.0.1:$port/ping" && break
  kill -0 "$server" 2>/dev/null || { cat "$work/log" >&2; exit 1; }
  sleep 0.05
done
export MILLRACE_INFLUXDB_URL=http://127.0.0.1:$port MILLRACE_INFLUXDB_PID=$server
"$@"
