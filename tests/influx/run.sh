#!/usr/bin/env bash
# InfluxDB's clients with Millrace: its shell, client libraries, Telegraf's recorded requests, Grafana's requests, malformed
# lines, what is deliberately different; beside a real InfluxDB 1.6. Wants target/release/millrace; installs what else it needs.
set -euo pipefail
cd "$(dirname "$0")/../.."
if ! command -v influx >/dev/null; then
  command -v apt-get >/dev/null || { echo "missing: the influx shell (Debian package influxdb-client)" >&2; exit 1; }
  sudo=""
  [ "$(id -u)" = 0 ] || sudo=sudo
  $sudo apt-get update -qq >&2
  $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends influxdb-client >&2
fi
python=target/influx-clients
wanted="influxdb==5.3.2 influxdb-client==1.50.0"
if [ "$(cat "$python/wanted" 2>/dev/null)" != "$wanted" ]; then
  rm -rf "$python"
  python3 -m venv "$python"
  # shellcheck disable=SC2086
  "$python/bin/pip" install --quiet --disable-pip-version-check $wanted
  echo "$wanted" >"$python/wanted"
fi
failed=()
for test in ${*:-differences malformed telegraf grafana libraries shell}; do
  scripts/influxdb.sh -- "$python/bin/python" "tests/influx/$test.py" || failed+=("$test")
done
[ ${#failed[@]} = 0 ] || { echo "failed: ${failed[*]}" >&2; exit 1; }
