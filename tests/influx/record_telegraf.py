"""Records requests as they come: record_telegraf.py FILE COMMAND..., where URL in the command is the recorder's address.

Answers what InfluxDB 1.6 answers to a query and to points."""

import base64
import http.server
import json
import subprocess
import sys
import threading

REQUESTS = []


class Recorder(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length) if length else b""
        if self.headers.get("Transfer-Encoding") == "chunked":
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        headers = {name: value for name, value in self.headers.items() if name not in ("Host", "Content-Length", "Transfer-Encoding")}
        REQUESTS.append({"method": self.command, "path": self.path, "headers": headers, "body": base64.b64encode(body).decode()})
        content = b'{"results":[{"statement_id":0}]}\n' if self.path.startswith("/query") else b""
        self.send_response(200 if content else 204)
        self.send_header("X-Influxdb-Version", "1.6.7")
        if content:
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_HEAD = answer

    def log_message(self, *_):
        pass


def main():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Recorder)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    subprocess.run([part.replace("URL", url) for part in sys.argv[2:]], check=True)
    with open(sys.argv[1], "a", encoding="utf-8") as file:
        for request in REQUESTS:
            file.write(json.dumps(request) + "\n")


if __name__ == "__main__":
    main()
