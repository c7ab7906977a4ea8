#!/usr/bin/env bash
# Runs one benchmark or all of them. Each prints one JSON object as the last line of stdout.
set -euo pipefail
cd "$(dirname "$0")/.."
name=${1:-all}
# The whole workspace at once: a single package would select other features, and build its dependencies anew.
cargo build --release --locked --quiet --workspace --examples
run() { # example, arguments
  "${CARGO_TARGET_DIR:-target}/release/examples/$1" "${@:2}"
}
one() {
  case $1 in
    codec) run bench_codec ;;
    log) run bench_log ;;
    s2) run bench_s2 ;;
    series)
      scripts/influxdb.sh -- bench/influx_write &&
        scripts/influxdb.sh -- "${CARGO_TARGET_DIR:-target}/release/examples/bench_series"
      ;;
    tumble | hop | session | memory) run bench_windows "$1" ;;
    firehose) run bench_firehose ;;
    idle) bench/idle_daggers ;;
    lists) run bench_lists ;;
    chart) bench/chart ;;
    sinks) scripts/influxdb.sh -- "${CARGO_TARGET_DIR:-target}/release/examples/bench_sinks" ;;
    delivery)
      local missed=0
      MILLRACE_POSTGRES_FSYNC=on MILLRACE_POSTGRES_OPTIONS="-c max_wal_size=8GB" scripts/postgres.sh -- \
        "${CARGO_TARGET_DIR:-target}/release/examples/postgres_sink" || missed=1
      run http_sink || missed=1
      bench/connect/run.sh || missed=1
      return $missed
      ;;
    kafka) scripts/kafka/with_kafka.sh -- "${CARGO_TARGET_DIR:-target}/release/examples/bench_kafka" ;;
    *) echo "no benchmark is called $1; there are: tumble hop session memory firehose idle lists chart codec log s2 series sinks delivery kafka" >&2; exit 2 ;;
  esac
}
if [ "$name" = all ]; then
  failed=0
  for each in tumble hop session memory firehose idle lists chart codec log s2 series sinks delivery kafka; do one "$each" || failed=1; done
  exit $failed
fi
one "$name"
