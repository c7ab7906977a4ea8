"""Stands between clients and the brokers of a cluster, so that the network to one broker can be cut without a firewall.

Bytes go from socket to socket by splice(2), without passing through Python.
"""

import fcntl
import json
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

from node import ClusterError, HERE, live_pid

PIPE_BYTES = 1 << 20
START_SECONDS_MAX = 10
CONTROL = "proxy.sock"


class Route:
    """The way to one broker: its listeners, and the connections that go through them."""

    def __init__(self, ports: dict[int, int]):
        self._ports = ports  # here -> the broker's
        self._lock = threading.Lock()
        self._flowing = threading.Event()
        self._listening: list[socket.socket] = []
        self._connections: set[socket.socket] = set()
        self.heal()

    def heal(self) -> None:
        with self._lock:
            if not self._listening:
                self._listening = [self._listen(port) for port in self._ports]
        self._flowing.set()

    def blackhole(self) -> None:
        self.heal()
        self._flowing.clear()

    def cut(self) -> None:
        with self._lock:
            for one in [*self._listening, *self._connections]:
                shut(one)
            for one in self._listening:
                one.close()
            self._listening = []
        # Threads that a blackhole held back shall see that their connection is gone.
        self._flowing.set()

    def _listen(self, port: int) -> socket.socket:
        listening = socket.create_server(("127.0.0.1", port), backlog=128)
        threading.Thread(target=self._accept, args=(listening, self._ports[port]), daemon=True).start()
        return listening

    def _accept(self, listening: socket.socket, to: int) -> None:
        while True:
            try:
                client, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=self._carry, args=(client, to), daemon=True).start()

    def _carry(self, client: socket.socket, to: int) -> None:
        try:
            broker = socket.create_connection(("127.0.0.1", to))
        except OSError:
            client.close()
            return
        pair = {client, broker}
        with self._lock:
            self._connections |= pair
            is_cut = not self._listening
        if is_cut:
            shut(client)
        for one in pair:
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        back = threading.Thread(target=self._pump, args=(broker, client), daemon=True)
        back.start()
        self._pump(client, broker)
        back.join()
        with self._lock:
            self._connections -= pair
        for one in pair:
            one.close()

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        read_end, write_end = os.pipe()
        fcntl.fcntl(write_end, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        try:
            while held := os.splice(source.fileno(), write_end, PIPE_BYTES):
                self._flowing.wait()
                while held:
                    held -= os.splice(read_end, target.fileno(), held)
        except OSError:
            pass
        finally:
            os.close(read_end)
            os.close(write_end)
            shut(source)
            shut(target)


def shut(one: socket.socket) -> None:
    try:
        one.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass


def serve(folder: Path) -> None:
    settings = json.loads((folder / "cluster.json").read_text())
    routes = {
        node["id"]: Route({port: node["ports"][name] for name, port in node["proxy_ports"].items()})
        for node in settings["nodes"]
    }
    # By its bare name, for the path of a socket may be 107 bytes long at most.
    os.chdir(folder)
    Path(CONTROL).unlink(missing_ok=True)
    control = socket.socket(socket.AF_UNIX)
    control.bind(CONTROL)
    control.listen()
    while True:
        asking, _ = control.accept()
        with asking:
            name, node = asking.recv(64).decode().split()
            getattr(routes[int(node)], name)()
            asking.sendall(b"done\n")


def order(folder: Path, name: str, node: int) -> None:
    before = os.getcwd()
    os.chdir(folder)
    try:
        with socket.socket(socket.AF_UNIX) as asking:
            asking.connect(CONTROL)
            asking.sendall(f"{name} {node}\n".encode())
            if asking.recv(64) != b"done\n":
                raise ClusterError(f"the proxy did not {name} node {node}:\n{(folder / 'proxy.log').read_text()}")
    except OSError as error:
        raise ClusterError(f"the proxy of {folder} does not answer ({error}); `cluster.sh start` starts it") from error
    finally:
        os.chdir(before)


def start(folder: Path) -> None:
    if pid(folder):
        return
    (folder / CONTROL).unlink(missing_ok=True)
    with open(folder / "proxy.log", "ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-B", str(HERE / "proxy.py"), str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    (folder / "proxy.pid").write_text(f"{process.pid}\n")
    until = time.monotonic() + START_SECONDS_MAX
    while not (folder / CONTROL).exists():
        if process.poll() is not None or time.monotonic() > until:
            raise ClusterError(f"the proxy did not start:\n{(folder / 'proxy.log').read_text()}")
        time.sleep(0.02)


def stop(folder: Path) -> None:
    running = pid(folder)
    if running:
        os.kill(running, 15)
    (folder / "proxy.pid").unlink(missing_ok=True)


def pid(folder: Path) -> int | None:
    return live_pid(folder / "proxy.pid", str(folder))


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
