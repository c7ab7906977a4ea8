"""The two servers that are compared: a real InfluxDB 1.6 at MILLRACE_INFLUXDB_URL, and a Millrace started here."""

import os
import pathlib
import subprocess
import tempfile

import requests

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOKEN = "token-of-the-influx-tests-0123456789"


class Server:
    """`database` is where the test writes; requests go without a proxy."""

    def __init__(self):
        self.session = requests.Session()
        self.session.trust_env = False

    def post(self, path, parameters, body=b"", headers=None):
        return self.session.post(self.url + path, params=parameters, data=body, headers=headers, timeout=60)

    def get(self, path, parameters=None, headers=None):
        return self.session.get(self.url + path, params=parameters, headers=headers, timeout=60)

    def query(self, statements, **parameters):
        response = self.post("/query", {"q": statements, **parameters})
        return response.json()


class InfluxDb(Server):
    """Databases begin with `name`."""

    def __init__(self, name):
        super().__init__()
        self.url = os.environ["MILLRACE_INFLUXDB_URL"]
        self.name = name

    def __enter__(self):
        self.fresh("first")
        return self

    def __exit__(self, *_):
        pass

    def fresh(self, suffix):
        """An empty database."""
        self.database = f"{self.name}_{suffix}"
        self.query(f"DROP DATABASE {self.database}; CREATE DATABASE {self.database}")

    def drop(self):
        self.query(f"DROP DATABASE {self.database}")


class Millrace(Server):
    """A server of its own in a directory that is removed."""

    def __enter__(self):
        self.directory = tempfile.TemporaryDirectory()
        binary = os.environ.get("MILLRACE_BINARY", ROOT / "target/release/millrace")
        command = [binary, "up", "--listen", "127.0.0.1:0", "--data-dir", self.directory.name]
        environment = {**os.environ, "MILLRACE_ADMIN_TOKEN": TOKEN}
        self.process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        self.url = self.process.stdout.readline().strip()
        assert self.url.startswith("http://127.0.0.1:"), self.url
        self.session.headers["Authorization"] = f"Bearer {TOKEN}"
        self.database = "default"
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(30)
        self.directory.cleanup()

    def api(self, method, path, body):
        response = self.session.request(method, f"{self.url}/api/v1{path}", json=body, timeout=60)
        assert response.status_code < 300, f"{path}: {response.status_code} {response.text}"
        return response.json() if response.content else None

    def fresh(self, suffix):
        """An empty group."""
        self.database = f"test_{suffix}"
        self.api("POST", "/groups", {"name": self.database})
