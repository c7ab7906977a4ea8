"""The merchant's report, before and after. Run by run.sh, which gives it the two databases.

Loads a seeded history of orders, puts load on the orders service and its report, moves the report to a service with a
database of its own, puts the same load on again, and compares latencies and, row by row, the two databases.
"""
import argparse
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from datetime import datetime, timedelta, timezone

import psycopg

from orders_service import OrdersService
from report_service import ReportService

HERE = pathlib.Path(__file__).resolve().parent
TOKEN = "token-of-the-merchant-example-0123456789"
DAYS = 30
PER_CALL = 5_000
COMPARED = "order_id, merchant_id, status, total, currency, placed_at"


def merchant(number):
    return f"merchant-{number:05}"


class Millrace:
    """A server of its own in a directory that is removed."""

    def __init__(self, directory):
        binary = os.environ.get("MILLRACE_BINARY", HERE.parents[1] / "target/release/millrace")
        self.binary = pathlib.Path(binary).resolve()
        command = [self.binary, "up", "--listen", "127.0.0.1:0", "--data-dir", directory, "--sink-networks", "127.0.0.0/8"]
        self.environment = {**os.environ, "MILLRACE_ADMIN_TOKEN": TOKEN, "MILLRACE_TOKEN": TOKEN}
        self.process = subprocess.Popen(command, env=self.environment, stdout=subprocess.PIPE, text=True)
        self.url = self.process.stdout.readline().strip()
        if not self.url.startswith("http://"):
            sys.exit(f"millrace did not start: {self.url}")

    def cli(self, *arguments):
        command = [self.binary, *arguments, "--server", self.url]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"millrace {' '.join(arguments)}: {done.stderr}")
        return done.stdout

    def get(self, path):
        request = urllib.request.Request(self.url + path, headers={"Authorization": f"Bearer {TOKEN}"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def publish(self, lines):
        request = urllib.request.Request(
            f"{self.url}/api/v1/topics/orders/records?key_field=order_id",
            "\n".join(lines).encode(),
            {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/x-ndjson"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            outcome = json.load(answer)
        assert outcome["refused"] == 0, outcome

    def stop(self):
        self.process.terminate()
        self.process.wait(30)


def history(orders, merchants, now):
    """Orders of the last thirty days, the same in every run; large merchants have most of them, as it is in life."""
    rng = random.Random(7)
    for number in range(orders):
        placed_at = now - timedelta(seconds=rng.uniform(0, DAYS * 86_400))
        yield {
            "order_id": f"history-{number:09}",
            "merchant_id": merchant(int(merchants * rng.random() ** 2)),
            "customer_id": f"customer-{rng.randrange(orders // 5 + 1):07}",
            "status": rng.choices(("COMPLETED", "CANCELLED"), (9, 1))[0],
            "total": rng.randrange(10_000, 500_000, 500),
            "currency": "IDR",
            "placed_at": placed_at.isoformat(),
            "event_timestamp": placed_at.isoformat(),
        }


def load_history(orders_database, millrace, orders):
    """Into the orders service's table, and as events into the topic."""
    columns = list(orders[0])
    with psycopg.connect(orders_database) as connection:
        with connection.cursor().copy(f"COPY orders ({', '.join(columns)}) FROM STDIN") as copy:
            for order in orders:
                copy.write_row([order[column] for column in columns])
    with psycopg.connect(orders_database, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE orders")
    for first in range(0, len(orders), PER_CALL):
        millrace.publish([json.dumps(order) for order in orders[first : first + PER_CALL]])


def call(url, body=None):
    """Seconds until the answer is there."""
    data = json.dumps(body).encode() if body is not None else None
    began = time.perf_counter()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        answer.read()
    return time.perf_counter() - began


def under_load(orders_url, report_url, merchants, seconds, readers, orders_per_second):
    """Places orders at a fixed rate while readers ask for reports one after the other. Latencies in seconds."""
    since = (datetime.now(timezone.utc) - timedelta(days=7)).isoformat().replace("+00:00", "Z")
    end = time.perf_counter() + seconds
    reports, placed, failed = [], [], []

    def noted(into, *arguments):
        try:
            into.append(call(*arguments))
        except (OSError, urllib.error.HTTPError) as error:
            failed.append(str(error))

    def reader(number):
        rng = random.Random(number)
        while time.perf_counter() < end:
            noted(reports, f"{report_url}/report?merchant={merchant(int(merchants * rng.random() ** 2))}&since={since}")

    def buyer(number, buyers):
        rng = random.Random(1_000 + number)
        due = time.perf_counter() + number / orders_per_second
        while due < end:
            time.sleep(max(0, due - time.perf_counter()))
            order = {
                "merchant_id": merchant(int(merchants * rng.random() ** 2)),
                "customer_id": f"customer-{rng.randrange(100_000):07}",
                "total": rng.randrange(10_000, 500_000, 500),
                "currency": "IDR",
            }
            noted(placed, f"{orders_url}/orders", order)
            due += buyers / orders_per_second

    threads = [threading.Thread(target=reader, args=(number,)) for number in range(readers)]
    threads += [threading.Thread(target=buyer, args=(number, 8)) for number in range(8)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert not failed, failed[:3]
    return {"report": reports, "order": placed}


def figures(latencies, seconds):
    ordered = sorted(latencies)
    at = lambda share: round(1_000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))], 1)
    return {"calls": len(ordered), "perSecond": round(len(ordered) / seconds, 1), "p50Millis": at(0.5), "p99Millis": at(0.99)}


def wait_until(what, seconds, is_true):
    end = time.monotonic() + seconds
    while not (found := is_true()):
        if time.monotonic() > end:
            sys.exit(f"{what} did not happen within {seconds} s")
        time.sleep(0.05)
    return found


def orders_in(database, table):
    with psycopg.connect(database) as connection:
        return connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]


def freshness(service, reports_database, merchants, times):
    """From the answer to whoever has ordered until the report's table has the order, in seconds."""
    found = []
    with psycopg.connect(reports_database, autocommit=True) as connection:
        for number in range(times):
            order = {"merchant_id": merchant(number % merchants), "customer_id": "customer-0000001", "total": 10_000, "currency": "IDR"}
            request = urllib.request.Request(f"{service}/orders", json.dumps(order).encode(), {"Content-Type": "application/json"})
            with urllib.request.urlopen(request, timeout=10) as answer:
                order_id = json.load(answer)["order_id"]
            began = time.perf_counter()
            query = "SELECT 1 FROM merchant_orders WHERE order_id = %s"
            while connection.execute(query, (order_id,)).fetchone() is None:
                assert time.perf_counter() - began < 30, "an order did not come to the report's database"
                time.sleep(0.002)
            found.append(time.perf_counter() - began)
    return found


def same_rows(orders_database, reports_database):
    """Both tables, row by row."""
    with psycopg.connect(orders_database) as ours, psycopg.connect(reports_database) as theirs:
        left = set(ours.execute(f"SELECT {COMPARED} FROM orders"))
        right = set(theirs.execute(f"SELECT {COMPARED} FROM merchant_orders"))
        rows = theirs.execute("SELECT count(*) FROM merchant_orders").fetchone()[0]
    assert left == right and rows == len(right), f"{len(left - right)} missing, {len(right - left)} strange"
    return rows


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--orders", type=int, default=1_000_000, help="orders of the last thirty days")
    parser.add_argument("--merchants", type=int, default=2_000)
    parser.add_argument("--seconds", type=int, default=20, help="of load, before and after")
    parser.add_argument("--readers", type=int, default=4)
    parser.add_argument("--orders-per-second", type=int, default=50)
    options = parser.parse_args()
    orders_database, reports_database = os.environ["ORDERS_DATABASE"], os.environ["REPORTS_DATABASE"]
    for database, file in ((orders_database, "orders.sql"), (reports_database, "reports.sql")):
        with psycopg.connect(database) as connection:
            connection.execute((HERE / "sql" / file).read_text())

    with tempfile.TemporaryDirectory() as directory:
        millrace = Millrace(directory)
        orders_service = report_service = None
        try:
            millrace.cli("schema", "push", str(HERE / "proto"))
            millrace.cli("topic", "create", "orders", "--partitions", "4", "--schema", "merchant.v1.Order")
            orders_service = OrdersService(orders_database, millrace.url, TOKEN)
            load = list(history(options.orders, options.merchants, datetime.now(timezone.utc)))
            load_history(orders_database, millrace, load)
            print(f"{options.orders} orders of {options.merchants} merchants are in the orders service and in its topic")

            ask = (options.merchants, options.seconds, options.readers, options.orders_per_second)
            before = under_load(orders_service.url, orders_service.url, *ask)

            port = psycopg.conninfo.conninfo_to_dict(reports_database)["port"]
            firehose = pathlib.Path(directory) / "firehose.yaml"
            firehose.write_text((HERE / "firehose.yaml").read_text().replace("${REPORTS_PORT}", port))
            began = time.perf_counter()
            millrace.cli("apply", "-f", str(firehose))
            wait_until("the history's arrival", 300, lambda: orders_in(reports_database, "merchant_orders") >= options.orders)
            filled = time.perf_counter() - began
            print(f"the report service has them {filled:.1f} s after `millrace apply -f firehose.yaml`")
            with psycopg.connect(reports_database, autocommit=True) as connection:
                connection.execute("VACUUM ANALYZE merchant_orders")

            report_service = ReportService(reports_database)
            after = under_load(orders_service.url, report_service.url, *ask)
            fresh = freshness(orders_service.url, reports_database, options.merchants, 50)

            placed = orders_in(orders_database, "orders")
            wait_until("the last order's arrival", 60, lambda: orders_in(reports_database, "merchant_orders") == placed)
            rows = same_rows(orders_database, reports_database)
            status = wait_until("the ledger's rest", 30, lambda: settled(millrace))
            print(f"{rows} rows are the same in both databases; ledger: {json.dumps(status)}")
            result = {"name": "merchant", "orders": options.orders, "filledSeconds": round(filled, 1)}
            for name, latencies in (("before", before), ("after", after)):
                result[name] = {what: figures(latencies[what], options.seconds) for what in ("report", "order")}
            result["orderToReport"] = {name: figures(fresh, 1)[name] for name in ("p50Millis", "p99Millis")}
            print(json.dumps(result))
        finally:
            for service in (orders_service, report_service):
                if service:
                    service.stop()
            millrace.stop()


def settled(millrace):
    """The ledger, once nothing is on its way; it has to balance."""
    ledger = millrace.get("/api/v1/firehoses/orders-to-reports")["status"]["ledger"]
    if ledger["held"]:
        return None
    assert ledger["consumed"] == ledger["delivered"] + ledger["filtered"] + ledger["late"] + ledger["deadLettered"], ledger
    assert ledger["deadLettered"] == 0 and ledger["filtered"] == 0, ledger
    return ledger


main()
