"""The oracle finds every kind of mistake, and none where there is none; on a real cluster (scripts/kafka/with_kafka.sh)."""

import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

import oracle

HERE = Path(__file__).parent
BOOTSTRAP = os.environ["MILLRACE_KAFKA_BOOTSTRAP"]
WINDOW_MS = 60_000
PROTO = """
syntax = "proto3";
package oracle.v1;
import "google/protobuf/timestamp.proto";
message Result { google.protobuf.Timestamp window_end = 1; string city = 2; int64 bookings = 3; double fare = 4; }
"""


def row(window: int, city: str, bookings: int) -> dict:
    return {"window_start": window * WINDOW_MS, "city": city, "bookings": bookings, "fare": bookings * 1.1}


ROWS = [row(window, city, window + len(city)) for window in range(20) for city in ("jakarta", "medan", "bandung")]


class OracleTest(unittest.TestCase):
    def judge(self, topic: str, transactions: list, encode=None, **options) -> tuple[int, dict]:
        """`transactions`: lists of rows, and whether they are committed."""
        admin = AdminClient({"bootstrap.servers": BOOTSTRAP})
        admin.create_topics([NewTopic(topic, 2)])[topic].result()
        producer = Producer({"bootstrap.servers": BOOTSTRAP, "transactional.id": topic})
        producer.init_transactions()
        for rows, commits in transactions:
            producer.begin_transaction()
            for one in rows:
                producer.produce(topic, (encode or (lambda one: json.dumps(one).encode()))(one), one["city"])
            producer.flush()
            producer.commit_transaction() if commits else producer.abort_transaction()
        with tempfile.TemporaryDirectory() as folder:
            return self.run_oracle(topic, Path(folder), **options)

    def run_oracle(self, topic: str, folder: Path, proto: bool = False) -> tuple[int, dict]:
        expected = folder / "expected"
        lines = (
            {"window_start": one["window_start"], "key": one["city"], "value": {name: one[name] for name in ("bookings", "fare")}}
            for one in ROWS
        )
        expected.write_text("".join(json.dumps(line) + "\n" for line in lines))
        command = [sys.executable, HERE / "oracle.py", "--bootstrap", BOOTSTRAP, "--topic", topic, "--expected", expected]
        command += ["--value", "bookings", "--value", "fare", "--wait", "1"]
        if proto:
            (folder / "result.proto").write_text(PROTO)
            command += ["--proto", folder / "result.proto", "--type", "oracle.v1.Result", "--key", "city"]
            command += ["--window", "window_end", "--window-is-end-of", str(WINDOW_MS)]
        ended = subprocess.run(command, stdout=subprocess.PIPE, text=True)
        return ended.returncode, json.loads(ended.stdout)

    def counts(self, **differing) -> dict:
        good = {"expected": len(ROWS), "found": len(ROWS), "missing": 0, "doubled": 0, "wrong": 0, "unexpected": 0}
        return good | differing

    def test_every_result_once_is_good_whatever_was_aborted(self):
        transactions = [(ROWS[:30], True), (ROWS[30:], False), (ROWS[30:], True), (ROWS[:5], False)]
        self.assertEqual(self.judge("good", transactions), (0, self.counts()))

    def test_missing(self):
        self.assertEqual(self.judge("missing", [(ROWS[:-2], True), (ROWS[-2:], False)]), (1, self.counts(found=58, missing=2)))

    def test_doubled(self):
        self.assertEqual(self.judge("doubled", [(ROWS, True), (ROWS[:3], True)]), (1, self.counts(found=63, doubled=3)))

    def test_wrong(self):
        rows = [*ROWS[:-1], ROWS[-1] | {"bookings": -1}]
        self.assertEqual(self.judge("wrong", [(rows, True)]), (1, self.counts(wrong=1)))

    def test_unexpected(self):
        rows = [*ROWS, row(99, "jakarta", 1)]
        self.assertEqual(self.judge("unexpected", [(rows, True)]), (1, self.counts(found=61, unexpected=1)))

    def test_protobuf_with_the_end_of_the_window(self):
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "result.proto").write_text(PROTO)
            result = oracle.message_class(Path(folder) / "result.proto", "oracle.v1.Result")

        def encode(one: dict) -> bytes:
            message = result(city=one["city"], bookings=one["bookings"], fare=one["fare"])
            message.window_end.FromMilliseconds(one["window_start"] + WINDOW_MS)
            return message.SerializeToString()

        self.assertEqual(self.judge("protobuf", [(ROWS, True)], encode, proto=True), (0, self.counts()))


if __name__ == "__main__":
    unittest.main()
