"""Kafka's own console clients: what the Java client writes and reads."""

import subprocess
from pathlib import Path

from record import Record, Stored

CONSOLE = Path(__file__).parents[3] / "scripts/kafka/console.sh"
NULL = r"\N"
# The reader writes bytes as they are, so lines must end with what is in no record.
END = "<end of record>\n"
WAIT_MS = "10000"


class JavaConsole:
    name = "java"

    def __init__(self, bootstrap: str):
        self._bootstrap = bootstrap

    def write(self, topic: str, records: list[Record], codec: str) -> None:
        properties = {"parse.key": "true", "parse.headers": "true", "null.marker": NULL}
        lines = "".join(f"{headers_text(one)}\t{text(one.key)}\t{text(one.value)}\n" for one in records)
        self._run("ConsoleProducer", "reader", topic, properties, ["--compression-codec", codec], lines.encode())

    def read(self, topic: str, count: int) -> list[Stored]:
        shown = ("timestamp", "partition", "offset", "headers", "key", "value")
        properties = {f"print.{name}": "true" for name in shown} | {"null.literal": NULL, "line.separator": END}
        until = ["--from-beginning", "--max-messages", str(count), "--timeout-ms", WAIT_MS]
        out = self._run("ConsoleConsumer", "formatter", topic, properties, until, b"")
        return sorted(stored(line) for line in out.split(END.encode())[:-1])

    def _run(self, tool: str, kind: str, topic: str, properties: dict[str, str], more: list[str], stdin: bytes) -> bytes:
        command = [CONSOLE, tool, "--bootstrap-server", self._bootstrap, "--topic", topic, *more]
        for name, value in properties.items():
            command += [f"--{kind}-property", f"{name}={value}"]
        if tool == "ConsoleConsumer":
            command += ["--isolation-level", "read_committed"]
        ended = subprocess.run(command, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        # A reader that waited in vain ends with 1 and has told what it found.
        if ended.returncode != 0 and b"TimeoutException" not in ended.stderr:
            raise RuntimeError(f"{tool}: {ended.stderr.decode()}")
        return ended.stdout


def text(value: bytes | None) -> str:
    return NULL if value is None else value.decode()


def headers_text(record: Record) -> str:
    return ",".join(f"{name}:{value.decode()}" for name, value in record.headers) or NULL


def stored(line: bytes) -> Stored:
    timestamp, partition, offset, headers, key, value = line.split(b"\t", 5)
    pairs = [] if headers == b"NO_HEADERS" else [pair.split(b":", 1) for pair in headers.split(b",")]
    null = NULL.encode()
    return Stored(
        partition=int(partition.removeprefix(b"Partition:")),
        offset=int(offset.removeprefix(b"Offset:")),
        timestamp_ms=int(timestamp.removeprefix(b"CreateTime:")),
        record=Record(
            None if key == null else key,
            None if value == null else value,
            tuple((name.decode(), value) for name, value in pairs),
        ),
    )
