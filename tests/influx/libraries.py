"""Client libraries of PyPI: `influxdb` does the same with InfluxDB 1.6 and with Millrace and finds the same;
`influxdb-client` (for InfluxDB 2) writes to Millrace's `/api/v2/write`, as it would to InfluxDB 1.8."""

import urllib.parse

import influxdb
import influxdb.exceptions
import influxdb.resultset
import influxdb_client
from influxdb_client.client.write_api import SYNCHRONOUS

from sample import BEGIN, lines
from servers import TOKEN, InfluxDb, Millrace


def client_of(server, headers=None):
    address = urllib.parse.urlparse(server.url)
    return influxdb.InfluxDBClient(
        address.hostname, address.port, username="admin", password=TOKEN, database=server.database, gzip=True, headers=headers
    )


def message_pack(server, query, parameters):
    """As it is on the wire."""
    sent = {"db": server.database, "q": query, **parameters}
    answer = server.get("/query", sent, {"Accept": "application/x-msgpack"})
    return answer.status_code, answer.headers["Content-Type"], answer.content


def first_generation(server):
    """What is found, in order."""
    client, found = client_of(server), []
    note = found.append
    note(client.ping() == "1.6.7" or client.ping().startswith("1.6.7"))
    client.create_database("library_made")
    note("library_made" in [database["name"] for database in client.get_list_database()])
    note(client.write_points([
        {"measurement": "trips", "tags": {"city": "Kota Bandung", "kind": "a=b,c"}, "time": "2023-11-14T22:13:20Z",
         "fields": {"n": 7, "fare": 1.5, "paid": True, "note": 'say "hi"\\'}},
        {"measurement": "trips", "tags": {"city": "Jakarta"}, "time": "2023-11-14T22:13:21.5Z", "fields": {"n": 8, "fare": 2.25}},
    ]))
    note(client.write_points("\n".join(lines()), protocol="line", time_precision="s"))
    for query, parameters in (
        ("SELECT * FROM trips", {}),
        ("SELECT mean(usage_idle), count(n) FROM cpu WHERE time < 1700000300s AND time >= 1700000000s GROUP BY time(1m), host", {"epoch": "s"}),
        ("SELECT sum(n) FROM cpu; SELECT last(text) FROM events; SHOW TAG KEYS", {}),
        ("SELECT usage_idle FROM cpu GROUP BY host", {"chunked": True, "chunk_size": 25}),
    ):
        # It asks for MessagePack, but reads one chunk of it only.
        asked = client_of(server, {"Accept": "application/json"}) if "chunked" in parameters else client
        found_series = asked.query(query, **parameters)
        sets = [found_series] if isinstance(found_series, influxdb.resultset.ResultSet) else list(found_series)
        note([(str(key), list(points)) for one in sets for key, points in one.items()])
    for query, parameters in (
        ("SELECT * FROM trips GROUP BY city", {}),
        ("SELECT * FROM trips GROUP BY city; SELECT x FROM nothing; SELECT count(n) FROM trips", {"epoch": "ms"}),
        ("SELECT usage_idle, n FROM cpu GROUP BY host", {"chunked": "true", "chunk_size": "25"}),
        ("SELECT FROM", {}),
        ("SELECT sum(note) FROM trips", {}),
    ):
        note(message_pack(server, query, parameters))
    note(list(client.query("SELECT n FROM cpu WHERE host = $host AND n > $least", bind_params={"host": "server01", "least": 57}).get_points()))
    note(client.get_list_measurements())
    note(client.get_list_series())
    note(client.get_list_retention_policies())
    note(sorted(row["value"] for row in client.query("SHOW TAG VALUES FROM cpu WITH KEY = host").get_points()))
    for wrong in ("SELECT nothing FROM", "DROP"):
        try:
            client.query(wrong)
            note("taken")
        except influxdb.exceptions.InfluxDBClientError as error:
            note((error.code, error.content))
    try:
        client.write_points([{"measurement": "trips", "time": "2023-11-14T22:13:22Z", "fields": {"n": 1.5}}])
        note("taken")
    except influxdb.exceptions.InfluxDBClientError as error:
        note((error.code, error.content))
    client.drop_measurement("trips")
    note(client.get_list_measurements())
    client.drop_database("library_made")
    note("library_made" in [database["name"] for database in client.get_list_database()])
    client.close()
    return found


def second_generation(server):
    with influxdb_client.InfluxDBClient(server.url, token=TOKEN, org="-", enable_gzip=True) as client:
        assert client.ping()
        write = client.write_api(write_options=SYNCHRONOUS)
        point = influxdb_client.Point("rides").tag("city", "Jakarta").field("n", 3).field("fare", 1.5).time(BEGIN, "s")
        write.write(bucket=f"{server.database}/autogen", record=point, write_precision="s")
        write.write(bucket=server.database, record=["rides,city=Medan n=4i 1700000001000000000"])
        try:
            write.write(bucket="nowhere", record="m v=1")
            raise AssertionError("taken")
        except influxdb_client.rest.ApiException as error:
            assert error.status == 404 and 'database not found: \\"nowhere\\"' in error.body, error
    answer = server.query("SELECT * FROM rides", db=server.database, epoch="s")
    expected = [[BEGIN, "Jakarta", 1.5, 3], [BEGIN + 1, "Medan", None, 4]]
    assert answer["results"][0]["series"][0]["values"] == expected, answer
    # Name and password as InfluxDB 1.8 has them.
    with influxdb_client.InfluxDBClient(server.url, token=f"admin:{TOKEN}", org="-") as client:
        client.write_api(write_options=SYNCHRONOUS).write(bucket=server.database, record="rides,city=Solo n=5i")
    counted = server.query("SELECT count(n) FROM rides", db=server.database)
    assert counted["results"][0]["series"][0]["values"][0][1] == 3, counted


def main():
    with InfluxDb("library") as theirs, Millrace() as ours:
        found = []
        for server in (theirs, ours):
            server.fresh("points")
            found.append(first_generation(server))
        wanted, got = found
        wrong = [f"  InfluxDB {one}\n  Millrace {other}" for one, other in zip(wanted, got) if str(one).replace(theirs.database, "DB") != str(other).replace(ours.database, "DB")]
        print(f"influxdb {influxdb.__version__}: {len(wanted)} findings, {len(wrong)} different")
        assert not wrong, "\n".join(wrong)
        second_generation(ours)
        print("influxdb-client: written and read")


if __name__ == "__main__":
    main()
