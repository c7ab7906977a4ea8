"""Doubles of services that cannot be installed, as their documentation has them. Each keeps what it was given, call by call."""
import gzip
import json
import random
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Double:
    """Answers, or, while a fault is set, does not."""

    def __init__(self):
        self.lock = threading.Lock()
        self.fault = None  # (share of calls, status, headers)
        self.is_refusing_schema = False
        self.random = random.Random(5)
        double = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1
            disable_nagle_algorithm = True

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if self.headers.get("Transfer-Encoding") == "chunked":
                    body = read_chunks(self.rfile)
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                status, headers, answer = double.answer(self, body)
                data = json.dumps(answer).encode()
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_PUT = do_POST

            def log_message(self, *_):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, *_):
                """A request that is cut off in the middle is what the tests want."""

        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, request, body):
        with self.lock:
            fault = self.fault
            if fault and self.random.random() < fault[0]:
                # As often as not the work is done before the error is.
                if fault[1] == 500 and self.random.random() < 0.5:
                    self.take(request, body)
                return fault[1], fault[2], {"error": "as the test wants it"}
            return self.take(request, body)


def read_chunks(stream):
    body = b""
    while size := int(stream.readline().split(b";")[0], 16):
        body += stream.read(size)
        stream.readline()
    stream.readline()
    return body


class JsonReceiver(Double):
    """Takes lists of orders; one with a negative total is refused, and with it the list that it is in."""

    def __init__(self):
        super().__init__()
        self.orders = []

    def take(self, _request, body):
        orders = json.loads(body)
        orders = orders if isinstance(orders, list) else [orders]
        if self.is_refusing_schema:
            return 404, {}, {"error": "there is no such collection"}
        if any(float(order["total"]) < 0 for order in orders):
            return 422, {}, {"error": "a total is negative"}
        self.orders += orders
        return 200, {}, {}

    def found(self):
        with self.lock:
            return [(int(order["number"]), float(order["total"])) for order in self.orders]


class CloudEvents(Double):
    """A receiver of CloudEvents, which knows an event that comes again by its source and id."""

    def __init__(self):
        super().__init__()
        self.events = []

    def take(self, request, body):
        if self.is_refusing_schema:
            return 404, {}, {"error": "nobody listens here"}
        data = json.loads(body)
        events = data if isinstance(data, list) else [data]
        if request.headers.get("ce-id"):
            events = [{"source": request.headers["ce-source"], "id": request.headers["ce-id"], "data": data}]
        if any(float(event["data"]["total"]) < 0 for event in events):
            return 422, {}, {"error": "a total is negative"}
        self.events += events
        return 202, {}, {}

    def found(self):
        with self.lock:
            return [(int(event["data"]["number"]), float(event["data"]["total"])) for event in self.events]


class Mixpanel(Double):
    """`/import?strict=1`: at most 2,000 events; events that are wrong are named in a 400, and the others are taken. One with an
    `$insert_id`, distinct_id, time and name that it has already is taken and changes nothing."""

    def __init__(self):
        super().__init__()
        self.events = {}

    def take(self, _request, body):
        text = body.decode()
        events = json.loads(text) if text.lstrip().startswith("[") else [json.loads(line) for line in text.splitlines() if line]
        if self.is_refusing_schema:
            return 401, {}, {"code": 401, "error": "the project is locked", "status": "Unauthorized"}
        if len(events) > 2_000:
            return 413, {}, {"code": 413, "error": "request exceeds max limit of 2000 events", "status": "Request Entity Too Large"}
        failed = []
        for index, event in enumerate(events):
            properties = event["properties"]
            if not properties.get("$insert_id") or not isinstance(properties.get("time"), (int, float)):
                failed.append({"index": index, "insert_id": "", "field": "properties.$insert_id", "message": "is missing"})
            elif float(properties["total"]) < 0:
                failed.append({"index": index, "insert_id": properties["$insert_id"], "field": "properties.total", "message": "is negative"})
            else:
                key = (event["event"], properties["$insert_id"], properties["distinct_id"], properties["time"])
                self.events[key] = (int(properties["number"]), float(properties["total"]))
        if failed:
            answer = {"code": 400, "error": "some data points in the request failed validation", "failed_records": failed,
                      "num_records_imported": len(events) - len(failed), "status": "Bad Request"}
            return 400, {}, answer
        return 200, {}, {"code": 200, "num_records_imported": len(events), "status": "OK"}

    def found(self):
        with self.lock:
            return list(self.events.values())


class CleverTap(Double):
    """`/1/upload`: at most 1,000 records; what is not processed is told in an answer with status 200."""

    def __init__(self):
        super().__init__()
        self.records = []

    def take(self, request, body):
        if request.headers.get("X-CleverTap-Account-Id") != "account" or not request.headers.get("X-CleverTap-Passcode"):
            return 401, {}, {"status": "fail", "error": "Invalid Credentials", "code": 401}
        if self.is_refusing_schema:
            return 403, {}, {"status": "fail", "error": "the account is suspended", "code": 403}
        records = json.loads(body)["d"]
        if len(records) > 1_000:
            return 413, {}, {"status": "fail", "error": "more than 1000 records", "code": 413}
        unprocessed = []
        for record in records:
            data = record["evtData"]
            if float(data["total"]) < 0:
                unprocessed.append({"status": "fail", "code": 512, "error": "a total is negative", "record": record})
            else:
                self.records.append((int(data["number"]), float(data["total"])))
        done = len(records) - len(unprocessed)
        status = "success" if not unprocessed else "partial" if done else "fail"
        return 200, {}, {"status": status, "processed": done, "unprocessed": unprocessed}

    def found(self):
        with self.lock:
            return list(self.records)
