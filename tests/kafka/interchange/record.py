"""What is written to a topic and what a reader says that is there, in one form for all clients."""

from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Record:
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


@dataclass(frozen=True, order=True)
class Stored:
    """A record with its place."""

    partition: int
    offset: int
    timestamp_ms: int
    record: Record


def texts(writer: str, codec: str, count: int) -> list[Record]:
    """Keys and values as text without tabs or line ends, which is all that a console client can write. Long enough that a
    batch is worth compressing; some have no key, some no value (tombstones)."""
    records = []
    for number in range(count):
        key = None if number % 7 == 3 else f"key-{codec}-{number % 20}".encode()
        is_tombstone = key is not None and number % 9 == 5
        value = None if is_tombstone else f"{writer} {codec} {number} Kebayoran Baru ✓ ".encode() * 20
        records.append(Record(key, value, (("source", writer.encode()), ("codec", codec.encode()))))
    return records


def written_otherwise(written: list[Record], stored: list[Stored]) -> str | None:
    """How what a reader found differs from what was written, in whatever order and partition."""
    found = [one.record for one in stored]
    for record in written:
        if record not in found:
            return f"{len(written)} were written, {len(stored)} found; missing: {record}"
        found.remove(record)
    return f"found but not written: {found[0]}" if found else None
