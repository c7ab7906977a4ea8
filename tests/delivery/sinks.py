"""The sinks under test: what a firehose is told, what each server has, and how to make it fail."""
import json
import os
import urllib.parse
import urllib.request

import psycopg

from doubles import CleverTap, CloudEvents, JsonReceiver, Mixpanel
from network import Proxy



class Sink:
    """`can_avoid_duplicates`: what is written again after a crash is there once."""

    can_avoid_duplicates = True
    # Whether a record with a negative total is refused.
    refuses_poison = True
    delivery = {}

    def __init__(self, name, port):
        self.name, self.proxy = name, Proxy(port)

    def fail_some(self):
        """One call of a hundred, some of them after the work is done."""

    def throttle(self):
        pass

    def revoke(self):
        pass

    def refuse_schema(self):
        pass

    def mend(self):
        """Undoes what the methods above have done."""


class Postgres(Sink):
    def __init__(self, mode):
        super().__init__(f"postgres-{mode}", int(psycopg.conninfo.conninfo_to_dict(os.environ["MILLRACE_TEST_DATABASE"])["port"]))
        self.mode, self.table, self.user = mode, f"orders_{mode}", f"firehose_{mode}"
        self.admin = psycopg.connect(os.environ["MILLRACE_TEST_DATABASE"], autocommit=True)

    def begin(self):
        run = self.admin.execute
        run(f"DROP TABLE IF EXISTS {self.table}")
        run(f"DROP TABLE IF EXISTS positions_{self.mode}")
        run(f"DO $$ BEGIN CREATE ROLE {self.user} LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$")
        run(f"GRANT CREATE, USAGE ON SCHEMA public TO {self.user}")
        key = "PRIMARY KEY" if self.mode == "upsert" else ""
        run(f"""CREATE TABLE {self.table} (id text {key}, number bigint, customer text, total double precision CHECK (total >= 0),
                event_timestamp timestamptz)""")
        run(f"ALTER TABLE {self.table} OWNER TO {self.user}")

    def document(self):
        keys = {"uniqueKeys": ["id"]} if self.mode == "upsert" else {}
        return {"kind": "postgres", "host": "127.0.0.1", "port": self.proxy.port, "database": "postgres", "user": self.user, "sslMode": "disable",
                "table": self.table, "mode": self.mode, "positionsTable": f"positions_{self.mode}", **keys}

    def found(self):
        return self.admin.execute(f"SELECT number, total FROM {self.table}").fetchall()

    def terminate(self):
        self.admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", (self.user,))

    def fail_some(self):
        self.terminate()

    def throttle(self):
        self.admin.execute(f"ALTER ROLE {self.user} CONNECTION LIMIT 0")
        self.terminate()

    def revoke(self):
        self.admin.execute(f"ALTER ROLE {self.user} NOLOGIN")
        self.terminate()

    def refuse_schema(self):
        self.admin.execute(f"ALTER TABLE {self.table} RENAME COLUMN total TO sum")

    def mend(self):
        self.admin.execute(f"ALTER ROLE {self.user} LOGIN CONNECTION LIMIT -1")
        columns = self.admin.execute("SELECT column_name FROM information_schema.columns WHERE table_name = %s", (self.table,)).fetchall()
        if ("sum",) in columns:
            self.admin.execute(f"ALTER TABLE {self.table} RENAME COLUMN sum TO total")


class OfDouble(Sink):
    def __init__(self, name, double):
        self.make = double
        self.double = double()
        super().__init__(name, self.double.port)

    def begin(self):
        fresh = self.make()
        self.double.server.shutdown()
        self.double = fresh
        self.proxy.target = fresh.port

    def found(self):
        return self.double.found()

    def fault(self, *fault):
        with self.double.lock:
            self.double.fault = fault or None

    def fail_some(self):
        self.fault(0.01, 500, {})

    def throttle(self):
        self.fault(0.5, 429, {"Retry-After": "1"})

    def revoke(self):
        self.fault(1.0, 401, {})

    def refuse_schema(self):
        self.double.is_refusing_schema = True

    def mend(self):
        self.fault()
        self.double.is_refusing_schema = False

    def url(self, path=""):
        return f"http://127.0.0.1:{self.proxy.port}{path}"


class Http(OfDouble):
    can_avoid_duplicates = False

    def __init__(self, mode):
        super().__init__(f"http-{mode}", JsonReceiver)
        self.mode = mode

    def document(self):
        return {"kind": "http", "url": self.url("/orders"), "method": "POST", "mode": self.mode}


class Webhook(OfDouble):
    can_avoid_duplicates = False

    def __init__(self):
        super().__init__("webhook", CloudEvents)

    def document(self):
        return {"kind": "webhook", "url": self.url("/events"), "type": "shop.order", "source": "/orders"}


class MixpanelSink(OfDouble):
    def __init__(self):
        super().__init__("mixpanel", Mixpanel)

    def document(self):
        return {"kind": "mixpanel", "url": self.url(), "projectId": "1", "username": "robot", "secret": "mixpanel-secret",
                "event": "Order", "distinctId": "{{ customer }}", "timeColumn": "event_timestamp"}


class CleverTapSink(OfDouble):
    can_avoid_duplicates = False

    def __init__(self):
        super().__init__("clevertap", CleverTap)

    def document(self):
        return {"kind": "cleverTap", "url": self.url(), "accountId": "account", "secret": "clevertap-passcode",
                "event": "Order", "identity": "{{ customer }}", "timeColumn": "event_timestamp"}


class Influx(Sink):
    # A point has no rules that a number could break.
    refuses_poison = False

    def __init__(self):
        self.server = os.environ["MILLRACE_INFLUXDB_URL"]
        super().__init__("influx", urllib.parse.urlsplit(self.server).port)

    def query(self, statement, **parameters):
        query = urllib.parse.urlencode({"q": statement, **parameters})
        with urllib.request.urlopen(urllib.request.Request(f"{self.server}/query?{query}", b""), timeout=30) as answer:
            return json.load(answer)["results"][0]

    def begin(self):
        self.query("DROP DATABASE firehose")
        self.query("CREATE DATABASE firehose")

    def document(self):
        return {"kind": "influx", "version": "1", "url": f"http://127.0.0.1:{self.proxy.port}", "database": "firehose",
                "measurement": "orders", "tags": ["customer"]}

    def found(self):
        series = self.query("SELECT number, total FROM orders", db="firehose", epoch="ns").get("series", [])
        return [(int(number), float(total)) for each in series for _, number, total in each["values"]]

    def refuse_schema(self):
        self.query("DROP DATABASE firehose")

    def mend(self):
        self.query("CREATE DATABASE firehose")


class Topic(Sink):
    """Another topic of the same server: its faults are the server's."""

    can_avoid_duplicates = False
    refuses_poison = False

    def __init__(self):
        super().__init__("topic", 9)
        self.millrace = None

    def begin(self):
        pass

    def document(self):
        return {"kind": "topic", "topic": "copied"}

    def found(self):
        return [(int(record["number"]), float(record.get("total", 0))) for record in self.millrace.records("copied")]


def sinks():
    return [Postgres("append"), Postgres("upsert"), Http("single"), Http("batch"), Webhook(), MixpanelSink(), CleverTapSink(), Influx(),
            Topic()]
