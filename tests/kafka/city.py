"""The demo city's records in topics of a Kafka cluster whose brokers are killed in turn, and two daggers that count them.

The queries are the two of the dialect's reference, letter for letter. What they have to publish is computed by
tests/independent from what is in the topics at the end, and compared by oracle.py: each (window, key) once, none wrong.
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "tests/independent"))

import city_queries  # noqa: E402
import protobuf_wire as wire  # noqa: E402

EXAMPLES = ROOT / "target/release/examples"
MILLRACE = Path(os.environ.get("MILLRACE_BINARY", ROOT / "target/release/millrace"))
CLUSTER = ROOT / "scripts/kafka/cluster.sh"
TOKEN = "token-of-the-faults-0123456789"
# Records a second, and how much faster event time goes than the clock.
RATE, SPEED = 1_000, 5
BEGINS_MINUTES_AGO = 120
DOWN_SECONDS, UP_SECONDS = 8, 12
PARTITIONS = 2
PINGS = "driver-location-ping"
TOPICS = {**{topic: "city.booking.v1.BookingLog" for topic in city_queries.BOOKING_TOPICS}, PINGS: "city.driver.v1.DriverLocationPing"}
RESULTS_PROTO = """syntax = "proto3"; package city.results.v1; import "google/protobuf/timestamp.proto";
message Bookings { int32 tag_city_id = 1; string tag_s2id = 2; string tag_vehicle_type = 3; int64 num_of_bookings = 4;
  google.protobuf.Timestamp window_timestamp = 5; }
message Drivers { int64 drivers = 1; string label_s2id = 2; string label_driver_status = 3;
  google.protobuf.Timestamp window_timestamp = 4; }
"""
BOOKINGS_SQL = """SELECT city_id AS tag_city_id,
       S2Id(lat,long,13) AS tag_s2id,
       vehicle_type AS tag_vehicle_type,
       count(1) AS num_of_bookings,
       TUMBLE_END(rowtime,INTERVAL '60' SECOND) AS window_timestamp,
FROM `data_stream`
WHERE status='COMPLETED'
GROUP BY TUMBLE(rowtime, INTERVAL '60' SECOND),
       city_id,
       S2Id(lat, long, 13),
       vehicle_type
"""
DRIVERS_SQL = """SELECT DistinctCount(driver_id) as drivers , S2Id(latitude, longitude, 13) as
label_s2id, driver_status as label_driver_status, TUMBLE_END(rowtime,
INTERVAL '60' SECOND) AS window_timestamp from `supply_data` GROUP
BY TUMBLE ( rowtime, INTERVAL '60' SECOND ), S2Id(latitude, longitude, 13),
driver_status
"""
DAGGERS = {
    "city-bookings": ("data_stream", "city.booking.v1.BookingLog", city_queries.BOOKING_TOPICS, "Bookings", BOOKINGS_SQL),
    "city-drivers": ("supply_data", "city.driver.v1.DriverLocationPing", (PINGS,), "Drivers", DRIVERS_SQL),
}
KEYS = {"city-bookings": ("tag_city_id", "tag_s2id", "tag_vehicle_type"), "city-drivers": ("label_s2id", "label_driver_status")}
VALUES = {"city-bookings": "num_of_bookings", "city-drivers": "drivers"}


def bootstrap() -> str:
    return os.environ["MILLRACE_KAFKA_BOOTSTRAP"]


class Server:
    def __init__(self, data: Path):
        self._log = open(data.with_suffix(".log"), "wb")
        command = [MILLRACE, "up", "--listen", "127.0.0.1:0", "--data-dir", data]
        environment = os.environ | {"MILLRACE_ADMIN_TOKEN": TOKEN}
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self._log, text=True, env=environment)
        self.url = self._process.stdout.readline().strip()
        if not self.url.startswith("http://"):
            raise RuntimeError(f"the server did not start: {data.with_suffix('.log').read_text()[-2000:]}")

    def ask(self, method: str, path: str, body=None):
        content = body.encode() if isinstance(body, str) else None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/yaml" if isinstance(body, str) else "application/json"}
        request = urllib.request.Request(f"{self.url}/api/v1{path}", content, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                text = answer.read()
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{method} {path}: {error.read().decode()}") from error
        return json.loads(text) if text else None

    def apply(self, document: dict) -> None:
        # JSON is YAML.
        self.ask("POST", "/apply", json.dumps({"apiVersion": "millrace/v1"} | document))

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()


def make_records(folder: Path, seconds: int) -> None:
    """Files of the city's records in the order of their arrival; none are late, so that the order does not matter."""
    options = ["--records-total", str(RATE * seconds), "--rate", str(RATE / SPEED), "--topics", ",".join(TOPICS)]
    # Results have the times of their windows, and Kafka deletes what is older than a topic's retention.
    options += ["--start-ms", str((int(time.time()) // 60 - BEGINS_MINUTES_AGO) * 60_000)]
    options += ["--late-share", "0", "--broken", "undecodable", "--broken-share", "0.001"]
    subprocess.run([EXAMPLES / "city_files", "--out", folder, *options], check=True, stdout=subprocess.DEVNULL)


def publish(folder: Path, seconds: int, ended: threading.Event) -> None:
    """All topics at such a pace that the files last so long; then what ends all windows, into every partition."""
    settings = {"bootstrap.servers": bootstrap(), "enable.idempotence": True, "message.timeout.ms": 300_000, "log_level": 0}
    errors = []
    producer = Producer(settings | {"reconnect.backoff.max.ms": 500})
    files = {topic: list(wire.delimited(folder / f"{topic}.pb")) for topic in TOPICS}
    began, sent = time.monotonic(), dict.fromkeys(TOPICS, 0)
    keep = lambda error, _: errors.append(error) if error else None  # noqa: E731
    while any(sent[topic] < len(files[topic]) for topic in TOPICS):
        share = min(1.0, (time.monotonic() - began) / seconds)
        for topic, records in files.items():
            while sent[topic] < int(len(records) * share):
                data, start, end = records[sent[topic]]
                produce(producer, topic, bytes(data[start:end]), sent[topic] % PARTITIONS, keep)
                sent[topic] += 1
        time.sleep(0.02)
    producer.flush()
    last_ms = max(latest(files[topic]) for topic in TOPICS)
    for topic in TOPICS:
        for partition in range(PARTITIONS):
            produce(producer, topic, closing(topic, last_ms + 600_000), partition, keep)
    producer.flush()
    if errors:
        raise RuntimeError(f"{len(errors)} records were not published: {errors[0]}")
    ended.set()


def produce(producer, topic, value, partition, keep) -> None:
    while True:
        try:
            producer.produce(topic, value, partition=partition, on_delivery=keep)
            producer.poll(0)
            return
        except BufferError:
            producer.poll(0.1)


def latest(records) -> int:
    times = []
    for data, start, end in records[-2_000:]:
        try:
            times.append(wire.timestamp_ms(data, wire.fields(data, start, end, (5,)).get(5)) or 0)
        except wire.Broken:
            pass
    return max(times)


def closing(topic: str, time_ms: int) -> bytes:
    """A booking that is not completed, or a driver at 0, 0: its window stays open. Both have their time in field 5."""
    time = b"\x08" + varint(time_ms // 1000)
    return b"\x2a" + varint(len(time)) + time


def varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def kill_in_turn(until: threading.Event) -> int:
    """Brokers one after the other, until all is published. How many were killed."""
    folder, kills = os.environ["MILLRACE_KAFKA_DIR"], 0
    while not until.is_set():
        node = str(kills % 3 + 1)
        subprocess.run([CLUSTER, "kill", folder, node], check=True)
        time.sleep(DOWN_SECONDS)
        subprocess.run([CLUSTER, "start", folder, node], check=True)
        kills += 1
        print(f"broker {node} was killed and is back", file=sys.stderr)
        until.wait(UP_SECONDS)
    return kills


def prepare(server: Server) -> None:
    certificates = Path(os.environ["MILLRACE_KAFKA_CERTS"])
    sources = ROOT / "crates/city/proto"
    files = [{"path": str(path.relative_to(sources)), "text": path.read_text()} for path in sources.rglob("*.proto")]
    server.ask("POST", "/schemas", {"files": [*files, {"path": "city/results/v1/results.proto", "text": RESULTS_PROTO}]})
    server.ask("PUT", "/secrets/kafka-password", {"value": "alice-secret"})
    login = {"protocol": "SASL_SSL", "mechanism": "SCRAM-SHA-512", "username": "alice", "password": {"secret": "kafka-password"}}
    security = login | {"ca": (certificates / "ca.crt").read_text()}
    spec = {"type": "kafka", "bootstrap": os.environ["MILLRACE_KAFKA_BOOTSTRAP_SASL_SSL"].split(","), "security": security}
    server.apply({"kind": "KafkaCluster", "metadata": {"name": "kafka"}, "spec": spec})
    admin = AdminClient({"bootstrap.servers": bootstrap()})
    for made in admin.create_topics([NewTopic(topic, num_partitions=PARTITIONS, replication_factor=3) for topic in TOPICS]).values():
        made.result()
    for topic, schema in TOPICS.items():
        server.apply({"kind": "Topic", "metadata": {"name": topic}, "spec": {"cluster": "kafka", "schema": schema}})
    for name, (table, schema, topics, result, sql) in DAGGERS.items():
        # The window of the closing records stays open until all is judged.
        watermark = {"delay": "5s", "idle": "1h"}
        stream = {"table": table, "schema": schema, "topics": list(topics), "timestamp": "event_timestamp", "watermark": watermark}
        sink = {"kind": "topic", "topic": name, "cluster": "kafka", "schema": f"city.results.v1.{result}", "partitions": 3}
        spec = {"streams": [stream], "sql": sql, "sinks": [sink], "checkpoint": {"interval": "1s"}}
        server.apply({"kind": "Dagger", "metadata": {"name": name}, "spec": spec})


def dump(folder: Path) -> dict:
    """What is in the topics at the end: a file for each partition, by `TOPIC/PARTITION`."""
    files = {}
    consumer = Consumer({"bootstrap.servers": bootstrap(), "group.id": "dump", "enable.partition.eof": True, "enable.auto.commit": False})
    for topic in TOPICS:
        for partition in range(PARTITIONS):
            files[f"{topic}/{partition}"] = path = folder / f"{topic}-{partition}.in"
            consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING)])
            with open(path, "wb") as file:
                while (message := consumer.poll(30)) is not None and message.error() is None:
                    file.write(varint(len(message.value())) + message.value())
            if message is None or message.error().code() != KafkaError._PARTITION_EOF:
                raise RuntimeError(f"{topic}/{partition} was not read to its end: {message and message.error()}")
    consumer.close()
    return files


def expected(name: str, files: dict) -> tuple[list, dict]:
    """Rows of closed windows, and the ledger."""
    if name == "city-bookings":
        city_queries.BOOKING_TOPICS = [place for place in files if not place.startswith(PINGS)]
        rows, ledger = city_queries.booking_count(files)
        return rows, ledger.cells()
    cells, drivers = {}, {}
    for place in (place for place in files if place.startswith(PINGS)):
        # A driver may be in both partitions.
        ledger = collect_drivers(files[place], drivers)
        cells = {name: cells.get(name, 0) + count for name, count in ledger.cells().items()}
    rows = [
        {"drivers": len(ids), "label_s2id": str(s2id), "label_driver_status": city_queries.DRIVER_STATUS.get(status, str(status)), "window_timestamp": end}
        for (end, s2id, status), ids in drivers.items()
    ]
    return rows, cells


def collect_drivers(path: Path, drivers: dict):
    ledger = city_queries.Ledger()

    def take(data, found):
        return wire.text(data, found(1)), city_queries.cell(data, found(2), found(3)), wire.int32(found(4))

    for end, (driver, s2id, status) in city_queries.windowed(path, ledger, (1, 2, 3, 4, 5), 5, take):
        drivers.setdefault((end, s2id, status), set()).add(driver)
    return ledger


def judge(name: str, files: dict, server: Server, folder: Path) -> dict:
    rows, cells = expected(name, files)
    # The closing records' own window is still open.
    open_end = max(row["window_timestamp"] for row in rows)
    if name == "city-drivers":
        rows = [row for row in rows if row["window_timestamp"] < open_end]
    lines = [
        json.dumps({"window_start": row["window_timestamp"], "key": [row[key] for key in KEYS[name]], "value": row[VALUES[name]]})
        for row in rows
    ]
    (folder / f"{name}.jsonl").write_text("\n".join(lines))
    (folder / "results.proto").write_text(RESULTS_PROTO)
    _, _, _, result, _ = DAGGERS[name]
    options = ["--bootstrap", bootstrap(), "--topic", name, "--expected", folder / f"{name}.jsonl", "--window", "window_timestamp"]
    options += [part for key in KEYS[name] for part in ("--key", key)] + ["--value", VALUES[name], "--wait", "120"]
    options += ["--proto", folder / "results.proto", "--type", f"city.results.v1.{result}"]
    oracle = subprocess.run([sys.executable, "-B", HERE / "oracle.py", *options], stdout=subprocess.PIPE, text=True)
    verdict = json.loads(oracle.stdout)
    status = server.ask("GET", f"/daggers/{name}")["status"]
    ledger = status["ledger"]
    balances = ledger["consumed"] == cells["consumed"] and ledger["late"] == 0 == cells["late"] and ledger["dead_lettered"] == cells["dead_lettered"]
    print(f"{name}: {status['state']} {status['problem'] or ''} {verdict}, ledger {ledger}, as computed {cells}", file=sys.stderr)
    return verdict | {"failed": 0 if balances else 1}


def main() -> int:
    seconds, began = int(float(sys.argv[1]) * 60), time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_records(folder, seconds)
        server = Server(folder / "data")
        try:
            prepare(server)
            ended, failure = threading.Event(), []

            def publishing():
                try:
                    publish(folder, seconds, ended)
                except Exception as error:  # shown at the end, by who waits
                    failure.append(error)
                    ended.set()

            threading.Thread(target=publishing, daemon=True).start()
            kills = kill_in_turn(ended)
            if failure:
                raise failure[0]
            files = dump(folder)
            verdicts = [judge(one, files, server, folder) for one in DAGGERS]
        finally:
            server.stop()
    sums = {name: sum(verdict[name] for verdict in verdicts) for name in ("expected", "missing", "doubled", "wrong", "unexpected", "failed")}
    summary = {"area": "kafka-city", "cases": kills, "results": sums["expected"], "lost": sums["missing"], "doubled": sums["doubled"]}
    summary |= {"wrong": sums["wrong"] + sums["unexpected"], "failed": sums["failed"], "seconds": round(time.monotonic() - began)}
    print(json.dumps(summary))
    return 1 if summary["lost"] + summary["doubled"] + summary["wrong"] + summary["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
