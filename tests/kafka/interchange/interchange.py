"""Who reads what whom wrote: Kafka's Java clients, kcat, confluent-kafka and Millrace, on one real cluster.

Prints a line for every check, and how many passed. Run by run.sh, with a cluster and these clients at hand.
"""

import argparse
import os
import sys
import tempfile
import traceback
from pathlib import Path

import batches
import messages
from confluent_client import ConfluentClient
from java_console import JavaConsole
from kcat import Kcat
from millrace import Millrace
from record import Record, texts, written_otherwise

RECORDS_PER_CODEC = 60
PARTITIONS = 3
KEYS = 300
PROBLEM_CHARACTERS_MAX = 1_000


def shortened(text: str) -> str:
    """Beginning and end, for an exception says at its end what it is."""
    half = PROBLEM_CHARACTERS_MAX // 2
    return text if len(text) <= 2 * half else f"{text[:half]} ... {text[-half:]}"


class Checks:
    def __init__(self):
        self.passed = 0
        self.failed = 0

    def check(self, name: str, run) -> None:
        """`run` returns what is wrong, or nothing."""
        try:
            problem = run()
        except Exception:
            problem = traceback.format_exc()
        self.passed += not problem
        self.failed += bool(problem)
        print(f"FAILED {name}: {shortened(problem)}" if problem else f"ok {name}", flush=True)


def text_of_all_codecs(checks: Checks, writer, readers: list, confluent: ConfluentClient, codecs: tuple[str, ...]) -> None:
    """Each reader finds what was written, and all find it at the same places with the same timestamps."""
    topic = f"text-by-{writer.name}"
    confluent.make_topic(topic, PARTITIONS)
    written = []
    for codec in codecs:
        records = texts(writer.name, codec, RECORDS_PER_CODEC)
        writer.write(topic, records, codec)
        written += records

    def compressed() -> str | None:
        found = batches.codecs(kafka_folder(), topic)
        return None if found == set(codecs) else f"the broker has {found}"

    checks.check(f"{writer.name} writes {', '.join(codecs)}", compressed)
    first: list = []
    for reader in readers:

        def reads(reader=reader) -> str | None:
            found = reader.read(topic, len(written))
            first.append(found)
            same = None if found == first[0] else f"other places or timestamps than {readers[0].name} found"
            return written_otherwise(written, found) or same

        checks.check(f"{writer.name} -> {reader.name}: {len(written)} texts", reads)


def partitions_of_keys(checks: Checks, java: JavaConsole, others: list, confluent: ConfluentClient) -> None:
    """The same key goes to the partition to which Java's default partitioner takes it."""
    records = [Record(f"driver-{number}".encode(), b"x", (("n", b"1"),)) for number in range(KEYS)]
    found = {}
    for writer in [java, *others]:
        topic = f"keys-by-{writer.name}"
        confluent.make_topic(topic, 7)
        writer.write(topic, records, "none")
        found[writer.name] = {one.record.key: one.partition for one in confluent.read(topic, KEYS)}
    for writer in others:
        of_java, of_other = found[java.name], found[writer.name]

        def same(of_other=of_other) -> str | None:
            differing = [key for key in of_java if of_other.get(key) != of_java[key]]
            return f"{len(differing)} of {KEYS} differ, one is {differing[0]}" if differing else None

        checks.check(f"{writer.name} takes {KEYS} keys to the partitions of {java.name}", same)


def transactions(checks: Checks, readers: list, confluent: ConfluentClient) -> None:
    """Only what was committed is read, also where the topic ends with what was aborted."""
    topic = "transactions"
    confluent.make_topic(topic, 1)
    producer = confluent.producer(**{"transactional.id": "interchange"})
    producer.init_transactions()
    committed = []
    for number, commits in enumerate((True, False, True, False)):
        records = [Record(b"k", f"transaction {number} {n}".encode()) for n in range(10)]
        producer.begin_transaction()
        confluent.produce(producer, topic, records)
        producer.flush()
        if commits:
            producer.commit_transaction()
            committed += records
        else:
            producer.abort_transaction()
    for reader in readers:
        reads = lambda reader=reader: written_otherwise(committed, reader.read(topic, len(committed) + 1))
        checks.check(f"{reader.name} reads what was committed", reads)


def deleted_beginning(checks: Checks, readers: list, confluent: ConfluentClient) -> None:
    topic = "begins-later"
    confluent.make_topic(topic, 1)
    records = [Record(b"k", f"number {n}".encode()) for n in range(20)]
    confluent.write(topic, records, "lz4")
    confluent.delete_before(topic, 0, 5)
    for reader in readers:

        def reads(reader=reader) -> str | None:
            found = reader.read(topic, 15)
            first = found[0].offset if found else None
            return written_otherwise(records[5:], found) or (None if first == 5 else f"begins at {first}, not at 5")

        checks.check(f"{reader.name} begins where the topic begins", reads)


def any_bytes(checks: Checks, readers: list, confluent: ConfluentClient) -> None:
    """Keys and values that are no text, empty ones, and headers twice, empty and null. Of headers, names of which there are two
    or values that are no text are compared by nobody: not every reader can show them."""
    topic = "any-bytes"
    confluent.make_topic(topic, 1)
    odd_headers = (("twice", b"1"), ("twice", b"2"), ("empty", b""), ("null", None), ("bytes", b"\xff\x00"))
    records = [Record(b"\x00\xff\xfe", b"\x80\n\t\x00"), Record(b"", b""), Record(None, None), Record(b"odd", b"v", odd_headers)]
    confluent.write(topic, records, "none")
    bare = [Record(one.key, one.value) for one in records]
    for reader in readers:

        def reads(reader=reader) -> str | None:
            found = reader.read(topic, len(records))
            return None if [Record(one.record.key, one.record.value) for one in found] == bare else f"found {found}"

        checks.check(f"{reader.name} reads any bytes", reads)


def kafka_folder() -> Path:
    return Path(os.environ["MILLRACE_KAFKA_DIR"])


def run(checks: Checks, millrace: Millrace | None, folder: Path) -> None:
    bootstrap = os.environ["MILLRACE_KAFKA_BOOTSTRAP"]
    java, kcat, confluent = JavaConsole(bootstrap), Kcat(bootstrap), ConfluentClient(bootstrap)
    own = [millrace] if millrace else []
    for writer in [java, kcat, confluent]:
        text_of_all_codecs(checks, writer, [confluent, java, kcat, *own], confluent, batches.CODECS)
    for writer in own:
        text_of_all_codecs(checks, writer, [confluent, java, kcat, *own], confluent, (millrace.codec,))
    partitions_of_keys(checks, java, [confluent, *own], confluent)
    transactions(checks, [confluent, java, kcat, *own], confluent)
    deleted_beginning(checks, [confluent, java, kcat, *own], confluent)
    any_bytes(checks, [confluent, *own], confluent)
    messages.check_all(checks, confluent, millrace, folder)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--millrace", type=Path, help="the binary; without it the other clients are checked among themselves")
    options = parser.parse_args()
    checks = Checks()
    with tempfile.TemporaryDirectory() as folder:
        millrace = Millrace(options.millrace, os.environ["MILLRACE_KAFKA_BOOTSTRAP"]) if options.millrace else None
        try:
            run(checks, millrace, Path(folder))
        finally:
            if millrace:
                millrace.stop()
    print(f"{checks.passed} passed, {checks.failed} failed")
    return 1 if checks.failed else 0


if __name__ == "__main__":
    sys.exit(main())
