#!/usr/bin/env python3
"""Computes the three queries of examples/flights and compares them with `millrace dagger run`.

    python3 tests/independent/flights.py            January, from the repository
    python3 tests/independent/flights.py --year     all of 2013 (downloads 8.7 MB once)

Prints `N rows equal` for each query, or the first differences, and then exits with 1.
"""

import subprocess
import sys

import comparison
import protobuf_wire as wire
import s2_cells
from event_time import Ledger, Partition, percentile, sessions

EXAMPLE = comparison.ROOT / "examples/flights"
MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DELAY_MS = 16 * HOUR_MS


class Flight:
    """The fields of flights.v1.FlightDeparted and FlightArrived that the queries use."""

    __slots__ = ("time_ms", "carrier", "tail_number", "origin", "latitude", "longitude", "delay", "miles")

    NUMBERS = (1, 3, 5, 6, 8, 9, 10, 11)

    def __init__(self, data, start, end):
        found = wire.fields(data, start, end, self.NUMBERS).get
        self.time_ms = wire.timestamp_ms(data, found(1))
        self.carrier = wire.text(data, found(3))
        self.tail_number = wire.text(data, found(5))
        self.origin = wire.text(data, found(6))
        self.latitude = wire.double(data, found(8))
        self.longitude = wire.double(data, found(9))
        self.delay = wire.sint32(found(10))
        self.miles = wire.int32(found(11))


def read(path):
    return [Flight(*place) for place in wire.delimited(path)]


def departures_per_hour(departures):
    ledger, partition, groups, cells = Ledger(), Partition(DELAY_MS), {}, {}
    for flight in departures:
        ledger.consumed += 1
        open_ends = partition.windows(flight.time_ms, HOUR_MS)
        partition.advance(flight.time_ms)
        if not open_ends:
            ledger.late += 1
            continue
        ledger.delivered += 1
        point = flight.latitude, flight.longitude
        if point not in cells:
            cells[point] = str(s2_cells.cell_id(*point, 13))
        group = groups.setdefault((open_ends[0], flight.carrier, cells[point]), [0, 0])
        group[0] += 1
        group[1] += flight.miles
    rows = [
        {"tag_carrier": carrier, "tag_s2id": cell, "departures": count, "miles": miles, "window_timestamp": end}
        for (end, carrier, cell), (count, miles) in groups.items()
    ]
    return rows, ledger


def departure_delay(departures):
    ledger, partition, groups = Ledger(), Partition(DELAY_MS), {}
    for flight in departures:
        ledger.consumed += 1
        open_ends = partition.windows(flight.time_ms, HOUR_MS, 5 * MINUTE_MS)
        partition.advance(flight.time_ms)
        if not open_ends:
            ledger.late += 1
            continue
        ledger.delivered += 1
        for end in open_ends:
            # A scalar without presence: absent is its default.
            groups.setdefault((end, flight.origin), []).append(flight.delay or 0)
    rows = [
        {
            "tag_airport": airport,
            "departures": len(delays),
            "delay_minutes_max": max(delays),
            "delay_minutes_p95": percentile(delays, 95),
            "window_timestamp": end,
        }
        for (end, airport), delays in groups.items()
    ]
    return rows, ledger


def aircraft_sessions(departures, arrivals):
    gap_ms = 6 * HOUR_MS
    ledger, aircraft = Ledger(), {}
    for flights, is_departure in ((departures, 1), (arrivals, 0)):
        partition = Partition(DELAY_MS)
        for flight in flights:
            ledger.consumed += 1
            is_late = partition.is_late_for_sessions(flight.time_ms)
            partition.advance(flight.time_ms)
            if flight.tail_number == "":
                ledger.filtered += 1
            elif is_late:
                ledger.late += 1
            else:
                ledger.delivered += 1
                movement = is_departure, 1 - is_departure, flight.miles * is_departure
                aircraft.setdefault(flight.tail_number, []).append((flight.time_ms, movement))
    rows = []
    for tail_number, movements in aircraft.items():
        for session in sessions(movements, gap_ms):
            departed, arrived, miles = (sum(column) for column in zip(*(value for _, value in session)))
            rows.append({
                "tag_tail_number": tail_number,
                "departures": departed,
                "arrivals": arrived,
                "miles": miles,
                "session_start": session[0][0],
                "window_timestamp": session[-1][0] + gap_ms,
            })
    return rows, ledger


def main():
    parser = comparison.parser(__doc__.split("\n")[0])
    parser.add_argument("--year", action="store_true", help="all of 2013 rather than January")
    options = parser.parse_args()
    s2_cells.check()
    span = "year" if options.year else "january"
    folder = comparison.ROOT / "target/flights" / span
    departed, arrived = folder / "flights-departed.pb", folder / "flights-arrived.pb"
    if not (departed.exists() and arrived.exists()):
        script = "make_year.sh" if options.year else "unpack_january.sh"
        subprocess.run([str(EXAMPLE / script)], check=True, stdout=sys.stderr)
    departures, arrivals = read(departed), read(arrived)
    table = [("departures", departed)]
    both = table + [("arrivals", arrived)]
    tasks = {
        "departures_per_hour": (table, ["window_timestamp"], lambda: departures_per_hour(departures)),
        "departure_delay": (table, ["window_timestamp"], lambda: departure_delay(departures)),
        "aircraft_sessions": (both, ["session_start", "window_timestamp"],
                              lambda: aircraft_sessions(departures, arrivals)),
    }
    all_equal = True
    for name, (inputs, times, compute) in tasks.items():
        if options.only not in (None, name):
            continue
        rows, ledger = compute()
        spec = EXAMPLE / "daggers" / f"{name}.yaml"
        all_equal &= comparison.compare(options, spec, EXAMPLE / "proto", inputs, rows, times, ledger)
    return 0 if all_equal else 1


if __name__ == "__main__":
    sys.exit(main())
