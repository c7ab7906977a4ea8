"""Millrace as a client of the cluster: through its command line and its REST API."""

import base64
import json
import os
import subprocess
import tempfile
import urllib.error
import urllib.request
from datetime import datetime
from pathlib import Path

from record import Record, Stored

CLUSTER = "interchange"


class Millrace:
    """A server of its own, or the one that MILLRACE_URL names; its topics are on the real cluster, by the same names."""

    name = "millrace"
    # Of what is published; what daggers write is as their sinks say.
    codec = "lz4"

    def __init__(self, binary: Path, bootstrap: str):
        self._binary = binary
        self._server: subprocess.Popen | None = None
        self._folder = tempfile.TemporaryDirectory()
        self.url = os.environ.get("MILLRACE_URL") or self._start()
        self._token = os.environ.get("MILLRACE_TOKEN") or self._make_token()
        self.apply("KafkaCluster", CLUSTER, {"type": "kafka", "bootstrap": bootstrap.split(",")})

    def _start(self) -> str:
        with open(self._log, "wb") as log:
            command = [self._binary, "up", "--data-dir", self._folder.name, "--listen", "127.0.0.1:0"]
            self._server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        url = self._server.stdout.readline().strip()
        if not url:
            raise RuntimeError(f"the server did not start:\n{self._log.read_text()}")
        return url

    @property
    def _log(self) -> Path:
        return Path(self._folder.name) / "server.log"

    def stop(self) -> None:
        if self._server:
            self._server.terminate()
            self._server.wait()
        self._folder.cleanup()

    def _make_token(self) -> str:
        return json.loads(self._run("token", "create", "interchange", "-o", "json"))["secret"]

    def push(self, proto: Path) -> None:
        self._run("schema", "push", str(proto))

    def apply(self, kind: str, name: str, spec: dict) -> None:
        document = {"apiVersion": "millrace/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}
        self._run("apply", "-f", "-", stdin=json.dumps(document))

    def topic(self, name: str, **spec) -> None:
        """Without a schema its records are bytes."""
        self.apply("Topic", name, {"cluster": CLUSTER} | spec)

    def read(self, topic: str, count: int) -> list[Stored]:
        """Bytes, for which only the API asks."""
        if not self._has(topic):
            self.topic(topic)
        path = f"/topics/{topic}/records?from=earliest&raw=true&limit={count}"
        return sorted(stored(json.loads(line)) for line in self._ask("GET", path).splitlines())

    def read_messages(self, topic: str) -> list[dict]:
        """Records as the command line shows them, in the order of their offsets."""
        lines = self._run("topic", "tail", topic, "--from", "earliest", "-o", "ndjson").splitlines()
        return sorted((json.loads(line) for line in lines), key=lambda one: (one["partition"], one["offset"]))

    def write(self, topic: str, records: list[Record], codec: str) -> None:
        """Publishing has no choice of `codec`."""
        del codec
        if not self._has(topic):
            self.topic(topic)
        self.publish(topic, [draft(one) for one in records])

    def publish(self, topic: str, drafts: list[dict]) -> None:
        answer = json.loads(self._ask("POST", f"/topics/{topic}/records", {"records": drafts}))
        if answer["refused"]:
            raise RuntimeError(f"{topic}: {answer['refused']} records were refused: {answer['records']}")

    def _has(self, topic: str) -> bool:
        return any(one["metadata"]["name"] == topic for one in json.loads(self._run("get", "topics", "-o", "json")))

    def _run(self, *arguments: str, stdin: str | None = None) -> str:
        place = ["--data-dir", self._folder.name] if self._server else ["--server", self.url]
        ended = subprocess.run([self._binary, *place, *arguments], input=stdin, capture_output=True, text=True)
        if ended.returncode != 0:
            raise RuntimeError(f"millrace {' '.join(arguments)}: {ended.stderr.strip()}")
        return ended.stdout

    def _ask(self, method: str, path: str, body: dict | None = None) -> bytes:
        headers = {"authorization": f"Bearer {self._token}", "content-type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/api/v1{path}", data, headers, method=method)
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.read()
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{method} {path}: {error.code} {error.read().decode()}") from error


def draft(record: Record) -> dict:
    value = {"value": None} if record.value is None else {"valueBase64": base64.b64encode(record.value).decode()}
    key = {} if record.key is None else {"keyBase64": base64.b64encode(record.key).decode()}
    return value | key | {"headers": {name: value.decode() for name, value in record.headers}}


def stored(line: dict) -> Stored:
    return Stored(
        line["partition"],
        line["offset"],
        milliseconds(line["timestamp"]),
        Record(
            decoded(line.get("keyBase64")),
            decoded(line.get("valueBase64")),
            tuple((name, value.encode()) for name, value in line["headers"].items()),
        ),
    )


def decoded(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text)


def milliseconds(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)
