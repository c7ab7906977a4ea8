"""Each row of the differences in docs/influxdb-api.md, shown by InfluxDB 1.6 and by Millrace. A row that nothing here shows is an
error, and so is a difference that is none any more."""

import gzip

import deliberate
import requests
from servers import InfluxDb, Millrace

MIB = 1024 * 1024


def write_status(server, body, headers=None):
    try:
        return server.post("/write", {"db": server.database}, body, headers).status_code
    except requests.ConnectionError:
        # InfluxDB does not read the rest before it closes the connection.
        return 413


def large_request(theirs, ours):
    body = b"#" * (26 * MIB)
    assert (write_status(theirs, body), write_status(ours, body)) == (413, 204)
    assert write_status(ours, b"#" * (33 * MIB)) == 413


def large_unpacked(theirs, ours):
    body, packed = gzip.compress(b"#" * (70 * MIB), 1), {"Content-Encoding": "gzip"}
    assert (write_status(theirs, body, packed), write_status(ours, body, packed)) == (204, 413)


def large_answer(theirs, ours):
    text = "x" * 65_000
    lines = "\n".join(f'long text="{text}" {step * 1_000}' for step in range(110))
    columns = ", ".join(f"text AS t{number}" for number in range(40))
    sizes = []
    for server in (theirs, ours):
        assert deliberate.answer(server, lines) == (204, "")
        sent = {"db": server.database, "q": f"SELECT {columns} FROM long"}
        with server.session.get(server.url + "/query", params=sent, stream=True, timeout=120) as response:
            sizes.append((response.status_code, sum(len(chunk) for chunk in response.iter_content(MIB))))
        del response
    assert sizes[0][0] == 200 and sizes[0][1] > 256 * MIB, sizes
    assert sizes[1][0] == 400 and sizes[1][1] < 1_000, sizes


def unknown_precision(theirs, ours):
    assert deliberate.answer(theirs, b"m v=1 1", precision="d") == (204, "")
    status, error = deliberate.answer(ours, b"m v=1 1", precision="d")
    assert status == 400 and error.startswith('invalid precision "d"'), error


def retention_policies(theirs, ours):
    made = [
        server.query(f'CREATE RETENTION POLICY week ON "{server.database}" DURATION 7d REPLICATION 1') for server in (theirs, ours)
    ]
    assert made[0] == {"results": [{"statement_id": 0}]}, made
    assert "error" in made[1]["results"][0], made


def multipart(theirs, ours):
    answers = [server.session.post(server.url + "/query", files={"q": "SHOW DATABASES"}, timeout=60) for server in (theirs, ours)]
    assert [answer.status_code for answer in answers] == [200, 415], answers
    assert "curl --data-urlencode" in answers[1].json()["error"]


def other_paths(theirs, ours):
    for path, status in (("/status", 204), ("/debug/vars", 200)):
        wanted, got = theirs.get(path), ours.get(path)
        # The portal answers with its page.
        assert wanted.status_code == status and "html" in got.headers["Content-Type"], (path, got.headers)
    for path in ("/api/v1/prom/write", "/api/v1/prom/read"):
        # It is read there, and is no snappy.
        assert theirs.post(path, {"db": theirs.database}, b"x").status_code == 400
        status = ours.post(path, {"db": ours.database}, b"x").status_code
        assert status == 404, (path, status)


def other_origins(theirs, ours):
    origin = {"Origin": "http://other.example"}
    seen = [server.get("/query", {"q": "SHOW DATABASES"}, origin).headers.get("Access-Control-Allow-Origin") for server in (theirs, ours)]
    assert seen == ["http://other.example", None], seen
    written = [server.post("/write", {"db": server.database}, b"m v=1", origin).status_code for server in (theirs, ours)]
    assert written == [204, 403], written


REQUESTS = {
    "a request of more than 25 MB": large_request,
    "a request of more than 64 MiB once it is unpacked": large_unpacked,
    "an answer of more than 256 MiB that is not chunked": large_answer,
    "an unknown `precision`": unknown_precision,
    "more retention policies than `autogen`": retention_policies,
    "a query as `multipart/form-data`": multipart,
    "`/status`, `/debug/vars`, Prometheus remote read and write": other_paths,
    "pages of other origins (CORS)": other_origins,
}


def main():
    rows, wrong = deliberate.rows(), []
    with InfluxDb("differences") as theirs, Millrace() as ours:
        for number, row in enumerate(rows):
            for server in (theirs, ours):
                server.fresh(number)
            if row in deliberate.LINES:
                body = deliberate.LINES[row][0]
                wanted, got = deliberate.answer(theirs, body), deliberate.answer(ours, body)
                if not deliberate.matches(row, wanted, got, theirs):
                    wrong.append(f"{row}\n  InfluxDB {str(wanted)[:600]}\n  Millrace {str(got)[:600]}")
            elif row in REQUESTS:
                try:
                    REQUESTS[row](theirs, ours)
                except AssertionError as error:
                    wrong.append(f"{row}\n  {str(error)[:600]}")
            else:
                wrong.append(f"{row}: nothing shows it")
            theirs.drop()
    unlisted = [row for row in [*deliberate.LINES, *REQUESTS] if row not in rows]
    wrong += [f"{row}: is not in docs/influxdb-api.md" for row in unlisted]
    print(f"differences: {len(rows)} listed, {len(wrong)} not as listed")
    assert not wrong, "\n".join(wrong)


if __name__ == "__main__":
    main()
