"""confluent-kafka: librdkafka as most Python, Go and .NET services use it."""

import time

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from record import Record, Stored

READ_SECONDS_MAX = 20
# What the Java client does with keys; librdkafka's own default is another.
PARTITIONER = "murmur2_random"


class ConfluentClient:
    name = "confluent"

    def __init__(self, bootstrap: str):
        self._bootstrap = bootstrap
        self._admin = AdminClient({"bootstrap.servers": bootstrap})

    def make_topic(self, topic: str, partitions: int) -> None:
        self._admin.create_topics([NewTopic(topic, partitions)])[topic].result()

    def delete_before(self, topic: str, partition: int, offset: int) -> None:
        for future in self._admin.delete_records([TopicPartition(topic, partition, offset)]).values():
            future.result()

    def write(self, topic: str, records: list[Record], codec: str) -> None:
        producer = self.producer(**{"compression.type": codec, "linger.ms": 50})
        self.produce(producer, topic, records)
        producer.flush()

    def producer(self, **settings) -> Producer:
        return Producer({"bootstrap.servers": self._bootstrap, "partitioner": PARTITIONER} | settings)

    def produce(self, producer: Producer, topic: str, records: list[Record]) -> None:
        for one in records:
            producer.produce(topic, one.value, one.key, headers=list(one.headers), on_delivery=delivered)

    def read(self, topic: str, count: int) -> list[Stored]:
        """Everything that is there, but no more than `count`."""
        consumer = Consumer(
            {"bootstrap.servers": self._bootstrap, "group.id": "interchange", "enable.partition.eof": True}
        )
        try:
            return self._read(consumer, topic, count)
        finally:
            consumer.close()

    def _read(self, consumer: Consumer, topic: str, count: int) -> list[Stored]:
        partitions = list(consumer.list_topics(topic, timeout=READ_SECONDS_MAX).topics[topic].partitions)
        consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in partitions])
        found, open_partitions, until = [], set(partitions), time.monotonic() + READ_SECONDS_MAX
        while open_partitions and time.monotonic() < until:
            message = consumer.poll(0.2)
            if message is None:
                continue
            if message.error() is None:
                found.append(stored(message))
            elif message.error().code() == KafkaError._PARTITION_EOF:
                open_partitions.discard(message.partition())
            else:
                raise RuntimeError(message.error())
        return sorted(found)[:count]


def stored(message) -> Stored:
    record = Record(message.key(), message.value(), tuple(message.headers() or ()))
    return Stored(message.partition(), message.offset(), message.timestamp()[1], record)


def delivered(error, message) -> None:
    if error is not None:
        raise RuntimeError(f"a record for {message.topic()} was not delivered: {error}")
