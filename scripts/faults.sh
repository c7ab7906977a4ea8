#!/usr/bin/env bash
# Runs the fault tests of one area or of all. Each prints one JSON object as the last line of stdout.
set -euo pipefail
cd "$(dirname "$0")/.."
area=${1:-all}
seeds=${2:-20}
one() {
  "${CARGO_TARGET_DIR:-target}/release/examples/faults_$1" "$seeds"
}
case $area in
  engine | control | all) cargo build --release --locked --quiet --workspace --examples ;;
  *) echo "no fault tests for $area; there are: engine control" >&2; exit 2 ;;
esac
if [ "$area" = all ]; then
  failed=0
  for each in engine control; do one "$each" || failed=1; done
  exit $failed
fi
one "$area"
