#!/usr/bin/env bash
# Kafka's Java clients, kcat, confluent-kafka and Millrace read what the others wrote, on a real cluster of one node.
# The binary is target/release/millrace or $MILLRACE_BINARY; with MILLRACE_URL (and MILLRACE_TOKEN) it only talks to the server
# there. --without-millrace checks the other clients among themselves.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
missing=()
want() { command -v "$1" >/dev/null 2>&1 || missing+=("$2"); }
want kcat kcat
want protoc protobuf-compiler
want python3 python3
python3 -c 'import ensurepip' 2>/dev/null || missing+=(python3-venv)
[ ${#missing[@]} -eq 0 ] || "$root/scripts/kafka/install.sh" "${missing[@]}"

# One environment for each list of packages.
packages=$(sha256sum "$here/requirements.txt" | cut -c1-12)
python=${XDG_CACHE_HOME:-$HOME/.cache}/millrace/python-$packages
if [ ! -e "$python/done" ]; then
  rm -rf "$python"
  python3 -m venv "$python"
  "$python/bin/pip" install --quiet --requirement "$here/requirements.txt" >&2
  touch "$python/done"
fi

options=()
if [ "${1:-}" != --without-millrace ]; then
  binary=${MILLRACE_BINARY:-$root/target/release/millrace}
  [ -x "$binary" ] || { echo "there is no $binary; \`make build\` makes it" >&2; exit 1; }
  options=(--millrace "$binary")
fi
"$root/scripts/kafka/with_kafka.sh" -- "$python/bin/python" -B "$here/interchange.py" ${options[@]+"${options[@]}"}
