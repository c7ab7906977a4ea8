#!/usr/bin/env bash
# All tests. Ends non-zero when one fails.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo fmt --all --check
cargo test --release --locked --workspace --no-fail-fast
tests/conformance/run.sh
tests/independent/run.sh
