"""One broker of a test cluster: a Java process with a folder of its own (data, log, pid, server.properties)."""

import glob
import os
import signal
import subprocess
import time
from pathlib import Path

import server_properties

START_SECONDS_MAX = 90
STOP_SECONDS_MAX = 20
POLL_SECONDS = 0.05
LOG_LINES_SHOWN = 30
HERE = Path(__file__).parent
# A Java that starts with less work, or runs faster once it is warm.
QUICK = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
LASTING = ("-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20")


class ClusterError(Exception):
    """What is wrong and what to do about it, for whoever ran the command."""


class Node:
    def __init__(self, folder: Path, cluster: dict, node: dict):
        self.id = node["id"]
        self.folder = folder / f"node-{self.id}"
        self.data = self.folder / "disk" / "data"
        self.log = self.folder / "log"
        self.properties = self.folder / "server.properties"
        self._certificates = folder / "certs"
        self._cluster = cluster
        self._node = node
        self._log_from = 0

    # Making

    def format(self) -> subprocess.Popen:
        """Starts to lay out the data folder; `formatted` waits for it."""
        settings = server_properties.server_properties(
            self._cluster, self._node, str(self.data), str(self._certificates)
        )
        self.properties.write_text(server_properties.as_text(settings))
        arguments = ["format", "--cluster-id", self._cluster["cluster_id"], "--config", str(self.properties)]
        arguments += ["--initial-controllers", ",".join(self._initial_controllers())]
        if self._cluster["secure"]:
            for mechanism in server_properties.SCRAM:
                for name, password in server_properties.USERS.items():
                    arguments += ["--add-scram", f"{mechanism}=[name={name},password={password}]"]
        java = self._java("128m", *QUICK)
        with open(self.folder / "format.log", "wb") as log:
            return subprocess.Popen([*java, "kafka.tools.StorageTool", *arguments], stdout=log, stderr=log)

    def formatted(self, process: subprocess.Popen) -> None:
        if process.wait() != 0:
            raise ClusterError(f"node {self.id} cannot be laid out:\n{last_lines(self.folder / 'format.log')}")

    def is_formatted(self) -> bool:
        return (self.data / "meta.properties").exists()

    def _initial_controllers(self) -> list[str]:
        return [
            f"{node['id']}@127.0.0.1:{node['ports']['CONTROLLER']}:{node['directory_id']}"
            for node in self._cluster["nodes"]
        ]

    # Running

    def start(self) -> None:
        if self.is_running():
            return
        heap = self._cluster["heap"]
        java = self._java(heap, f"-Xms{heap}", *(QUICK if self._cluster["quick"] else LASTING))
        with open(self.log, "ab") as log:
            self._log_from = log.tell()
            process = subprocess.Popen(
                [*java, "kafka.Kafka", str(self.properties)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd=self.folder,
                env=os.environ | self._clock(),
            )
        self._pid_file.write_text(f"{process.pid}\n")

    def wait_until_started(self) -> None:
        """For a node that `start` found running there is nothing to wait for but what its log says already."""
        until = time.monotonic() + START_SECONDS_MAX
        while not self._says_started():
            if not self.is_running():
                raise ClusterError(f"node {self.id} ended while it was starting:\n{last_lines(self.log)}")
            if time.monotonic() > until:
                raise ClusterError(f"node {self.id} is not up after {START_SECONDS_MAX} s:\n{last_lines(self.log)}")
            time.sleep(POLL_SECONDS)

    def _says_started(self) -> bool:
        with open(self.log, "rb") as log:
            log.seek(self._log_from)
            return b"Kafka Server started" in log.read()

    def last_lines(self) -> str:
        return last_lines(self.log)

    def signal(self, number: int) -> None:
        pid = self.pid()
        if pid is None:
            raise ClusterError(f"node {self.id} is not running; `cluster.sh start` starts it")
        os.kill(pid, number)

    def ask_to_stop(self) -> None:
        pid = self.pid()
        if pid is not None:
            os.kill(pid, signal.SIGTERM)
            # A paused process hears nothing else.
            os.kill(pid, signal.SIGCONT)

    def wait_until_stopped(self, seconds: float = STOP_SECONDS_MAX) -> None:
        until = time.monotonic() + seconds
        while (pid := self.pid()) is not None:
            if time.monotonic() > until:
                os.kill(pid, signal.SIGKILL)
            time.sleep(POLL_SECONDS)
        self._pid_file.unlink(missing_ok=True)

    def is_running(self) -> bool:
        return self.pid() is not None

    def pid(self) -> int | None:
        return live_pid(self._pid_file, str(self.properties))

    @property
    def _pid_file(self) -> Path:
        return self.folder / "pid"

    def _java(self, heap: str, *options: str) -> list[str]:
        configuration = f"-Dlog4j2.configurationFile={HERE / 'log4j2.broker.yaml'}"
        libs = self._cluster["libs"]
        archive = f"{libs}/classes.jsa"  # made by archive.sh
        shared = [f"-XX:SharedArchiveFile={archive}"] if os.path.exists(archive) else []
        return ["java", f"-Xmx{heap}", *shared, *options, "-Djava.awt.headless=true", configuration, "-cp", libs + "/*"]

    def _clock(self) -> dict[str, str]:
        skew = self._node["clock_skew"]
        if not skew:
            return {}
        # Waits stay true, only what the clock on the wall says is off. With the "fix" Java's waits would return at once.
        only_the_wall = {"FAKETIME_DONT_FAKE_MONOTONIC": "1", "FAKETIME_FORCE_MONOTONIC_FIX": "0"}
        return {"LD_PRELOAD": faketime_library(), "FAKETIME": skew} | only_the_wall


def faketime_library() -> str:
    pattern = "/usr/lib/*/faketime/libfaketimeMT.so.1"
    if not glob.glob(pattern):
        subprocess.run([HERE / "install.sh", "libfaketime"], check=True)
    found = glob.glob(pattern)
    if not found:
        raise ClusterError(f"--clock-skew needs Debian's libfaketime; there is no {pattern}")
    return found[0]


def live_pid(file: Path, argument: str) -> int | None:
    """The process that a pid file names, if it lives and has this argument: a number may belong to another by now."""
    try:
        pid = int(file.read_text())
        command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError, ValueError):
        return None
    # The command line is empty for a moment while a program is loaded, and for what has ended but was not waited for (Z).
    is_it = argument.encode() in command or command == [b""]
    return pid if is_it and state != "Z" else None


def last_lines(file: Path) -> str:
    lines = file.read_text(errors="replace").splitlines() if file.exists() else []
    return "\n".join(lines[-LOG_LINES_SHOWN:])
