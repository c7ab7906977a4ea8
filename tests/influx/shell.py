"""The `influx` shell of Debian does the same with InfluxDB 1.6 and with Millrace: what it prints is the same."""

import os
import subprocess
import tempfile
import urllib.parse

from deliberate import without_place
from sample import lines
from servers import TOKEN, InfluxDb, Millrace

COMMANDS = [
    "INSERT cpu,host=server03 usage_idle=12.5 1700000000000000000",
    "INSERT INTO autogen cpu,host=server03 usage_idle=13.5 1700000010000000000",
    "INSERT types,host=server03 v=1.5 1700000000000000000",
    "INSERT types,host=server03 v=\"text\" 1700000001000000000",
    "INSERT types,host=server03 v=\"text\"",
    "SHOW FIELD KEYS FROM types",
    "INSERT cpu,host=server03 usage_idle=",
    "SHOW MEASUREMENTS",
    "SHOW TAG KEYS",
    "SHOW FIELD KEYS FROM cpu",
    "SHOW SERIES",
    "SELECT * FROM cpu WHERE host = 'server03'",
    "SELECT mean(usage_idle), max(n) FROM cpu WHERE time >= 1700000000s AND time < 1700000600s GROUP BY time(2m), host",
    "SELECT text FROM events WHERE ok = true",
    "SELECT count(*) FROM cpu; SELECT sum(n) FROM cpu",
    "SELECT usage_idle FROM nothing",
    "SELECT FROM cpu",
    "DROP MEASUREMENT events",
    "SHOW MEASUREMENTS",
]
# What docs/influxdb-api.md lists: a field has one type for ever, and not one for each week.
DELIBERATE = {
    "INSERT types,host=server03 v=\"text\"": ("", "field type conflict: input field"),
    "SHOW FIELD KEYS FROM types": ("string", "float"),
}
FORMATS = [["-format", "column"], ["-format", "json"], ["-format", "csv"], ["-format", "json", "-pretty"], ["-precision", "rfc3339"]]


def shell(server, *arguments):
    address = urllib.parse.urlparse(server.url)
    command = ["influx", "-host", address.hostname, "-port", str(address.port), "-username", "admin", "-password", TOKEN, "-database", server.database, *arguments]
    environment = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)
    return ran.returncode, (ran.stdout + ran.stderr).replace(server.database, "DB").replace(server.url, "URL")


def imported(server, directory):
    """As `influx_inspect export` writes it."""
    path = os.path.join(directory, "points.txt")
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"# DML\n# CONTEXT-DATABASE: {server.database}\n# CONTEXT-RETENTION-POLICY: autogen\n\n")
        file.write("\n".join(lines()) + "\n")
    code, text = shell(server, "-import", "-path", path, "-precision", "s")
    # It tells the time.
    return code, [line.split(" ", 2)[-1] for line in text.splitlines() if "Processed" in line or "Failed" in line]


def main():
    wrong, count = [], 0
    with InfluxDb("shell") as theirs, Millrace() as ours, tempfile.TemporaryDirectory() as directory:
        for server in (theirs, ours):
            server.fresh("commands")
        wanted, got = imported(theirs, directory), imported(ours, directory)
        assert wanted == got and wanted[0] == 0, (wanted, got)
        for arguments in FORMATS:
            for command in COMMANDS:
                if command.startswith("DROP") and arguments != FORMATS[-1]:
                    continue
                wanted, got = shell(theirs, *arguments, "-execute", command), shell(ours, *arguments, "-execute", command)
                count += 1
                if command in DELIBERATE:
                    both = zip(DELIBERATE[command], (wanted, got))
                    is_right = wanted[1] != got[1] and all(answer[0] == 0 and part in answer[1] for part, answer in both)
                else:
                    is_right = wanted == (got[0], without_place(got[1]))
                if not is_right:
                    wrong.append(f"{' '.join(arguments)} {command}\n  InfluxDB {wanted}\n  Millrace {got}")
    print(f"influx shell: {count} commands, {len(wrong)} answered differently")
    assert not wrong, "\n".join(wrong)


if __name__ == "__main__":
    main()
