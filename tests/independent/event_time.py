"""Watermarks, lateness and the ledger: the rules that a dagger promises to keep, written record by record.

Each input file is a partition. Its watermark is the greatest event time seen in it, less the delay; every record
that has an event time advances it, also one that a filter drops. A record misses a window whose end is at
or before the watermark of its partition; it is late if it misses all of its windows.
"""


class Ledger:
    """Every record ends in exactly one of four cells."""

    def __init__(self):
        self.consumed = self.delivered = self.filtered = self.late = self.dead_lettered = 0

    def cells(self):
        return {name: getattr(self, name) for name in ("consumed", "delivered", "filtered", "late", "dead_lettered")}


class Partition:
    """The watermark of one input file."""

    def __init__(self, delay_ms):
        self.delay_ms = delay_ms
        self.watermark_ms = -(1 << 62)

    def windows(self, time_ms, size_ms, slide_ms=None):
        """The ends of the windows that still take a record of this time, the last first; none if it is late."""
        slide_ms = slide_ms or size_ms
        # Windows start at multiples of the slide; the last one that holds the record is the first to look at.
        start_ms = time_ms // slide_ms * slide_ms
        open_ends = []
        while start_ms > time_ms - size_ms and start_ms + size_ms > self.watermark_ms:
            open_ends.append(start_ms + size_ms)
            start_ms -= slide_ms
        return open_ends

    def is_late_for_sessions(self, time_ms):
        return time_ms < self.watermark_ms

    def advance(self, time_ms):
        watermark_ms = time_ms - self.delay_ms
        if watermark_ms > self.watermark_ms:
            self.watermark_ms = watermark_ms


def sessions(times_and_values, gap_ms):
    """Splits records of one key into sessions: lists of (time, value), no two neighbours further apart than
    the gap."""
    open_session = []
    for entry in sorted(times_and_values):
        if open_session and entry[0] - open_session[-1][0] > gap_ms:
            yield open_session
            open_session = []
        open_session.append(entry)
    if open_session:
        yield open_session


def percentile(values, percent):
    """The value at position percent * (n + 1) / 100 of the n sorted values, counted from 1 and interpolated
    between neighbours, which is what the Apache Commons Math class Percentile does."""
    ordered = sorted(values)
    position = percent * (len(ordered) + 1) / 100
    if position < 1:
        return float(ordered[0])
    if position >= len(ordered):
        return float(ordered[-1])
    below = int(position)
    low, high = ordered[below - 1], ordered[below]
    return low + (position - below) * (high - low)
