#!/usr/bin/env bash
# Runs a command with a PostgreSQL server of its own, whose URL is in MILLRACE_TEST_DATABASE. Installs Debian's package if
# it is missing.
set -euo pipefail
find_bin() { find /usr/lib/postgresql -maxdepth 2 -name bin 2>/dev/null | sort -V | tail -1; }
bin=$(find_bin)
if [ -z "$bin" ]; then
  command -v apt-get >/dev/null || { echo "missing: PostgreSQL (Debian package postgresql)" >&2; exit 1; }
  sudo=""
  [ "$(id -u)" = 0 ] || sudo=sudo
  $sudo apt-get update -qq >&2
  $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql postgresql-client >&2
  bin=$(find_bin)
fi
work=$(mktemp -d)
# The server refuses to run as root.
as() { if [ "$(id -u)" = 0 ]; then runuser -u postgres -- "$@"; else "$@"; fi; }
if [ "$(id -u)" = 0 ]; then chown postgres "$work"; fi
finish() {
  (cd / && as "$bin/pg_ctl" -D "$work/db" -m immediate stop >/dev/null 2>&1) || true
  rm -rf "$work"
}
trap finish EXIT
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
options="-c listen_addresses=127.0.0.1 -p $port -k $work -c fsync=off -c max_connections=500"
(cd / && as "$bin/initdb" -D "$work/db" -U millrace --auth=trust -E UTF8 >/dev/null)
(cd / && as "$bin/pg_ctl" -D "$work/db" -o "$options" -w -l "$work/log" start >/dev/null)
export MILLRACE_TEST_DATABASE=postgres://millrace@127.0.0.1:$port/postgres
"$@"
