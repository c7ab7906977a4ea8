"""scripts/kafka/cluster.sh does to a broker what it says: a fault test on a fault that is none would find nothing."""

import os
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

CLUSTER = Path(__file__).parents[2] / "scripts/kafka/cluster.sh"
ANSWER_SECONDS_MAX = 3
SKEW_SECONDS = 2 * 3600
SHORT_SESSION = ("--property", "broker.session.timeout.ms=3000")
ALICE = {"sasl.mechanism": "SCRAM-SHA-512", "sasl.username": "alice", "sasl.password": "alice-secret"}


class ClusterTest(unittest.TestCase):
    def up(self, *options: str) -> dict[str, str]:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name) / "kafka"
        self.addCleanup(lambda: self.cluster("down", "--now"))
        self.cluster("up", "--while", str(os.getpid()), *options)
        return dict(line.split("=", 1) for line in (self.folder / "env").read_text().splitlines())

    def cluster(self, command: str, *arguments: str) -> None:
        subprocess.run([CLUSTER, command, self.folder, *arguments], check=True)

    def answers(self, bootstrap: str, **settings) -> bool:
        quiet = {"log_level": 0, "bootstrap.servers": bootstrap}
        try:
            AdminClient(quiet | settings).list_topics(timeout=ANSWER_SECONDS_MAX)
            return True
        except KafkaException:
            return False

    def topic(self, bootstrap: str, name: str, **settings) -> None:
        admin = AdminClient({"bootstrap.servers": bootstrap})
        admin.create_topics([NewTopic(name, **settings)])[name].result()

    def write(self, bootstrap: str, topic: str, value: bytes, times: int = 1, timeout_ms: int = 60_000) -> list:
        """Errors of the deliveries."""
        errors = []
        producer = Producer({"bootstrap.servers": bootstrap, "message.timeout.ms": timeout_ms, "log_level": 0})
        for _ in range(times):
            producer.produce(topic, value, on_delivery=lambda error, _: errors.append(error) if error else None)
            producer.poll(0)
        producer.flush()
        return errors

    def first(self, bootstrap: str, topic: str):
        consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "test"})
        consumer.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
        try:
            return consumer.poll(20)
        finally:
            consumer.close()

    def test_processes(self):
        bootstrap = self.up(*SHORT_SESSION)["BOOTSTRAP"]
        self.topic(bootstrap, "t", num_partitions=1)
        self.assertEqual(self.write(bootstrap, "t", b"kept"), [])
        for breaks, mends in (("kill", "start"), ("stop", "start"), ("pause", "resume")):
            with self.subTest(breaks):
                self.cluster(breaks, "1")
                self.assertFalse(self.answers(bootstrap))
                self.cluster(mends, "1")
                self.assertEqual(self.first(bootstrap, "t").value(), b"kept")

    def test_network(self):
        bootstrap = self.up("--proxied")["BOOTSTRAP"]
        for breaks in ("cut", "blackhole"):
            with self.subTest(breaks):
                self.cluster(breaks, "1")
                self.assertFalse(self.answers(bootstrap))
                self.cluster("heal", "1")
                self.assertTrue(self.answers(bootstrap))

    def test_connections_that_are_there_are_cut(self):
        bootstrap = self.up("--proxied")["BOOTSTRAP"]
        self.topic(bootstrap, "t", num_partitions=1)
        producer = Producer({"bootstrap.servers": bootstrap, "message.timeout.ms": 30_000, "log_level": 0})
        for breaks in ("cut", "blackhole"):
            with self.subTest(breaks):
                delivered = []
                self.cluster(breaks, "1")
                producer.produce("t", breaks, on_delivery=lambda error, _: delivered.append(error))
                self.assertEqual((producer.flush(2), delivered), (1, []))
                self.cluster("heal", "1")
                self.assertEqual((producer.flush(20), delivered), (0, [None]))

    def test_clock(self):
        bootstrap = self.up("--clock-skew", "1=+2h")["BOOTSTRAP"]
        self.topic(bootstrap, "t", num_partitions=1, config={"message.timestamp.type": "LogAppendTime"})
        self.assertEqual(self.write(bootstrap, "t", b"x"), [])
        ahead = self.first(bootstrap, "t").timestamp()[1] / 1000 - time.time()
        self.assertLess(abs(ahead - SKEW_SECONDS), 60)

    @unittest.skipUnless(os.geteuid() == 0, "mounting needs root")
    def test_disk(self):
        bootstrap = self.up("--small-disk", "1=32m")["BOOTSTRAP"]
        self.topic(bootstrap, "t", num_partitions=1)
        self.assertNotEqual(self.write(bootstrap, "t", os.urandom(500_000), times=100, timeout_ms=5000), [])
        self.cluster("grow", "1", "200m")
        self.cluster("start", "1")
        self.assertEqual(self.write(bootstrap, "t", b"goes on"), [])

    def test_access(self):
        env = self.up("--secure", "--acl")
        certs = Path(env["CERTS"])
        tls = {"security.protocol": "SASL_SSL", "ssl.ca.location": str(certs / "ca.crt")}
        self.topic(env["BOOTSTRAP"], "t", num_partitions=1)
        secure = env["BOOTSTRAP_SASL_SSL"]
        self.assertTrue(self.answers(secure, **tls, **ALICE))
        self.assertFalse(self.answers(secure, **tls, **ALICE | {"sasl.password": "wrong"}))
        self.assertFalse(self.answers(secure, **tls | {"ssl.ca.location": str(certs / "otherca.crt")}, **ALICE))
        for user, topics in (("alice", {"t"}), ("bob", set())):
            login = ALICE | {"sasl.username": user, "sasl.password": f"{user}-secret"}
            admin = AdminClient({"bootstrap.servers": secure} | tls | login)
            self.assertEqual(set(admin.list_topics(timeout=10).topics), topics, user)
        for client, is_let_in in (("alice", True), ("mallory", False)):
            files = {"ssl.certificate.location": str(certs / f"{client}.crt"), "ssl.key.location": str(certs / f"{client}.key")}
            ssl = {"security.protocol": "SSL", "ssl.ca.location": str(certs / "ca.crt")} | files
            self.assertEqual(self.answers(env["BOOTSTRAP_MTLS"], **ssl), is_let_in, client)

    def test_a_killed_node_of_three_comes_back(self):
        bootstrap = self.up("--nodes", "3", *SHORT_SESSION)["BOOTSTRAP"]
        self.topic(bootstrap, "t", num_partitions=6, replication_factor=3)
        self.cluster("kill", "2")
        self.assertEqual(self.write(bootstrap, "t", b"x", times=50), [])
        self.cluster("start", "2")
        self.assertEqual(len(AdminClient({"bootstrap.servers": bootstrap}).list_topics(timeout=10).brokers), 3)


if __name__ == "__main__":
    unittest.main()
