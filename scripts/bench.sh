#!/usr/bin/env bash
# Runs one benchmark or all of them. Each prints one JSON object as the last line of stdout.
set -euo pipefail
cd "$(dirname "$0")/.."
name=${1:-all}
run() { # name, package, example, arguments
  local package=$2 example=$3
  shift 3
  cargo run --release --locked --quiet -p "$package" --example "$example" -- "$@"
}
one() {
  case $1 in
    codec) run codec codec bench_codec ;;
    log) run log millrace-log bench_log ;;
    s2) run s2 functions bench_s2 ;;
    series) run series series bench_series ;;
    tumble | hop | session | memory) run "$1" flow bench_windows "$1" ;;
    idle) bench/idle_daggers ;;
    *) echo "no benchmark is called $1; there are: tumble hop session memory idle codec log s2 series" >&2; exit 2 ;;
  esac
}
if [ "$name" = all ]; then
  failed=0
  for each in tumble hop session memory idle codec log s2 series; do one "$each" || failed=1; done
  exit $failed
fi
one "$name"
