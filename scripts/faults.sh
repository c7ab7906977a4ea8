#!/usr/bin/env bash
# Runs the fault tests of one area or of all. The last line of stdout is one JSON object.
set -euo pipefail
cd "$(dirname "$0")/.."
area=${1:-all}
seeds=${2:-20}
case $area in
  engine | all)
    cargo build --release --locked --quiet --workspace --examples
    "${CARGO_TARGET_DIR:-target}/release/examples/faults_engine" "$seeds"
    ;;
  *) echo "no fault tests for $area; there are: engine" >&2; exit 2 ;;
esac
