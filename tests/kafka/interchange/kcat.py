"""kcat, on an older librdkafka than confluent_client.py."""

import json
import subprocess

from record import Record, Stored


class Kcat:
    name = "kcat"

    def __init__(self, bootstrap: str):
        self._bootstrap = bootstrap

    def write(self, topic: str, records: list[Record], codec: str) -> None:
        """All records of one call have the same headers: kcat has no others. What is empty becomes null."""
        headers = [part for name, value in records[0].headers for part in ("-H", f"{name}={value.decode()}")]
        lines = "".join(f"{(one.key or b'').decode()}\t{(one.value or b'').decode()}\n" for one in records)
        self._run(["-P", "-t", topic, "-z", codec, "-K", "\t", "-Z", *headers], lines.encode())

    def read(self, topic: str, count: int) -> list[Stored]:
        """Text only: its JSON has no other form for bytes."""
        out = self._run(["-C", "-t", topic, "-o", "beginning", "-e", "-q", "-J"], b"")
        return sorted(stored(json.loads(line)) for line in out.splitlines())[:count]

    def _run(self, arguments: list[str], stdin: bytes) -> bytes:
        command = ["kcat", "-b", self._bootstrap, *arguments]
        return subprocess.run(command, input=stdin, stdout=subprocess.PIPE, check=True).stdout


def stored(line: dict) -> Stored:
    pairs = line.get("headers", [])
    return Stored(
        line["partition"],
        line["offset"],
        line["ts"],
        Record(
            encoded(line["key"]),
            encoded(line["payload"]),
            tuple((name, encoded(value)) for name, value in zip(pairs[::2], pairs[1::2])),
        ),
    )


def encoded(text: str | None) -> bytes | None:
    return None if text is None else text.encode()
