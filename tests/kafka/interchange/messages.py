"""Protobuf messages in each wire format, there and back: Confluent's own serializer, and Millrace."""

import json
from dataclasses import dataclass
from pathlib import Path

from confluent_client import ConfluentClient
from millrace import Millrace
from record import Record
from wire import PROTO, Wire, as_json

PACKAGE = "interchange.v1"
MESSAGES = {
    "Booking": [
        {"id": "b-1", "fare": 12000, "status": "COMPLETED", "stops": ["Blok M", "Senayan"], "driver": {"name": "a", "rating": 4.5}},
        {"id": "b-2", "fare": -1, "status": "CANCELLED", "stops": []},
        {},
    ],
    "Booking.Refund": [{"reason": "late ✓"}, {"reason": "x" * 3000}],
    "Ride": [{"id": "r-1"}, {"id": "r-2"}],
}
INDEX_OF_FIRST = bytes([0x00])
# The same index written out, as some writers do.
INDEX_OF_FIRST_IN_FULL = bytes([0x02, 0x00])
PREFIX_BYTES = 5


@dataclass
class Written:
    """A topic in one wire format: its records as Confluent's serializer makes them, and what Millrace must know to read them."""

    topic: str
    type_name: str
    encoding: object
    messages: list
    records: list[Record]


def check_all(checks, confluent: ConfluentClient, millrace: Millrace | None, folder: Path) -> None:
    wire = Wire(folder)
    if millrace:
        millrace.push(PROTO)
    for name, fields in MESSAGES.items():
        type_name = f"{PACKAGE}.{name}"
        messages = [wire.message(type_name, one) for one in fields]
        for written in formats(wire, name, type_name, messages):
            confluent.make_topic(written.topic, 1)
            confluent.write(written.topic, written.records, "zstd")
            checks.check(f"confluent -> confluent: {written.topic}", lambda: confluent_reads(confluent, wire, written))
            if millrace:
                checks.check(f"confluent -> millrace: {written.topic}", lambda: millrace_reads(millrace, written))
                checks.check(
                    f"millrace -> confluent: {written.topic}", lambda: millrace_writes(confluent, millrace, wire, written)
                )


def formats(wire: Wire, name: str, type_name: str, messages: list) -> list[Written]:
    short = name.lower().replace(".", "-")

    def written(form: str, encoding: object, make) -> Written:
        topic = f"{short}-{form}"
        return Written(topic, type_name, encoding, messages, [make(topic, message) for message in messages])

    all_formats = [
        written("bare", "protobuf", lambda _, message: Record(b"k", message.SerializeToString())),
        written("json", "json", lambda _, message: Record(b"k", json.dumps(as_json(message)).encode())),
        written("prefix", "confluent", lambda topic, message: Record(b"k", wire.prefixed(topic, message))),
        written("header", "confluentHeader", lambda topic, message: with_header(wire, topic, message)),
    ]
    for one in all_formats:
        number_and_guid(wire, one)
    prefixed = all_formats[2]
    if all(record.value[PREFIX_BYTES:][:1] == INDEX_OF_FIRST for record in prefixed.records):
        records = [Record(one.key, in_full(one.value)) for one in prefixed.records]
        all_formats.append(Written(f"{short}-prefix-in-full", type_name, prefixed.encoding, messages, records))
    return all_formats


def with_header(wire: Wire, topic: str, message) -> Record:
    value, header = wire.with_header(topic, message)
    return Record(b"k", value, (header,))


def number_and_guid(wire: Wire, written: Written) -> None:
    """What Millrace writes is told to it; what it reads it takes from the message type."""
    if written.encoding == "confluent":
        written.encoding = {"type": "confluent", "writeSchemaId": wire.schema_of(written.topic)[0]}
    elif written.encoding == "confluentHeader":
        written.encoding = {"type": "confluentHeader", "schemaGuid": wire.schema_of(written.topic)[1]}


def in_full(value: bytes) -> bytes:
    return value[:PREFIX_BYTES] + INDEX_OF_FIRST_IN_FULL + value[PREFIX_BYTES + 1 :]


def confluent_reads(confluent: ConfluentClient, wire: Wire, written: Written) -> str | None:
    found = [decoded(wire, written, one.record) for one in confluent.read(written.topic, len(written.records))]
    wanted = [as_json(message) for message in written.messages]
    return None if found == wanted else f"found {found}, wanted {wanted}"


def decoded(wire: Wire, written: Written, record: Record) -> dict:
    if written.encoding == "json":
        return as_json(wire.message(written.type_name, json.loads(record.value)))
    if written.encoding == "protobuf":
        return as_json(type(written.messages[0]).FromString(record.value))
    return wire.read(written.topic, written.type_name, record.value, record.headers)


def millrace_reads(millrace: Millrace, written: Written) -> str | None:
    millrace.topic(written.topic, schema=written.type_name, encoding=written.encoding)
    found = [comparable(one.get("value", one)) for one in millrace.read_messages(written.topic)]
    wanted = [comparable(as_json(message)) for message in written.messages]
    return None if found == wanted else f"found {found}, wanted {wanted}"


def comparable(message: dict) -> dict:
    """A message that is not there may be shown as null or not at all."""
    return {name: value for name, value in message.items() if value is not None}


def millrace_writes(confluent: ConfluentClient, millrace: Millrace, wire: Wire, written: Written) -> str | None:
    """What Millrace adds to the topic is, for Confluent's deserializer, what its own serializer wrote."""
    before = len(written.records)
    millrace.publish(written.topic, [{"key": "k", "value": as_json(message)} for message in written.messages])
    added = [one.record for one in confluent.read(written.topic, 2 * before)][before:]
    found = [decoded(wire, written, record) for record in added]
    wanted = [as_json(message) for message in written.messages]
    return None if found == wanted else f"found {found}, wanted {wanted}"
