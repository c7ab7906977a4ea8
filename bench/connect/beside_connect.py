"""The same records of a Kafka topic into the same PostgreSQL, by Kafka Connect with Debezium's JDBC sink and by a firehose,
one after the other: rows a second, from the first row that is there to the last. Run by run.sh.

Each reads what it reads best: Connect JSON, with the schema in its settings; the firehose protobuf, and, for comparison, the
topic of JSON, too.

Connect is given what makes it fast: the reduction buffer, batches of 5,000, batched inserts in one statement, as many tasks
as the topic has partitions. The start of its Java machine does not count.
"""
import json
import os
import pathlib
import random
import signal
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request

import confluent_kafka
import psycopg
from confluent_kafka.admin import AdminClient, NewTopic

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOKEN = "token-of-the-connect-bench-0123456789"
PARTITIONS = 4
BOOTSTRAP = os.environ["MILLRACE_KAFKA_BOOTSTRAP"]
DATABASE = os.environ["MILLRACE_TEST_DATABASE"]
TIME_MAX = 600
WANTED = 10

PROTO = """syntax = "proto3";
package bench.v1;
message Order {
  string id = 1;
  string merchant = 2;
  string customer = 3;
  int32 status = 4;
  double total = 5;
  string currency = 6;
  double placed = 7;
  string note = 8;
}
"""
FIELDS = {"id": "string", "merchant": "string", "customer": "string", "status": "int32", "total": "double", "currency": "string",
          "placed": "double", "note": "string"}
TABLE = """CREATE TABLE {} (id text {}, merchant text, customer text, status integer, total double precision, currency text,
           placed double precision, note text)"""


def orders(count):
    rng = random.Random(11)
    for number in range(count):
        yield {"id": f"order-{number:09}", "merchant": f"merchant-{rng.randrange(2_000):05}", "customer": f"customer-{rng.randrange(90_000):07}",
               "status": rng.randrange(1, 4), "total": rng.randrange(1_000, 90_000) / 2, "currency": "IDR",
               "placed": 1_700_000_000.0 + number / 8, "note": "leave it with the neighbours at number " + str(rng.randrange(400))}


def as_json(order):
    return json.dumps(order, separators=(",", ":")).encode()


def as_protobuf(order):
    """Fields in the order of PROTO; all texts are shorter than 128 bytes, all integers than 128."""
    value = b""
    for number, (name, kind) in enumerate(FIELDS.items(), 1):
        if kind == "string":
            text = order[name].encode()
            value += bytes([number << 3 | 2, len(text)]) + text
        elif kind == "double":
            value += bytes([number << 3 | 1]) + struct.pack("<d", order[name])
        else:
            value += bytes([number << 3, order[name]])
    return value


def publish(count, topic, encoded):
    """The mean length of a value."""
    admin = AdminClient({"bootstrap.servers": BOOTSTRAP})
    for made in admin.create_topics([NewTopic(topic, PARTITIONS, 1)]).values():
        made.result()
    producer = confluent_kafka.Producer({"bootstrap.servers": BOOTSTRAP, "linger.ms": 50, "compression.type": "lz4",
                                         "queue.buffering.max.messages": 1_000_000})
    size = 0
    for number, order in enumerate(orders(count)):
        value = encoded(order)
        size += len(value)
        producer.produce(topic, value, partition=number % PARTITIONS)
    producer.flush()
    return size / count


class Table:
    """An empty table, and how fast it fills."""

    def __init__(self, name, is_keyed):
        self.name = name
        self.connection = psycopg.connect(DATABASE, autocommit=True)
        self.connection.execute(f"DROP TABLE IF EXISTS {name}")
        self.connection.execute(TABLE.format(name, "PRIMARY KEY" if is_keyed else ""))

    def rows(self):
        return self.connection.execute(f"SELECT count(*) FROM {self.name}").fetchone()[0]

    def records(self):
        return self.connection.execute(f"SELECT count(DISTINCT id) FROM {self.name}").fetchone()[0]

    def rows_per_second(self, count, is_alive):
        """From the first rows that are seen to the last, and how many rows are there twice."""
        end = time.monotonic() + TIME_MAX
        first = None
        while True:
            rows, now = self.rows(), time.monotonic()
            if first is None and rows:
                first = (rows, now)
            if rows >= count and self.records() == count:
                break
            if not is_alive() or now > end:
                sys.exit(f"{self.name}: {rows} of {count} rows")
            time.sleep(0.1)
        if first[0] >= count:
            sys.exit(f"{self.name}: {count} records are too few to be measured")
        total = self.connection.execute(f"SELECT sum(total) FROM (SELECT DISTINCT id, total FROM {self.name}) AS once").fetchone()[0]
        assert total == sum(order["total"] for order in orders(count)), total
        return (count - first[0]) / (now - first[1]), self.rows() - count


def by_connect(count, mode):
    table = Table(f"connect_{mode}", mode == "upsert")
    port = psycopg.conninfo.conninfo_to_dict(DATABASE)["port"]
    schema = {"type": "struct", "fields": [{"field": name, "type": kind, "optional": False} for name, kind in FIELDS.items()]}
    with tempfile.TemporaryDirectory() as directory:
        directory = pathlib.Path(directory)
        write_properties(directory / "worker.properties", {
            "bootstrap.servers": BOOTSTRAP, "plugin.path": os.environ["DEBEZIUM_JDBC"],
            "offset.storage.file.filename": directory / "offsets", "listeners": "HTTP://127.0.0.1:0",
            "key.converter": "org.apache.kafka.connect.storage.StringConverter",
            "value.converter": "org.apache.kafka.connect.json.JsonConverter",
            "value.converter.schemas.enable": "true", "value.converter.schema.content": json.dumps(schema),
            "connector.client.config.override.policy": "All",
        })
        write_properties(directory / "sink.properties", {
            "name": table.name, "connector.class": "io.debezium.connector.jdbc.JdbcSinkConnector", "topics": "orders-json",
            "tasks.max": PARTITIONS,
            "connection.url": f"jdbc:postgresql://127.0.0.1:{port}/postgres?reWriteBatchedInserts=true",
            "connection.username": "millrace", "connection.password": "none", "collection.name.format": table.name,
            "insert.mode": "upsert" if mode == "upsert" else "insert",
            **({"primary.key.mode": "record_value", "primary.key.fields": "id", "use.reduction.buffer": "true"}
               if mode == "upsert" else {"primary.key.mode": "none"}),
            "schema.evolution": "none", "batch.size": 5000,
            "consumer.override.max.poll.records": 5000, "consumer.override.fetch.min.bytes": 1,
            "consumer.override.auto.offset.reset": "earliest",
        })
        command = ["java", "-Xms512m", "-Xmx1g", "-cp", f"{os.environ['KAFKA_LIBS']}/*",
                   "org.apache.kafka.connect.cli.ConnectStandalone",
                   directory / "worker.properties", directory / "sink.properties"]
        with open(directory / "log", "w") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log)
            try:
                return table.rows_per_second(count, lambda: process.poll() is None)
            except SystemExit:
                sys.stderr.write((directory / "log").read_text()[-4_000:])
                raise
            finally:
                process.send_signal(signal.SIGKILL)
                process.wait()


def write_properties(path, values):
    path.write_text("".join(f"{key}={value}\n" for key, value in values.items()))


class Millrace:
    def __init__(self, directory):
        self.binary = pathlib.Path(os.environ.get("MILLRACE_BINARY", ROOT / "target/release/millrace")).resolve()
        command = [self.binary, "up", "--listen", "127.0.0.1:0", "--data-dir", directory / "data", "--sink-networks", "127.0.0.0/8"]
        self.environment = {**os.environ, "MILLRACE_ADMIN_TOKEN": TOKEN, "MILLRACE_TOKEN": TOKEN}
        self.process = subprocess.Popen(command, env=self.environment, stdout=subprocess.PIPE, text=True)
        self.url = self.process.stdout.readline().strip()
        self.directory = directory

    def cli(self, *arguments):
        done = subprocess.run([self.binary, *arguments, "--server", self.url], env=self.environment, capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"millrace {' '.join(map(str, arguments))}: {done.stderr}")

    def apply(self, document):
        path = self.directory / "resource.yaml"
        path.write_text(json.dumps(document))
        self.cli("apply", "-f", path)

    def status(self, name):
        request = urllib.request.Request(f"{self.url}/api/v1/firehoses/{name}", headers={"Authorization": f"Bearer {TOKEN}"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)["status"]


def by_firehose(count, mode, encoding, server):
    table = Table(f"firehose_{mode}_{encoding}", mode == "upsert")
    name = f"orders-{mode}-{encoding}"
    server.apply({
        "apiVersion": "millrace/v1", "kind": "Firehose", "metadata": {"name": name},
        "spec": {"topic": f"orders-{encoding}", "startFrom": "earliest",
                 "sink": {"kind": "postgres", "host": "127.0.0.1", "database": "postgres", "user": "millrace", "sslMode": "disable",
                          "port": int(psycopg.conninfo.conninfo_to_dict(DATABASE)["port"]), "table": table.name, "mode": mode,
                          **({"uniqueKeys": ["id"]} if mode == "upsert" else {})}},
    })
    rate, doubled = table.rows_per_second(count, lambda: server.process.poll() is None)
    ledger = server.status(name)["ledger"]
    assert ledger["consumed"] == count and ledger["deadLettered"] == 0, ledger
    assert doubled == 0, doubled
    server.cli("firehose", "delete", name)
    return rate


def main():
    count = int(sys.argv[1])
    for encoding, encoded in (("json", as_json), ("protobuf", as_protobuf)):
        size = publish(count, f"orders-{encoding}", encoded)
        print(f"{count} records of {size:.0f} bytes of {encoding} in {PARTITIONS} partitions")
    with tempfile.TemporaryDirectory() as directory:
        directory = pathlib.Path(directory)
        (directory / "order.proto").write_text(PROTO)
        server = Millrace(directory)
        try:
            server.cli("schema", "push", directory / "order.proto")
            server.apply({"apiVersion": "millrace/v1", "kind": "KafkaCluster", "metadata": {"name": "bench"},
                          "spec": {"type": "kafka", "bootstrap": BOOTSTRAP.split(",")}})
            for encoding in ("json", "protobuf"):
                server.apply({"apiVersion": "millrace/v1", "kind": "Topic", "metadata": {"name": f"orders-{encoding}"},
                              "spec": {"cluster": "bench", "schema": "bench.v1.Order", "encoding": encoding}})
            ours = {(mode, encoding): by_firehose(count, mode, encoding, server)
                    for encoding in ("json", "protobuf") for mode in ("append", "upsert")}
        finally:
            server.process.terminate()
            server.process.wait(30)
    missed = False
    for mode in ("append", "upsert"):
        limit, doubled = by_connect(count, mode)
        from_json, from_protobuf = ours[mode, "json"], ours[mode, "protobuf"]
        ratio = from_protobuf / limit
        missed |= ratio < WANTED
        print(json.dumps({"name": f"delivery-connect-{mode}", "ours": round(from_protobuf), "limit": round(limit), "unit": "rows/s",
                          "ratio": round(ratio, 2), "wanted": WANTED, "limit_doubled": doubled, "ours_json": round(from_json),
                          "ratio_json": round(from_json / limit, 2)}))
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
