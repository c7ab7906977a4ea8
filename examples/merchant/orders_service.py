"""The orders service. Orders are placed here; the slow report is read here, too, until it has a service of its own."""
import json
import sys
import threading
import time
import urllib.request
import uuid
from datetime import datetime, timezone

from common import Pool, report, serve

EVENTS_PER_CALL = 500


class OrdersService:
    def __init__(self, database, millrace, token):
        self.pool = Pool(database, 16)
        self.topic = f"{millrace}/api/v1/topics/orders/records?key_field=order_id"
        self.token = token
        self.is_stopped = threading.Event()
        self.relay = threading.Thread(target=self.relay_events, daemon=True)
        self.relay.start()
        self.server = serve({"POST /orders": self.place, "GET /report": self.report})
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def place(self, _query, order):
        now = datetime.now(timezone.utc).isoformat()
        order = {**order, "order_id": str(uuid.uuid4()), "status": "PLACED", "placed_at": now, "event_timestamp": now}
        with self.pool.connection() as connection:
            connection.execute(
                """INSERT INTO orders (order_id, merchant_id, customer_id, status, total, currency, placed_at, event_timestamp)
                   VALUES (%(order_id)s, %(merchant_id)s, %(customer_id)s, %(status)s, %(total)s, %(currency)s,
                           %(placed_at)s, %(event_timestamp)s)""",
                order,
            )
            # The event and the order are there together or not at all.
            connection.execute(
                "INSERT INTO outbox (order_id, event) VALUES (%s, %s)", (order["order_id"], json.dumps(order))
            )
        return {"order_id": order["order_id"]}

    def report(self, query, _body):
        with self.pool.connection() as connection:
            return report(connection, "orders", query["merchant"], query["since"])

    def relay_events(self):
        """Publishes what is in the outbox, in its order. An event that is published twice changes nothing: it is the same."""
        while not self.is_stopped.is_set():
            try:
                published = self.relay_some()
            except OSError as error:
                print(f"orders service: the topic does not answer ({error}); trying again", file=sys.stderr)
                published = 0
                time.sleep(0.5)
            if published == 0:
                time.sleep(0.02)

    def relay_some(self):
        with self.pool.connection() as connection:
            events = connection.execute(
                "SELECT number, event FROM outbox ORDER BY number LIMIT %s FOR UPDATE", (EVENTS_PER_CALL,)
            ).fetchall()
            if not events:
                return 0
            body = "\n".join(json.dumps(event) for _, event in events).encode()
            headers = {"Content-Type": "application/x-ndjson"}
            if self.token:
                headers["Authorization"] = f"Bearer {self.token}"
            urllib.request.urlopen(urllib.request.Request(self.topic, body, headers), timeout=10).read()
            connection.execute("DELETE FROM outbox WHERE number = ANY(%s)", ([number for number, _ in events],))
            return len(events)

    def stop(self):
        self.server.shutdown()
        self.is_stopped.set()
        self.relay.join()
