"""Messages in Confluent's wire formats, by Confluent's own serializer against a registry in this process."""

import subprocess
from pathlib import Path

from confluent_kafka.schema_registry import SchemaRegistryClient, header_schema_id_serializer, prefix_schema_id_serializer
from confluent_kafka.schema_registry.protobuf import ProtobufDeserializer, ProtobufSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory

PROTO = Path(__file__).parent / "bookings.proto"


class Wire:
    """Message types by their names, and one registry for all topics."""

    def __init__(self, folder: Path):
        self._registry = SchemaRegistryClient.new_client({"url": "mock://"})
        self._pool = descriptor_pool.DescriptorPool()
        for file in descriptors(folder).file:
            self._pool.Add(file)

    def message(self, type_name: str, fields: dict):
        """Of what stands in JSON."""
        return json_format.ParseDict(fields, self._class(type_name)())

    def prefixed(self, topic: str, message) -> bytes:
        return self._serialize(topic, message, prefix_schema_id_serializer, [])

    def with_header(self, topic: str, message) -> tuple[bytes, tuple[str, bytes]]:
        """The bare message, and the header with the schema's id."""
        headers: list = []
        return self._serialize(topic, message, header_schema_id_serializer, headers), headers[0]

    def read(self, topic: str, type_name: str, value: bytes, headers) -> dict:
        """What Confluent's deserializer makes of a record, from the header or from the prefix."""
        deserializer = ProtobufDeserializer(self._class(type_name), {"use.deprecated.format": False}, self._registry)
        context = SerializationContext(topic, MessageField.VALUE, headers=list(headers))
        return as_json(deserializer(value, context))

    def schema_of(self, topic: str) -> tuple[int, str]:
        """Number and GUID, once something was serialized for the topic."""
        latest = self._registry.get_latest_version(f"{topic}-value")
        return latest.schema_id, latest.guid

    def _serialize(self, topic: str, message, place, headers: list) -> bytes:
        settings = {"use.deprecated.format": False, "schema.id.serializer": place}
        serializer = ProtobufSerializer(type(message), self._registry, settings)
        return serializer(message, SerializationContext(topic, MessageField.VALUE, headers=headers))

    def _class(self, type_name: str):
        return message_factory.GetMessageClass(self._pool.FindMessageTypeByName(type_name))


def as_json(message) -> dict:
    """As Millrace shows a message: all fields, by their names in the file; whole numbers as numbers."""
    fields = json_format.MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
    return {name: int(value) if name == "fare" else value for name, value in fields.items()}


def descriptors(folder: Path) -> descriptor_pb2.FileDescriptorSet:
    file = folder / "descriptors.pb"
    command = ["protoc", f"--proto_path={PROTO.parent}", "--include_imports", f"--descriptor_set_out={file}", PROTO.name]
    subprocess.run(command, check=True)
    return descriptor_pb2.FileDescriptorSet.FromString(file.read_bytes())
