"""Runs a dagger over files and compares what it writes with rows that were computed elsewhere."""

import argparse
import datetime
import json
import pathlib
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
DIFFERENCES_SHOWN = 10


def parser(description):
    """The options that all scripts have in common."""
    options = argparse.ArgumentParser(description=description)
    options.add_argument("--millrace", type=pathlib.Path, default=ROOT / "target/release/millrace",
                         help="the binary to test")
    options.add_argument("--results", type=pathlib.Path, default=ROOT / "target/independent",
                         help="folder for the rows that the binary writes")
    options.add_argument("--engine-options", default="",
                         help="more options for `millrace dagger run`, such as '--threads 2 --batch-rows 1000'")
    options.add_argument("--only", help="compare the dagger of this name only")
    return options


def rfc3339_ms(text):
    """Milliseconds since 1970 of a timestamp in a result row."""
    moment = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    if moment.tzinfo is None:
        raise ValueError(f"{text} has no time zone")
    since = moment - datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
    return since // datetime.timedelta(milliseconds=1)


def run_dagger(options, spec, proto, inputs, is_quiet):
    """Runs the dagger; returns the lines that it wrote and the ledger that it printed."""
    options.results.mkdir(parents=True, exist_ok=True)
    output = options.results / f"{spec.stem}.ndjson"
    output.unlink(missing_ok=True)
    command = [str(options.millrace), "dagger", "run", str(spec), "--proto", str(proto)]
    for table, path in inputs:
        command += ["--input", f"{table}={path}"]
    command += ["--output", str(output), *options.engine_options.split()]
    began = time.monotonic()
    finished = subprocess.run(command, capture_output=True, text=True)
    if finished.returncode != 0:
        sys.exit(f"{spec.stem}: exit code {finished.returncode} of\n  {' '.join(command)}\n{finished.stderr}")
    seconds = time.monotonic() - began
    if not is_quiet:
        print(f"{spec.stem}: dagger run took {seconds:.1f} s", file=sys.stderr)
    ledger = json.loads(finished.stderr.strip().splitlines()[-1])
    return output.read_text().splitlines(), ledger


def compare(options, spec, proto, inputs, expected_rows, times, expected_ledger, is_quiet=False):
    """Compares all rows (the columns in `times` as moments), their order, and the ledger.

    Returns whether all is equal, having shown the first differences or, unless `is_quiet`, said so."""
    name = spec.stem
    lines, ledger = run_dagger(options, spec, proto, inputs, is_quiet)
    problems = []
    actual = {}
    previous = None
    for number, line in enumerate(lines, 1):
        row = json.loads(line)
        for column in times:
            row[column] = rfc3339_ms(row[column])
        place = (row["window_timestamp"], line.encode())
        if previous is not None and place < previous:
            problems.append(f"line {number} is out of order: {line}")
        previous = place
        key = json.dumps(row, sort_keys=True)
        actual[key] = actual.get(key, 0) + 1
    expected = {}
    for row in expected_rows:
        key = json.dumps(row, sort_keys=True)
        expected[key] = expected.get(key, 0) + 1
    problems += [f"missing: {key}" for key, count in sorted(expected.items()) if actual.get(key, 0) < count]
    problems += [f"not expected: {key}" for key, count in sorted(actual.items()) if expected.get(key, 0) < count]
    wanted = expected_ledger.cells() | {"rows": len(expected_rows)}
    problems += [f"ledger: {cell} is {ledger.get(cell)}, not {count}"
                 for cell, count in wanted.items() if ledger.get(cell) != count]
    if problems:
        print(f"{name}: {len(problems)} differences, {len(lines)} rows, {len(expected_rows)} expected")
        for problem in problems[:DIFFERENCES_SHOWN]:
            print(f"  {problem}")
        for problem in problems[DIFFERENCES_SHOWN:]:
            if problem.startswith("ledger"):
                print(f"  {problem}")
        return False
    if not is_quiet:
        print(f"{name}: {len(expected_rows)} rows equal, ledger {json.dumps(wanted)}")
    return True
