#!/usr/bin/env bash
# Runs the fault tests of one area or of all: faults.sh [AREA] [SEEDS] [MINUTES]. Each prints one JSON object as the last line
# of stdout. `kafka-fast` is the part of `kafka` that a change has to pass; CASE=NAME runs one case of `kafka`.
set -euo pipefail
cd "$(dirname "$0")/.."
area=${1:-all}
seeds=${2:-20}
minutes=${3:-5}
one() {
  "${CARGO_TARGET_DIR:-target}/release/examples/faults_$1" "$seeds" "${@:2}"
}
case $area in
  engine | control | series | delivery | kafka | kafka-fast | kafka-city | all) ;;
  *) echo "no fault tests for $area; there are: engine control series delivery kafka kafka-fast kafka-city" >&2; exit 2 ;;
esac
cargo build --release --locked --quiet --workspace --examples
case $area in
  all)
    failed=0
    for each in engine control series kafka; do one "$each" || failed=1; done
    tests/delivery/run.sh "$seeds" || failed=1
    exit $failed
    ;;
  delivery) tests/delivery/run.sh "$seeds" "${CASE:-all}" ;;
  kafka) one kafka "${CASE:-all}" ;;
  kafka-fast) seeds=1 && one kafka fast ;;
  kafka-city) tests/kafka/city.sh "$minutes" ;;
  *) one "$area" ;;
esac
