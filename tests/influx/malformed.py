"""Bodies that are wrong in some way, given to InfluxDB 1.6 and to Millrace: status and words have to be the same, apart from
the place that Millrace adds behind each line, and apart from what docs/influxdb-api.md lists."""

import collections
import os
import random

import deliberate
from servers import InfluxDb, Millrace

LINES = [
    "cpu value=", "cpu value=,b=1", "cpu", "cpu,host=a", "cpu ", ",host=a value=1", "cpu, value=1", "cpu,=a value=1",
    "cpu,host value=1", "cpu,host= value=1", "cpu,host=a=b value=1", "cpu,host=a,host=b value=1",
    "cpu,b=1,host=a,b=2 value=1", "cpu =1", "cpu a=1,=2", "cpu a=1,b", "cpu a", "cpu a=1 b=2", "cpu a=NaN", "cpu a=nan",
    "cpu a=-Inf", "cpu a=Inf", "cpu a=1.2.3", "cpu a=1.5i", "cpu a=1u", "cpu a=1i2", "cpu a=--1", "cpu a=1e", "cpu a=1e999",
    "cpu a=yes", "cpu a=tRUE", 'cpu a="open', "cpu a=1 12x", "cpu a=1 1.5", "cpu a=1 1\r", "cpu a=1 1 2", "cpu a=1 -",
    "cpu a=1 9223372036854775808", "cpu a=1 9223372036854775807", "cpu a=9223372036854775808i", "cpu  a=1  5  ",
    "cpu,host=" + "x" * 65_530 + " a=1", "cpu,host=" + "x" * 65_525 + " value=1", "types v=1\ntypes v=1i 5",
    "types v=1 6\ntypes v=1i 5", "other v=t\nother v=1\nother v=2i\nother v=\"x\"", "m time=5", "m,time=5 v=1", "m time=5,v=1",
    "m v=1,v=2", "", "# a comment\n\n", " a comment\\\n\n", "a\\\nb", "m v=1 5\nm v=", "m v=\nm w=", 't v="a\nb" 1x',
    r'e\ scaped,t\,a=b\=c f\ f="x\"y\\" 7', "m v=.5,w=5.,x=-.5", "m v=1e3,w=1E+3,x=-1.5e-3", "m v=0x1", "m v=+1", "m v=1_0",
    "m v=true,w=F,x=False", "z v=1 -9223372036854775807", "z v=1 -9223372036854775806", 'm a="say "hi" now" 1', 'm a="x"y" 1',
    'm a="x y"9 1', 'm a="x"\\" 1', '\tm \ta=1,\tb=2 1',
]
WHOLE = 'cpu,host=a,region=eu value=1.5,n=17i,s="x y",ok=t 1465839830100400200'


# So many bodies go into one database, as long as both answer the same.
TOGETHER = 40


def mutated(dice):
    """A line with a few bytes changed."""
    bytes_ = bytearray(dice.choice(LINES + [WHOLE] * 40), "utf-8")
    for _ in range(dice.randrange(1, 4)):
        if not bytes_ or len(bytes_) > 1_000:
            break
        at, byte = dice.randrange(len(bytes_)), dice.choice(b", =\"\\-.ieutTfN0159\t\n#")
        kind = dice.randrange(3)
        if kind == 0:
            bytes_[at] = byte
        elif kind == 1:
            bytes_.insert(at, byte)
        else:
            del bytes_[at]
    return bytes(bytes_)


def compare(cases, seed):
    dice = random.Random(seed)
    bodies = [line.encode() for line in LINES] + [mutated(dice) for _ in range(cases)]
    with InfluxDb("words") as theirs, Millrace() as ours:
        wrong, listed, fresh = [], collections.Counter(), True
        renew(theirs, ours, "first")
        for number, body in enumerate(bodies):
            if number % TOGETHER == 0 and not fresh:
                renew(theirs, ours, number)
                fresh = True
            wanted, got = (deliberate.answer(server, body) for server in (theirs, ours))
            if not deliberate.same(wanted, got) and not fresh:
                # What was written before may be why.
                renew(theirs, ours, number)
                wanted, got = (deliberate.answer(server, body) for server in (theirs, ours))
            fresh = False
            if not deliberate.same(wanted, got):
                row = deliberate.which(wanted, got, theirs)
                listed[row] += 1
                if row is None:
                    wrong.append(f"{body[:200]!r}\n  InfluxDB {wanted}\n  Millrace {got}")
                renew(theirs, ours, f"{number}_after")
                fresh = True
    told = ", ".join(f"{count} {row}" for row, count in listed.items())
    print(f"malformed lines: {len(bodies)} bodies, seed {seed}; different: {told}")
    assert not wrong, "\n".join(wrong[:20])
    assert listed.total() < len(bodies) / 10


def renew(theirs, ours, number):
    """Empty databases."""
    theirs.drop()
    for server in (theirs, ours):
        server.fresh(number)


if __name__ == "__main__":
    compare(cases=2_000, seed=int(os.environ.get("SEED", "1")))
