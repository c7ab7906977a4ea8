"""What both services share: HTTP with one handler per path, a pool of connections, and the report's query."""
import json
import queue
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import psycopg

REPORT = """
    SELECT date_trunc('day', placed_at)::date::text, status, count(*), sum(total)::bigint
    FROM {table} WHERE merchant_id = %s AND placed_at >= %s::timestamptz
    GROUP BY 1, 2 ORDER BY 1, 2
"""


class Pool:
    """Connections to one database, opened when they are needed first."""

    def __init__(self, url, size):
        self.url, self.idle, self.left = url, queue.LifoQueue(), threading.Semaphore(size)

    @contextmanager
    def connection(self):
        with self.left:
            try:
                connection = self.idle.get_nowait()
            except queue.Empty:
                connection = psycopg.connect(self.url)
            with connection.transaction():
                yield connection
            self.idle.put(connection)


def report(connection, table, merchant, since):
    """Orders and turnover of a merchant, by day and status."""
    rows = connection.execute(REPORT.format(table=table), (merchant, since)).fetchall()
    return [{"day": day, "status": status, "orders": orders, "total": total} for day, status, orders, total in rows]


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def serve(routes):
    """Serves `routes`, a map of "METHOD /path" to a function of (query, body), on a free port of loopback."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # The head and the body leave together.
        wbufsize = -1
        disable_nagle_algorithm = True

        def handle_one(self):
            url = urlsplit(self.path)
            handler = routes.get(f"{self.command} {url.path}")
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            if handler is None:
                status, answer = 404, {"error": f"there is no {self.command} {url.path}"}
            else:
                try:
                    query = {name: values[0] for name, values in parse_qs(url.query).items()}
                    status, answer = 200, handler(query, body)
                except (KeyError, psycopg.DataError) as error:
                    status, answer = 400, {"error": str(error)}
            data = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = handle_one

        def log_message(self, *_):
            pass

    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server
