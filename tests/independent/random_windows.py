#!/usr/bin/env python3
"""Random small inputs through random windows, compared with `millrace dagger run` for several batch sizes.

    python3 tests/independent/random_windows.py [--cases 100] [--seed 1]

Times lie on a coarse grid and sizes are multiples of it, so that records meet the exact ends of windows, gaps and
watermarks. Several files per table, records out of order, late and broken ones among them. A case that differs is
kept in target/independent/random/SEED, with its seed to repeat it.
"""

import pathlib
import random
import shutil
import sys

import comparison
import protobuf_wire as wire
from event_time import Ledger, Partition, sessions

STEP_MS = 1_000
START_MS = 1_700_000_000_000 // STEP_MS * STEP_MS
BATCHES = ("--threads 1 --batch-rows 1", "--threads 2 --batch-rows 3", "--threads 1 --batch-rows 1000")

PROTO = """syntax = "proto3";
package random.v1;
import "google/protobuf/timestamp.proto";
message Sample {
  string key = 1;
  int64 amount = 2;
  google.protobuf.Timestamp event_timestamp = 3;
}
"""

SPEC = """apiVersion: millrace/v1
kind: Dagger
metadata: {{name: samples}}
spec:
  streams:
    - table: samples
      schema: random.v1.Sample
      topics: [samples]
      timestamp: event_timestamp
      watermark: {{delay: {delay}ms}}
  sql: |
    SELECT key AS tag_key, count(1) AS samples, sum(amount) AS total, min(amount) AS least,
           {function}_START({arguments}) AS window_start, {function}_END({arguments}) AS window_timestamp
    FROM samples WHERE amount >= 0
    GROUP BY {function}({arguments}), key
"""


def varint(value):
    out = bytearray()
    value &= (1 << 64) - 1
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def encode(key, amount, time_ms):
    time = b"\x08" + varint(time_ms // 1000) + (
        b"\x10" + varint(time_ms % 1000 * 1_000_000) if time_ms % 1000 else b"")
    return (b"\x0a" + varint(len(key)) + key + (b"\x10" + varint(amount) if amount else b"")
            + b"\x1a" + varint(len(time)) + time)


def write_file(dice, path, keys, span):
    """A file of samples whose times move on, with leaps, and sometimes fall back."""
    now, messages = START_MS + dice.randrange(span) * STEP_MS, []
    for _ in range(dice.randrange(0, 60)):
        now += dice.choice((0, 0, 1, 1, 2, 3, dice.randrange(span))) * STEP_MS
        time_ms = now - dice.choice((0, 0, 0, 1, 2, dice.randrange(2 * span))) * STEP_MS
        message = encode(dice.choice(keys), dice.randrange(-2, 20), time_ms)
        kind = dice.randrange(40)
        if kind == 0:
            message = message[:-1]
        elif kind == 1:
            message = b"\x0a\x01\xff" + message[2 + message[1]:]
        elif kind == 2:
            message = encode(dice.choice(keys), 1, 0)[:-4]
        messages.append(message)
    path.write_bytes(b"".join(varint(len(message)) + message for message in messages))


def seconds(ms):
    return f"INTERVAL '{ms // 1000}' SECOND"


def draw_window(dice):
    """The window's name in SQL, its arguments, and size and slide (or gap)."""
    kind = dice.choice(("TUMBLE", "HOP", "SESSION"))
    size = dice.randrange(1, 12) * STEP_MS
    if kind == "HOP":
        slide = dice.randrange(1, size // STEP_MS + 1) * STEP_MS
        return kind, f"rowtime, {seconds(slide)}, {seconds(size)}", size, slide
    return kind, f"rowtime, {seconds(size)}", size, size


def expected(paths, kind, size_ms, slide_ms, delay_ms):
    ledger, groups = Ledger(), {}
    for path in paths:
        partition = Partition(delay_ms)
        for data, start, end in wire.delimited(path):
            ledger.consumed += 1
            try:
                found = wire.fields(data, start, end, (1, 2, 3)).get
                time_ms = wire.timestamp_ms(data, found(3))
                key = wire.text(data, found(1))
                if time_ms is None:
                    raise wire.Broken("no event time")
            except wire.Broken:
                ledger.dead_lettered += 1
                continue
            amount = found(2) or 0
            amount -= (1 << 64) if amount >> 63 else 0
            if kind == "SESSION":
                open_ends = [] if partition.is_late_for_sessions(time_ms) else [None]
            else:
                open_ends = partition.windows(time_ms, size_ms, slide_ms)
            partition.advance(time_ms)
            if amount < 0:
                ledger.filtered += 1
            elif not open_ends:
                ledger.late += 1
            else:
                ledger.delivered += 1
                for end_ms in open_ends:
                    groups.setdefault((end_ms, key), []).append((time_ms, amount))
    rows = []
    for (end_ms, key), samples in groups.items():
        for window in sessions(samples, size_ms) if kind == "SESSION" else [samples]:
            amounts = [amount for _, amount in window]
            rows.append({
                "tag_key": key,
                "samples": len(amounts),
                "total": sum(amounts),
                "least": min(amounts),
                "window_start": window[0][0] if kind == "SESSION" else end_ms - size_ms,
                "window_timestamp": window[-1][0] + size_ms if kind == "SESSION" else end_ms,
            })
    return rows, ledger


def run_case(options, seed):
    dice = random.Random(seed)
    folder = options.results / "random" / str(seed)
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "proto").mkdir(parents=True)
    (folder / "proto/sample.proto").write_text(PROTO)
    kind, arguments, size_ms, slide_ms = draw_window(dice)
    delay_ms = dice.randrange(0, 8) * STEP_MS
    spec = folder / f"{kind.lower()}.yaml"
    spec.write_text(SPEC.format(delay=delay_ms, function=kind, arguments=arguments))
    paths = [folder / f"{number}.pb" for number in range(dice.randrange(1, 4))]
    for path in paths:
        write_file(dice, path, (b"a", b"b", b"c")[:dice.randrange(1, 4)], dice.randrange(1, 20))
    rows, ledger = expected(paths, kind, size_ms, slide_ms, delay_ms)
    inputs = [("samples", path) for path in paths]
    for engine_options in BATCHES:
        options.engine_options = engine_options
        if not comparison.compare(options, spec, folder / "proto", inputs, rows,
                                  ["window_start", "window_timestamp"], ledger, is_quiet=True):
            print(f"seed {seed}, {kind}({arguments}), delay {delay_ms} ms, {engine_options}: kept in {folder}")
            return False
    shutil.rmtree(folder)
    return True


def main():
    parser = comparison.parser(__doc__.split("\n")[0])
    parser.add_argument("--cases", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1, help="of the first case; the next one has the next seed")
    options = parser.parse_args()
    options.results = pathlib.Path(options.results)
    failed = sum(not run_case(options, seed) for seed in range(options.seed, options.seed + options.cases))
    print(f"{options.cases - failed} of {options.cases} cases equal")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
