"""The requests of Grafana's InfluxDB data source (InfluxQL), answered by InfluxDB 1.6 and by Millrace: the same status, media
type and JSON.

How they look is from Grafana's source: pkg/tsdb/influxdb/influxql/influxql.go (createRequest), healthcheck.go
(CheckInfluxQLHealth), models/query.go (the query builder), and public/app/plugins/datasource/influxdb/influxql_query_builder.ts
(buildMetadataQuery)."""

from sample import BEGIN, lines
from servers import InfluxDb, Millrace

FROM, TO = BEGIN * 1_000, (BEGIN + 600) * 1_000
RANGE = f"time >= {FROM}ms and time <= {TO}ms"

STATEMENTS = [
    # Saving the data source.
    "SHOW measurements",
    # The query editor.
    'SHOW RETENTION POLICIES on "{database}"',
    "SHOW MEASUREMENTS LIMIT 100",
    "SHOW MEASUREMENTS WITH MEASUREMENT =~ /(?i)CP/ LIMIT 100",
    "SHOW MEASUREMENTS WHERE \"host\" = 'server02' LIMIT 100",
    "SHOW FIELD KEYS",
    'SHOW FIELD KEYS FROM "cpu"',
    'SHOW FIELD KEYS FROM "autogen"."cpu"',
    "SHOW TAG KEYS",
    'SHOW TAG KEYS FROM "cpu"',
    "SHOW TAG KEYS FROM \"cpu\" WHERE \"host\" = 'server01'",
    'SHOW TAG VALUES WITH KEY = "host"',
    'SHOW TAG VALUES FROM "cpu" WITH KEY = "host"',
    "SHOW TAG VALUES FROM \"cpu\" WITH KEY = \"host\" WHERE \"region\" = 'eu'",
    "SHOW TAG VALUES FROM \"cpu\" WITH KEY = \"host\" WHERE \"region\" =~ /u/",
    # Panels.
    f'SELECT mean("usage_idle") FROM "cpu" WHERE {RANGE} GROUP BY time(10s) fill(null)',
    f'SELECT mean("usage_idle") FROM "cpu" WHERE {RANGE} GROUP BY time(1m), "host"::tag fill(null)',
    f"SELECT mean(\"usage_idle\") FROM \"cpu\" WHERE (\"host\"::tag = 'server02') AND {RANGE} GROUP BY time(30s) fill(none)",
    f'SELECT mean("usage_idle") AS "idle", max("usage_user") FROM "cpu" WHERE ("host" =~ /^server0[12]$/) AND {RANGE} GROUP BY time(2m), "region" fill(previous)',
    f'SELECT non_negative_derivative(mean("n"), 10s) FROM "cpu" WHERE {RANGE} GROUP BY time(20s), "host" fill(null)',
    f'SELECT percentile("usage_user", 95) FROM "autogen"."cpu" WHERE {RANGE} GROUP BY time(5m) fill(0)',
    f'SELECT count(distinct("n")) FROM "cpu" WHERE {RANGE} GROUP BY time(1m) fill(linear) tz(\'Asia/Jakarta\')',
    f'SELECT "usage_idle", "host" FROM "cpu" WHERE {RANGE} ORDER BY time DESC LIMIT 20',
    f'SELECT mean("usage_idle") FROM "cpu" WHERE {RANGE} GROUP BY time(1m), "host" fill(null) ORDER BY time DESC SLIMIT 1',
    f'SELECT last("usage_idle") FROM "cpu" WHERE {RANGE} GROUP BY "host"',
    f'SELECT "text", "ok" FROM "events" WHERE {RANGE}',
    f'SELECT mean("nothing") FROM "cpu" WHERE {RANGE} GROUP BY time(10s) fill(null)',
    f'SELECT mean("usage_idle") FROM "nothing" WHERE {RANGE} GROUP BY time(10s) fill(null)',
    # Mistakes on the way.
    "SELECT",
    'SELECT mean("usage_idle" FROM "cpu"',
    "SELECT mean(usage_idle) FROM cpu GROUP BY time(10s",
    'SELECT mean("usage_idle") FROM "cpu" GROUP BY foo(10s)',
    "SHOW TAG",
    "",
]


def ask(server, statement, mode):
    """As createRequest does it; a user and a password are added by the HTTP client of the data source."""
    statement = statement.replace("{database}", server.database)
    parameters = {"db": server.database, "epoch": "ms"}
    if mode == "GET":
        return server.get("/query", {**parameters, "q": statement}, headers={"User-Agent": "Grafana/11.4.0"})
    headers = {"Content-Type": "application/x-www-form-urlencoded", "User-Agent": "Grafana/11.4.0"}
    return server.post("/query", parameters, {"q": statement}, headers)


def main():
    wrong = []
    with InfluxDb("grafana") as theirs, Millrace() as ours:
        for server in (theirs, ours):
            server.fresh("panels")
            response = server.post("/write", {"db": server.database, "precision": "s"}, "\n".join(lines()))
            assert response.status_code == 204, response.text
        for statement in STATEMENTS:
            for mode in ("GET", "POST"):
                wanted, got = ask(theirs, statement, mode), ask(ours, statement, mode)
                seen = [(answer.status_code, answer.headers["Content-Type"], answer.json()) for answer in (wanted, got)]
                if str(seen[0]).replace(theirs.database, "DB") != str(seen[1]).replace(ours.database, "DB"):
                    wrong.append(f"{mode} {statement}\n  InfluxDB {str(seen[0])[:600]}\n  Millrace {str(seen[1])[:600]}")
        count = len(STATEMENTS) * 2
        # Where the data source names no database, and one that is not there.
        for parameters in ({"q": "SHOW MEASUREMENTS", "epoch": "ms"}, {"q": "SHOW MEASUREMENTS", "db": "nowhere"},
                           {"q": "SELECT mean(x) FROM cpu", "db": "nowhere", "epoch": "ms"}):
            wanted, got = theirs.get("/query", parameters), ours.get("/query", parameters)
            count += 1
            if (wanted.status_code, wanted.json()) != (got.status_code, got.json()):
                wrong.append(f"{parameters}\n  InfluxDB {wanted.text}\n  Millrace {got.text}")
    print(f"Grafana: {count} requests, {len(wrong)} answered differently")
    assert not wrong, "\n".join(wrong)


if __name__ == "__main__":
    main()
