#!/usr/bin/env bash
# Runs a command with an InfluxDB 1 of its own, whose address is in MILLRACE_INFLUXDB_URL: with_influxdb.sh -- COMMAND...
# Installs Debian's package if it is missing.
set -euo pipefail
[ "${1:-}" = -- ] && shift
[ $# -gt 0 ] || { echo "usage: with_influxdb.sh -- COMMAND..." >&2; exit 2; }
if ! command -v influxd >/dev/null; then
  command -v apt-get >/dev/null || { echo "missing: InfluxDB 1 (Debian package influxdb)" >&2; exit 1; }
  sudo=""
  [ "$(id -u)" = 0 ] || sudo=sudo
  $sudo apt-get update -qq >&2
  $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends influxdb >&2
fi
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
C
influxd -config "$work/influxdb.conf" >"$work/log" 2>&1 &
server=$!
for _ in $(seq 400); do
  curl -sf -o /dev/null "http://127.0.0.1:$port/ping" && break
  kill -0 "$server" 2>/dev/null || { cat "$work/log" >&2; exit 1; }
  sleep 0.05
done
export MILLRACE_INFLUXDB_URL=http://127.0.0.1:$port
"$@"
