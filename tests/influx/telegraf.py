"""Telegraf's requests as they were recorded (telegraf_recorded/README.md tells how), sent again to InfluxDB 1.6 and to
Millrace with their headers: the same statuses, and the same points afterwards."""

import base64
import json
import pathlib

from servers import InfluxDb, Millrace

RECORDED = pathlib.Path(__file__).with_name("telegraf_recorded") / "requests.jsonl"
QUERIES = [
    "SHOW MEASUREMENTS", "SHOW SERIES", "SHOW FIELD KEYS", "SELECT * FROM cpu", "SELECT * FROM mem", "SELECT * FROM disk",
    "SELECT * FROM system", 'SELECT * FROM "net,odd name"',
]


def replay(server):
    statuses = []
    for line in RECORDED.read_text(encoding="utf-8").splitlines():
        request = json.loads(line)
        answer = server.session.request(
            request["method"], server.url + request["path"], headers=request["headers"], data=base64.b64decode(request["body"]), timeout=60
        )
        statuses.append((request["path"], answer.status_code, answer.text if request["path"].startswith("/query") else ""))
    return statuses, [server.query(query, db="telegraf") for query in QUERIES]


def main():
    with InfluxDb("telegraf") as theirs, Millrace() as ours:
        theirs.query("DROP DATABASE telegraf")
        # Whoever writes is a member; the group is there, so that making it again changes nothing.
        ours.api("POST", "/groups", {"name": "telegraf"})
        invited = ours.api("POST", "/users", {"name": "telegraf"})
        ours.api("POST", "/groups/telegraf/members", {"user": "telegraf", "role": "editor"})
        ours.api("POST", "/session/invitation", {"invitation": invited["invitation"], "password": "password of telegraf"})
        ours.session.cookies.clear()
        wanted, got = replay(theirs), replay(ours)
    wrong = [f"  InfluxDB {one}\n  Millrace {other}" for part in (0, 1) for one, other in zip(wanted[part], got[part]) if one != other]
    print(f"Telegraf: {len(wanted[0])} recorded requests, {len(QUERIES)} queries, {len(wrong)} different")
    assert len(wanted[0]) > 0 and not wrong, "\n".join(wrong)


if __name__ == "__main__":
    main()
