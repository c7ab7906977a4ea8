"""Faults under firehoses to every sink at once: faults.py SEEDS [CASE]. Run by `make faults AREA=delivery`.

One server, one topic, one firehose to each sink, records published all the while. Afterwards each sink is compared, record by
record, with what was published: lost, doubled (where the sink can avoid it; elsewhere they are counted apart), wrong; each
record that a sink refuses is with the dead letters and no other is; each ledger balances and agrees. The last line of stdout
is the sum as JSON.
"""
import collections
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import urllib.error
import urllib.request

from sinks import sinks

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOKEN = "token-of-the-fault-tests-0123456789"
PARTITIONS = 3
RECORDS = int(os.environ.get("RECORDS", "6000"))
PER_CALL = 100
DOWN_SECONDS = float(os.environ.get("DOWN_SECONDS", "10"))
SETTLED_SECONDS_MAX = float(os.environ.get("SETTLED_SECONDS_MAX", "180"))

PROTO = """syntax = "proto3";
package faults.v1;
import "google/protobuf/timestamp.proto";
message Order {
  string id = 1;
  int64 number = 2;
  string customer = 3;
  double total = 4;
  google.protobuf.Timestamp event_timestamp = 5;
}
"""


class Failure(Exception):
    """What was found is not what has to be."""


class Millrace:
    def __init__(self, directory):
        self.binary = pathlib.Path(os.environ.get("MILLRACE_BINARY", ROOT / "target/release/millrace")).resolve()
        self.directory = directory
        self.environment = {**os.environ, "MILLRACE_ADMIN_TOKEN": TOKEN, "MILLRACE_TOKEN": TOKEN}
        self.process = None
        self.address = "127.0.0.1:0"
        self.log = open(directory / "server.log", "w")

    def start(self):
        command = [self.binary, "up", "--listen", self.address, "--data-dir", self.directory / "data", "--sink-networks", "127.0.0.0/8"]
        self.process = subprocess.Popen(command, env=self.environment, stdout=subprocess.PIPE, stderr=self.log, text=True)
        self.url = self.process.stdout.readline().strip()
        if not self.url.startswith("http://"):
            raise Failure(f"the server did not start: {(self.directory / 'server.log').read_text()[-2000:]}")
        self.address = self.url.removeprefix("http://")

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def cli(self, *arguments, stdin=None):
        command = [self.binary, *arguments, "--server", self.url]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, input=stdin)
        if done.returncode != 0:
            raise Failure(f"millrace {' '.join(map(str, arguments))}: {done.stderr}")
        return done.stdout

    def call(self, path, body=None, content="application/json"):
        request = urllib.request.Request(f"{self.url}/api/v1{path}", body, {"Authorization": f"Bearer {TOKEN}", "Content-Type": content})
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise Failure(f"{path}: {error.status} {error.read().decode()[:600]}") from None

    def apply(self, document):
        path = self.directory / "resource.json"
        path.write_text(json.dumps(document))
        self.cli("apply", "-f", path)

    def records(self, topic):
        return [json.loads(line)["value"] for line in self.cli("topic", "tail", topic, "--from", "earliest", "-n", "1000000", "-o", "ndjson").splitlines()]

    def dead_letters(self, owner):
        found, cursor = [], ""
        while True:
            page = self.call(f"/dead-letters?firehose={owner}&limit=1000{cursor}")
            found += page["items"]
            if not page.get("next"):
                return found
            cursor = f"&after={page['next']}"


def order(number, is_poison=False):
    second, millis = divmod(number, 1_000)
    return {"id": f"order-{number:07}", "number": str(number), "customer": f"customer-{number % 97}", "total": -1 if is_poison else number / 4,
            "event_timestamp": f"2026-01-01T{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}.{millis:03}Z"}


class Publisher(threading.Thread):
    """Publishes all records in a given time; what was not acknowledged is published again, which is why the records of a
    call have to be in the topic once: a call that ends without an answer is looked up."""

    def __init__(self, server, poison, seconds):
        super().__init__(daemon=True)
        self.server, self.poison, self.pause = server, poison, seconds * PER_CALL / RECORDS
        self.error = None

    def run(self):
        try:
            for first in range(0, RECORDS, PER_CALL):
                self.publish(first)
                time.sleep(self.pause)
        except Exception as error:
            self.error = error

    def publish(self, first):
        lines = [json.dumps(order(number, number in self.poison)) for number in range(first, first + PER_CALL)]
        while True:
            try:
                answer = self.server.call("/topics/orders/records?key_field=id", "\n".join(lines).encode(), "application/x-ndjson")
                if answer["refused"]:
                    raise Failure(f"the topic refuses records: {answer}")
                return
            except (OSError, urllib.error.URLError):
                # Killed in the middle: it may have the records already.
                time.sleep(0.2)
                if self.is_there(first):
                    return

    def is_there(self, first):
        while True:
            try:
                ends = self.server.call("/topics/orders")["status"]["partitions"]
                return sum(int(partition["endOffset"]) for partition in ends) >= first + PER_CALL
            except (OSError, urllib.error.URLError):
                time.sleep(0.2)


class Run:
    """One case with one seed."""

    def __init__(self, case, seed):
        self.case, self.random = case, random.Random(f"{case}-{seed}")
        self.sinks = sinks()

    def go(self, directory):
        self.server = Millrace(directory)
        poison = {self.random.randrange(RECORDS)} if self.case == "poison" else set()
        for sink in self.sinks:
            sink.millrace = self.server
            sink.begin()
        self.server.start()
        try:
            (directory / "order.proto").write_text(PROTO)
            self.server.cli("schema", "push", directory / "order.proto")
            for topic in ("orders", "copied"):
                self.server.cli("topic", "create", topic, "--partitions", str(PARTITIONS), "--schema", "faults.v1.Order")
            for secret in ("mixpanel-secret", "clevertap-passcode"):
                self.server.cli("secret", "set", secret, stdin="secret")
            for sink in self.sinks:
                self.server.apply({
                    "apiVersion": "millrace/v1", "kind": "Firehose", "metadata": {"name": sink.name},
                    "spec": {"topic": "orders", "startFrom": "earliest", "sink": sink.document(),
                             "delivery": {"linger": "20ms", "batchRecords": 500, "retry": {"first": "50ms", "longest": "1s"}, **sink.delivery}},
                })
            publisher = Publisher(self.server, poison, 8)
            publisher.start()
            getattr(self, self.case.replace("-", "_"))()
            publisher.join()
            if publisher.error:
                raise publisher.error
            return self.judge(poison)
        finally:
            if self.server.process.poll() is None:
                self.server.kill()
            for sink in self.sinks:
                sink.mend()
                sink.proxy.down()

    def wait(self, least, most):
        time.sleep(self.random.uniform(least, most))

    def each(self, method, *arguments):
        for sink in self.sinks:
            getattr(sink, method)(*arguments)

    def down(self):
        self.wait(0.5, 4)
        for sink in self.sinks:
            sink.proxy.down()
        time.sleep(DOWN_SECONDS)
        for sink in self.sinks:
            sink.proxy.heal()

    def silent(self):
        self.wait(0.5, 4)
        for sink in self.sinks:
            sink.proxy.silence()
        self.wait(2, 6)
        for sink in self.sinks:
            sink.proxy.cut()
            sink.proxy.heal()

    def slow(self):
        for sink in self.sinks:
            sink.proxy.slow(0.2)
        self.wait(8, 12)
        for sink in self.sinks:
            sink.proxy.heal()

    def resets(self):
        for _ in range(6):
            self.wait(0.2, 1.5)
            for sink in self.sinks:
                sink.proxy.reset_next(2)
        self.wait(1, 2)
        for sink in self.sinks:
            sink.proxy.heal()

    def errors(self):
        for _ in range(8):
            self.wait(0.3, 1)
            self.each("fail_some")
        self.each("mend")

    def throttled(self):
        self.wait(0.5, 2)
        self.each("throttle")
        self.wait(2, 5)
        self.each("mend")

    def auth_revoked(self):
        self.wait(0.5, 3)
        self.each("revoke")
        self.wait(2, 5)
        self.each("mend")

    def schema_refused(self):
        # InfluxDB's database goes with what is in it, so it goes before anything is there.
        early = [sink for sink in self.sinks if sink.name == "influx"]
        for sink in early:
            sink.refuse_schema()
        self.wait(1, 3)
        for sink in self.sinks:
            if sink not in early:
                sink.refuse_schema()
        self.wait(2, 5)
        self.each("mend")

    def poison(self):
        pass

    def killed(self):
        for _ in range(4):
            self.wait(0.3, 2.5)
            self.server.kill()
            self.wait(0, 0.5)
            self.server.start()

    def killed_while_down(self):
        self.wait(0.5, 2)
        for sink in self.sinks:
            sink.proxy.reset_next(3)
        self.wait(0.1, 1)
        self.server.kill()
        for sink in self.sinks:
            sink.proxy.down()
        self.server.start()
        self.wait(1, 3)
        for sink in self.sinks:
            sink.proxy.heal()
        self.wait(0.1, 1)
        self.server.kill()
        self.server.start()

    def judge(self, poison):
        counts = collections.Counter()
        for sink in self.sinks:
            refused = poison if sink.refuses_poison else set()
            status = self.settled(sink, refused)
            ledger = status["ledger"]
            letters = {int(letter["offset"]) for letter in self.server.dead_letters(sink.name)}
            expected = {number: order(number, number in poison)["total"] for number in range(RECORDS) if number not in refused}
            found = collections.Counter(sink.found())
            numbers = collections.Counter(number for number, _ in found.elements())
            lost = [number for number in expected if number not in numbers]
            wrong = [(number, total) for number, total in found if number not in expected or expected[number] != total]
            doubled = sum(count - 1 for count in numbers.values())
            problems = []
            if lost or wrong:
                problems.append(f"{len(lost)} lost {lost[:3]}, {len(wrong)} wrong {wrong[:3]}")
            if doubled and sink.can_avoid_duplicates:
                problems.append(f"{doubled} doubled")
            if len(letters) != len(refused):
                problems.append(f"{len(letters)} dead letters instead of {len(refused)}")
            if ledger["deadLettered"] != len(refused) or ledger["delivered"] != RECORDS - len(refused) or ledger["filtered"] or ledger["late"]:
                problems.append(f"the ledger is {ledger}")
            if problems:
                print(f"{self.case}: {sink.name}: {'; '.join(problems)}", file=sys.stderr)
            counts["lost"] += len(lost)
            counts["wrong"] += len(wrong)
            counts["doubled" if sink.can_avoid_duplicates else "repeated"] += doubled
            counts["failed"] += bool(problems)
        return counts

    def settled(self, sink, refused):
        """The status of a firehose that has nothing left to do."""
        end = time.monotonic() + SETTLED_SECONDS_MAX
        while True:
            status = self.server.call(f"/firehoses/{sink.name}")["status"]
            ledger = status["ledger"]
            cells = ledger["delivered"] + ledger["filtered"] + ledger["late"] + ledger["deadLettered"] + ledger["held"]
            if ledger["consumed"] != cells:
                raise Failure(f"{sink.name}: the ledger does not balance: {ledger}")
            if ledger["consumed"] >= RECORDS and not ledger["held"]:
                return status
            if time.monotonic() > end:
                raise Failure(f"{sink.name} did not come to an end: {json.dumps(status)[:600]}")
            time.sleep(0.2)


CASES = ["down", "silent", "slow", "resets", "errors", "throttled", "auth-revoked", "schema-refused", "poison", "killed", "killed-while-down"]


def one(case, seed):
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as directory:
        try:
            counts = Run(case, seed).go(pathlib.Path(directory))
        except Exception:
            traceback.print_exc()
            log = pathlib.Path(directory) / "server.log"
            sys.stderr.write(log.read_text()[-2_000:] if log.exists() else "")
            counts = collections.Counter(failed=1)
    counts["cases"] = 1
    words = ", ".join(f"{counts[cell]} {cell}" for cell in ("lost", "doubled", "wrong", "failed", "repeated"))
    print(f"{case} {seed}: {words}, {time.monotonic() - began:.0f} s", flush=True)
    return counts


def main():
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    cases = CASES if len(sys.argv) < 3 or sys.argv[2] == "all" else sys.argv[2].split(",")
    unknown = [case for case in cases if case not in CASES]
    if unknown:
        sys.exit(f"no case is called {unknown[0]}; there are: {' '.join(CASES)}")
    began, sums = time.monotonic(), collections.Counter()
    for seed in range(1, seeds + 1):
        for case in cases:
            sums += one(case, seed)
    total = {"area": "delivery", **{cell: sums[cell] for cell in ("cases", "lost", "doubled", "wrong", "failed", "repeated")},
             "seconds": round(time.monotonic() - began)}
    print(json.dumps(total))
    sys.exit(1 if sums["lost"] or sums["doubled"] or sums["wrong"] or sums["failed"] else 0)


main()
