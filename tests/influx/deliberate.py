"""What is deliberately not as in InfluxDB 1.6: the table of docs/influxdb-api.md, and how answers about lines are known to be one
of its rows."""

import re

from servers import ROOT

PLACE = re.compile(r" \(line \d+, column \d+\)")


def rows():
    """The first column of the table."""
    section = (ROOT / "docs/influxdb-api.md").read_text(encoding="utf-8").split("## Differences from InfluxDB 1.6", 1)[1]
    table = [line for line in section.splitlines() if line.startswith("|")][2:]
    return [line.split(" | ")[0].removeprefix("| ") for line in table]


def answer(server, body, **parameters):
    """Status and error of a write."""
    response = server.post("/write", {"db": server.database, **parameters}, body)
    error = response.json().get("error", "") if response.content else ""
    return response.status_code, error


def without_place(text):
    return PLACE.sub("", text)


def has_two_types(server):
    """Whether InfluxDB has kept a field with two types."""
    found = server.query("SHOW FIELD KEYS", db=server.database)["results"][0].get("series", [])
    names = [[row[0] for row in series["values"]] for series in found]
    return any(len(set(fields)) < len(fields) for fields in names)


# A row of the table: a body, and what InfluxDB and Millrace answer to one of its kind.
LINES = {
    "the place of a malformed line": (
        b"cpu value=", (400, "^unable to parse 'cpu value=': missing field value$"), (400, r"missing field value \(line 1, column 11\)$"),
    ),
    "a long malformed line": (b"cpu value=" + b"x" * 2_000, (400, "x{2000}'"), (400, r"x{1014}\.\.\.'")),
    "more than 100 malformed lines": (b"x\n" * 130, (400, r"(unable to parse[^\n]*\n){129}"), (400, r"(unable to parse[^\n]*\n){100}and 30 more lines$")),
    "a malformed line beside one that conflicts": (
        b"m v=1 1\nm v=\nm v=1i 2", (400, "^field type conflict|^partial write: field type conflict"), (400, r"unable to parse '(?s:.)*': [^\n]*\nfield type conflict: "),
    ),
    'text behind a closing quote (`a="x"y`)': (
        # Other lines of the same body may be wrong for both.
        b'm a="x y"9,b=1 1', ((204, 400), "^(?!.*text behind)"), (400, "text behind a closing quote"),
    ),
    "a field with a blank for a name (`m \\t=1`, a tab)": (b"m \t=1 1", (204, ""), (400, "missing field key")),
    "a new field with two types in one request": (
        b"m v=1 1\nm v=1i 2", (400, "field type conflict$"), (400, r"partial write: .*field type conflict: .* dropped=\d+"),
    ),
    "a field with one type in one week and another in the next": (
        b"m v=1 1\nm v=1i 1700000000000000000", (204, ""), (400, r"partial write: .*field type conflict: .* dropped=\d+"),
    ),
    "a tag and a field of one name": (b"m,a=1 a=2", (204, ""), (400, "is a (tag|field) already and cannot be a (field|tag) as well")),
    "bytes that are no UTF-8": (b"m,a=\xff v=1", (204, ""), (400, "invalid UTF-8")),
    "a tag's value of more than 1,024 bytes, tags of more than 8 kB together": (
        b"m,a=" + b"x" * 1_025 + b" v=1", (204, ""), (400, "is 1025 bytes long, the limit is 1024"),
    ),
    "a name of more than 255 bytes, a measurement's with its group's": (
        b"m," + b"x" * 256 + b"=1 v=1", (204, ""), (400, "has 256 bytes, the limit is 255"),
    ),
    "a text field of more than 64 kB": (b'm a="' + b"x" * 65_537 + b'"', (204, ""), (400, "is 65537 bytes long, the limit is 65536")),
    "more than 64 tags or 1,024 fields of a measurement": (
        b"m," + b",".join(b"t%d=1" % tag for tag in range(65)) + b" v=1", (204, ""), (400, "would have 65 tags with \"t64\", the limit is 64"),
    ),
}


def same(wanted, got):
    """Whether both have answered the same, but for the place and for long lines."""
    def shown(text):
        return re.sub(r"'((?s:.){1024})(?:\.\.\.|(?s:.)*?)'(?=: )", r"'\1...'", without_place(text))

    return wanted[0] == got[0] and shown(wanted[1]) == shown(got[1])


def matches(row, wanted, got, theirs):
    """Whether two answers to a write differ as a row says."""
    _, *kinds = LINES[row]
    for (status, error), (seen, text) in zip(kinds, (wanted, got)):
        if seen not in (status if isinstance(status, tuple) else (status,)) or not re.search(error, text):
            return False
    return row != "a field with one type in one week and another in the next" or has_two_types(theirs)


def which(wanted, got, theirs):
    """The row that explains a difference, if there is one."""
    return next((row for row in LINES if matches(row, wanted, got, theirs)), None)
