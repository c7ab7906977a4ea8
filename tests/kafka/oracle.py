"""Judges the results of a dagger in a topic: is each there exactly once, with the value that it should have?

Reads what was committed, with a client that is not Millrace's, and compares it with a file of JSON lines:
{"window_start": TIME, "key": KEY, "value": VALUE}; TIME as milliseconds since 1970 or RFC 3339, VALUE one value or an object.
Prints {"expected", "found", "missing", "doubled", "wrong", "unexpected"} and ends with 1 if anything is not as it should be.
"""

import argparse
import json
import math
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory

SHOWN_MAX = 5
# Sums are added up in another order than here.
RELATIVE_ERROR_MAX = 1e-9
METADATA_SECONDS_MAX = 20


@dataclass
class Verdict:
    expected: int
    found: int
    missing: list = field(default_factory=list)
    doubled: list = field(default_factory=list)
    wrong: list = field(default_factory=list)
    unexpected: list = field(default_factory=list)

    def is_good(self) -> bool:
        return not (self.missing or self.doubled or self.wrong or self.unexpected)


def judge(expected: dict, found: list) -> Verdict:
    """`expected`: (window, key) -> value; `found`: pairs of (window, key) and value, as they were read."""
    verdict = Verdict(len(expected), len(found))
    times = Counter(place for place, _ in found)
    verdict.missing = [place for place in expected if place not in times]
    verdict.doubled = [(place, count) for place, count in times.items() if count > 1]
    verdict.unexpected = [place for place in times if place not in expected]
    verdict.wrong = [
        (place, value, expected[place]) for place, value in found if place in expected and not same(value, expected[place])
    ]
    return verdict


def same(one, other) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    if isinstance(one, float) or isinstance(other, float):
        numbers = isinstance(one, int | float) and isinstance(other, int | float)
        return numbers and math.isclose(one, other, rel_tol=RELATIVE_ERROR_MAX)
    return one == other


def milliseconds(written) -> int:
    if isinstance(written, str) and not written.lstrip("-").isdigit():
        return round(datetime.fromisoformat(written).timestamp() * 1000)
    return int(written)


def read_expected(file: Path) -> dict:
    expected = {}
    for line in file.read_text().splitlines():
        one = json.loads(line)
        place = (milliseconds(one["window_start"]), text(one["key"]))
        if place in expected:
            raise ValueError(f"{file} says twice what {place} is")
        expected[place] = one["value"]
    return expected


def text(key) -> str:
    """Keys are compared as text; several parts of one with a bar between them."""
    return "|".join(text(part) for part in key) if isinstance(key, list) else "" if key is None else str(key)


class Results:
    """How a record says its window, key and value."""

    def __init__(self, options: argparse.Namespace):
        self._options = options
        self._message = message_class(options.proto, options.type) if options.type else None

    def of(self, message) -> tuple:
        row = self._row(message.value())
        key = [row[name] for name in self._options.key] if self._options.key else (message.key() or b"").decode()
        window = milliseconds(row[self._options.window]) - self._options.window_is_end_of
        values = {name: row[name] for name in self._options.value}
        return (window, text(key)), values if len(values) > 1 else next(iter(values.values()))

    def _row(self, value: bytes) -> dict:
        if self._message is None:
            return json.loads(value)
        message = self._message.FromString(value)
        row = json_format.MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
        # In JSON, whole numbers of 64 bits are texts.
        whole = {one.name for one in message.DESCRIPTOR.fields if one.cpp_type in (one.CPPTYPE_INT64, one.CPPTYPE_UINT64)}
        return {name: int(value) if name in whole else value for name, value in row.items()}


def message_class(proto: Path, type_name: str):
    with tempfile.NamedTemporaryFile() as file:
        command = ["protoc", f"--proto_path={proto.parent}", "--include_imports", f"--descriptor_set_out={file.name}"]
        subprocess.run([*command, proto.name], check=True)
        descriptors = descriptor_pb2.FileDescriptorSet.FromString(Path(file.name).read_bytes())
    pool = descriptor_pool.DescriptorPool()
    for one in descriptors.file:
        pool.Add(one)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(type_name))


def read(options: argparse.Namespace, places: set) -> list:
    """Everything committed, to the end of each partition; while some of `places` are missing, what comes until `--wait` is over."""
    results = Results(options)
    consumer = Consumer(
        {
            "bootstrap.servers": options.bootstrap,
            "group.id": "oracle",
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
            "enable.auto.commit": False,
        }
        | dict(one.split("=", 1) for one in options.property)
    )
    metadata = consumer.list_topics(options.topic, timeout=METADATA_SECONDS_MAX).topics[options.topic]
    if metadata.error is not None:
        raise RuntimeError(f"{options.topic}: {metadata.error}")
    partitions = set(metadata.partitions)
    consumer.assign([TopicPartition(options.topic, partition, OFFSET_BEGINNING) for partition in partitions])
    found, ended, missing = [], set(), set(places)
    until = time.monotonic() + options.wait
    while ended < partitions or (missing and time.monotonic() < until):
        message = consumer.poll(0.2)
        if message is None:
            if ended < partitions and time.monotonic() > until + METADATA_SECONDS_MAX:
                raise RuntimeError(f"no end of partitions {sorted(partitions - ended)}: is a transaction open, a broker down?")
        elif message.error() is None:
            ended.discard(message.partition())
            if message.value() is not None:
                found.append(results.of(message))
                missing.discard(found[-1][0])
        elif message.error().code() == KafkaError._PARTITION_EOF:
            ended.add(message.partition())
        elif not message.error().retriable():
            raise RuntimeError(f"{options.topic}: {message.error()}")
    consumer.close()
    return found


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--expected", required=True, type=Path, help="file of JSON lines")
    parser.add_argument("--window", default="window_start", help="field with the window's time; default window_start")
    parser.add_argument("--window-is-end-of", default=0, type=int, metavar="MS", help="the field says the end of windows so long")
    parser.add_argument("--key", action="append", default=[], metavar="FIELD", help="may be given several times; default: the record's key")
    parser.add_argument("--value", action="append", required=True, metavar="FIELD", help="may be given several times")
    parser.add_argument("--proto", type=Path, help="file with the message type of the records; default: they are JSON")
    parser.add_argument("--type", help="the message type")
    parser.add_argument("--wait", type=float, default=0, metavar="SECONDS", help="so long for what is missing at first")
    parser.add_argument("--property", action="append", default=[], metavar="NAME=VALUE", help="of librdkafka, such as for logging in")
    return parser


def main() -> int:
    options = arguments().parse_args()
    expected = read_expected(options.expected)
    verdict = judge(expected, read(options, set(expected)))
    counts = {"expected": verdict.expected, "found": verdict.found}
    for name in ("missing", "doubled", "wrong", "unexpected"):
        places = getattr(verdict, name)
        counts[name] = len(places)
        for place in places[:SHOWN_MAX]:
            print(f"{name}: {place}", file=sys.stderr)
    print(json.dumps(counts))
    return 0 if verdict.is_good() else 1


if __name__ == "__main__":
    sys.exit(main())
