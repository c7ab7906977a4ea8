#!/usr/bin/env python3
"""Computes the queries of the demo city's daggers and compares them with `millrace dagger run`.

    python3 tests/independent/city_queries.py [--records 1000000] [--files FOLDER]

Over the first records of each topic of the demo city (made by `city_files` if the folder does not hold them
yet), with broken and late records among them. Prints `N rows equal` for each query, or the first differences, and
then exits with 1. Takes a few minutes for a million records per topic.
"""

import json
import pathlib
import subprocess
import sys

import comparison
import protobuf_wire as wire
import s2_cells
from event_time import Ledger, Partition, percentile

MINUTE_MS = 60_000
DELAY_MS = 5_000
BOOKING_TOPICS = ("ride-booking-log", "car-booking-log", "food-booking-log", "send-booking-log")

VEHICLES = {0: "VEHICLE_UNKNOWN", 1: "BIKE", 2: "CAR", 3: "CAR_XL"}
DRIVER_STATUS = {0: "STATUS_UNKNOWN", 1: "AVAILABLE", 2: "ON_THE_WAY", 3: "ON_TRIP", 4: "ON_BREAK"}
PRODUCTS = {0: "PRODUCT_UNKNOWN", 1: "RIDE", 2: "CAR", 3: "FOOD", 4: "SEND"}
CREATED, COMPLETED = 1, 4
OFFERED, ACCEPTED = 1, 2


def windowed(path, ledger, wanted, event_time, take):
    """Goes through a file by the rules of one-minute tumbling windows.

    `take(data, found)` returns a record's contribution or None if the query's WHERE drops it, and raises
    Broken for a bad value in a field that the query uses. Yields window end and contribution."""
    partition = Partition(DELAY_MS)
    for data, start, end in wire.delimited(path):
        ledger.consumed += 1
        try:
            found = wire.fields(data, start, end, wanted)
            time_ms = wire.timestamp_ms(data, found.get(event_time))
            if time_ms is None:
                raise wire.Broken("no event time")
            contribution = take(data, found.get)
        except wire.Broken:
            ledger.dead_lettered += 1
            continue
        window_end_ms = time_ms // MINUTE_MS * MINUTE_MS + MINUTE_MS
        is_late = partition.watermark_ms >= window_end_ms
        partition.advance(time_ms)
        if contribution is None:
            ledger.filtered += 1
        elif is_late:
            ledger.late += 1
        else:
            ledger.delivered += 1
            yield window_end_ms, contribution


def cell(data, lat, lon):
    return s2_cells.cell_id(wire.double(data, lat), wire.double(data, lon), 13)


def driver_count(files):
    ledger, groups = Ledger(), {}

    def take(data, found):
        return wire.text(data, found(1)), cell(data, found(2), found(3)), wire.int32(found(4))

    for end, (driver, s2id, status) in windowed(files["driver-location-ping"], ledger, (1, 2, 3, 4, 5), 5, take):
        groups.setdefault((end, s2id, status), set()).add(driver)
    rows = [
        {
            "drivers": len(drivers),
            "label_s2id": str(s2id),
            "label_driver_status": DRIVER_STATUS.get(status, str(status)),
            "window_timestamp": end,
        }
        for (end, s2id, status), drivers in groups.items()
    ]
    return rows, ledger


def booking_count(files):
    ledger, groups = Ledger(), {}

    def take(data, found):
        if found(3) != COMPLETED:
            return None
        return wire.int32(found(6)), cell(data, found(9), found(10)), wire.int32(found(4))

    for topic in BOOKING_TOPICS:
        for end, key in windowed(files[topic], ledger, (3, 4, 5, 6, 9, 10), 5, take):
            group = end, *key
            groups[group] = groups.get(group, 0) + 1
    rows = [
        {
            "tag_city_id": city_id,
            "tag_s2id": str(s2id),
            "tag_vehicle_type": VEHICLES.get(vehicle, str(vehicle)),
            "num_of_bookings": count,
            "window_timestamp": end,
        }
        for (end, city_id, s2id, vehicle), count in groups.items()
    ]
    return rows, ledger


def surge(files):
    ledger, demand, supply = Ledger(), {}, {}

    def take_booking(data, found):
        return cell(data, found(9), found(10)) if found(3) == CREATED else None

    def take_driver(data, found):
        driver = wire.text(data, found(1))
        return (driver, cell(data, found(2), found(3))) if found(4) == 1 else None

    for topic in BOOKING_TOPICS:
        for end, s2id in windowed(files[topic], ledger, (3, 5, 9, 10), 5, take_booking):
            demand[end, s2id] = demand.get((end, s2id), 0) + 1
    for end, (driver, s2id) in windowed(files["driver-location-ping"], ledger, (1, 2, 3, 4, 5), 5, take_driver):
        supply.setdefault((end, s2id), set()).add(driver)
    rows = []
    for (end, s2id), bookings in demand.items():
        drivers = len(supply.get((end, s2id), ()))
        rows.append({
            "tag_s2id": str(s2id),
            "bookings": bookings,
            "drivers": drivers,
            "surge": bookings / (drivers + 1),
            "window_timestamp": end,
        })
    return rows, ledger


def api_health(files):
    ledger, groups = Ledger(), {}

    def take(data, found):
        return wire.text(data, found(1)), wire.int32(found(4)), wire.double(data, found(5))

    for end, (service, status, latency_ms) in windowed(files["api-log"], ledger, (1, 4, 5, 6), 6, take):
        group = groups.setdefault((end, service), [0, []])
        group[0] += status >= 500
        group[1].append(latency_ms)
    rows = [
        {
            "tag_service": service,
            "requests": len(latencies),
            "error_share": errors / len(latencies),
            "latency_ms_p95": percentile(latencies, 95),
            "window_timestamp": end,
        }
        for (end, service), (errors, latencies) in groups.items()
    ]
    return rows, ledger


def allocation(files):
    ledger, groups = Ledger(), {}

    def take(data, found):
        state = found(3)
        if state == OFFERED:
            return None
        waited_ms = found(10) or 0
        return cell(data, found(7), found(8)), found(2), state == ACCEPTED, waited_ms

    for end, (s2id, product, accepted, waited_ms) in windowed(
            files["allocation-log"], ledger, (2, 3, 4, 7, 8, 10), 4, take):
        group = groups.setdefault((end, s2id, product), [0, 0, 0])
        if accepted:
            group[0] += 1
            group[2] += waited_ms
        else:
            group[1] += 1
    rows = [
        {
            "tag_s2id": str(s2id),
            "tag_product": PRODUCTS.get(product, str(product)),
            "accepted": accepted,
            "rejected": rejected,
            "acceptance_rate": accepted / (accepted + rejected),
            "time_to_allocate_ms": waited_ms / accepted if accepted else None,
            "window_timestamp": end,
        }
        for (end, s2id, product), (accepted, rejected, waited_ms) in groups.items()
    ]
    return rows, ledger


def make_files(folder, records):
    """Has the demo city write its files, without records whose event time is a lie: a bounded run believes it."""
    # More broken and late records than usual, so that every kind is there many times.
    subprocess.run(
        ["cargo", "run", "--release", "--quiet", "-p", "city", "--example", "city_files", "--",
         "--records", str(records), "--out", str(folder), "--seed", "1", "--broken", "undecodable",
         "--broken-share", "0.002", "--late-share", "0.003"],
        check=True, cwd=comparison.ROOT, stdout=sys.stderr)


def main():
    parser = comparison.parser(__doc__.split("\n")[0])
    parser.add_argument("--records", type=int, default=1_000_000, help="records of each topic")
    parser.add_argument("--files", type=pathlib.Path, help="folder that city_files has written")
    options = parser.parse_args()
    s2_cells.check()
    folder = options.files or comparison.ROOT / "target/city" / str(options.records)
    if not (folder / "ledger.json").exists():
        make_files(folder, options.records)
    topics = json.loads((folder / "ledger.json").read_text())["topics"]
    files = {topic: folder / f"{topic}.pb" for topic in topics}
    bookings = BOOKING_TOPICS
    daggers = {
        "driver_count_demo": ({"supply_data": ["driver-location-ping"]}, driver_count),
        "booking_count_demo": ({"data_stream": bookings}, booking_count),
        "surge": ({"bookings": bookings, "drivers": ["driver-location-ping"]}, surge),
        "api_health": ({"requests": ["api-log"]}, api_health),
        "allocation": ({"offers": ["allocation-log"]}, allocation),
    }
    all_equal = True
    for name, (tables, compute) in daggers.items():
        if options.only not in (None, name):
            continue
        rows, ledger = compute(files)
        inputs = [(table, files[topic]) for table, names in tables.items() for topic in names]
        all_equal &= comparison.compare(options, folder / "daggers" / f"{name}.yaml", folder / "proto", inputs,
                                        rows, ["window_timestamp"], ledger)
    return 0 if all_equal else 1


if __name__ == "__main__":
    sys.exit(main())
