#!/usr/bin/env bash
# Flights of January and the two queries of the dialect's reference on the city's first million records, each against an
# independent computation. `--year` adds the whole year of flights, whose data it downloads.
set -euo pipefail
cd "$(dirname "$0")/../.."
command -v python3 >/dev/null || { echo "missing: python3 (Debian package python3)" >&2; exit 1; }
python3 tests/independent/flights.py "$@"
python3 tests/independent/city_queries.py --only booking_count_demo
python3 tests/independent/city_queries.py --only driver_count_demo
