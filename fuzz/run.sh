#!/usr/bin/env bash
# Coverage-guided fuzzing with libFuzzer and the address sanitizer, without cargo-fuzz and on the stable toolchain.
#
#   fuzz/run.sh TARGET SECONDS      TARGET: codec_decode, codec_roundtrip, schema_compile
#
# Inputs that reached new code are kept in target/fuzz/corpus/TARGET; one that fails is written to target/fuzz/findings and
# the exit code is not 0. `target/fuzz/x86_64-unknown-linux-gnu/release/TARGET FILE` runs a finding again.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/.." && pwd)
[ $# -eq 2 ] || { echo "usage: fuzz/run.sh TARGET SECONDS (targets: codec_decode, codec_roundtrip, schema_compile)" >&2; exit 2; }
target=$1 seconds=$2
[ -f "$here/targets/$target.rs" ] || { echo "fuzz: there is no target $target" >&2; exit 2; }
command -v g++ >/dev/null 2>&1 || { echo "fuzz: g++ is missing (it builds libFuzzer): apt-get install g++" >&2; exit 1; }
triple=$(rustc -vV | sed -n 's/^host: //p')
# What cargo-fuzz passes: edge counters and traced comparisons. The sanitizer is unstable only in its switch.
flags="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters"
flags="$flags -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing"
flags="$flags -Zsanitizer=address"
export CARGO_TARGET_DIR=$root/target/fuzz RUSTC_BOOTSTRAP=1 RUSTFLAGS=$flags
cargo build --release -q --manifest-path "$here/Cargo.toml" --target "$triple" --bin "$target"
corpus=$root/target/fuzz/corpus/$target findings=$root/target/fuzz/findings
mkdir -p "$corpus" "$findings"
seeds=()
[ -d "$here/seeds/$target" ] && seeds+=("$here/seeds/$target")
exec "$CARGO_TARGET_DIR/$triple/release/$target" "$corpus" "${seeds[@]}" -max_total_time="$seconds" -timeout=20 \
  -rss_limit_mb=4096 -max_len=4096 -artifact_prefix="$findings/$target-" -print_final_stats=1
