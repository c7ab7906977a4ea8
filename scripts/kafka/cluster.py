"""Starts, breaks and stops clusters of real Kafka brokers on this machine.

A cluster lives in a folder: `up` makes it there and writes DIR/env, lines of KEY=value that say how to reach it.

A node that was killed is let in again only when its session of 9 s is over, and for as long its partitions have no leader;
`up --property broker.session.timeout.ms=3000` shortens that for tests that kill often.
"""

import argparse
import base64
import json
import os
import signal
import socket
import subprocess
import sys
import uuid
from pathlib import Path

import proxy
import small_disk
from node import ClusterError, HERE, Node
from server_properties import BROKER_LISTENERS, CLIENT_LISTENERS, client_listeners

NODES_MAX = 3
# Below the ports that outgoing connections get, so that a node that is down finds its ports free again.
PORTS = range(20001, 32768)
PORTS_APART = 32  # no cluster has more
BOOTSTRAP_NAMES = {
    "PLAINTEXT": "BOOTSTRAP",
    "SASLSSL": "BOOTSTRAP_SASL_SSL",
    "MTLS": "BOOTSTRAP_MTLS",
    "SASLPLAIN": "BOOTSTRAP_SASL_PLAINTEXT",
}


class Cluster:
    def __init__(self, folder: Path, settings: dict):
        self.folder = folder
        self.settings = settings
        self.nodes = [Node(folder, settings, node) for node in settings["nodes"]]

    @staticmethod
    def load(folder: Path) -> "Cluster":
        file = folder / "cluster.json"
        if not file.exists():
            raise ClusterError(f"there is no cluster in {folder}; `cluster.sh up {folder}` makes one")
        return Cluster(folder, json.loads(file.read_text()))

    def node(self, id: int) -> Node:
        for node in self.nodes:
            if node.id == id:
                return node
        raise ClusterError(f"there is no node {id}; there are: {' '.join(str(node.id) for node in self.nodes)}")

    def start(self, nodes: list[Node]) -> None:
        if self.settings["proxied"]:
            proxy.start(self.folder)
        for node in nodes:
            node.start()
        for node in nodes:
            node.wait_until_started()

    def stop(self, nodes: list[Node]) -> None:
        for node in nodes:
            node.ask_to_stop()
        for node in nodes:
            node.wait_until_stopped()

    def kill(self, nodes: list[Node]) -> None:
        for node in nodes:
            node.wait_until_stopped(seconds=0)

    def write_env(self) -> None:
        lines = [f"{name}={value}\n" for name, value in self.env().items()]
        (self.folder / "env").write_text("".join(lines))

    def env(self) -> dict[str, str]:
        env = {}
        for listener in client_listeners(self.settings["secure"]):
            host = CLIENT_LISTENERS[listener][1]
            ports = [(node["ports"] | node["proxy_ports"])[listener] for node in self.settings["nodes"]]
            env[BOOTSTRAP_NAMES[listener]] = ",".join(f"{host}:{port}" for port in ports)
        if self.settings["secure"]:
            env["CERTS"] = str(self.folder / "certs")
        return env | {"KAFKA_LIBS": self.settings["libs"]}


def new_settings(options: argparse.Namespace) -> dict:
    listeners = [*client_listeners(options.secure), *BROKER_LISTENERS]
    proxied = client_listeners(options.secure) if options.proxied else []
    ports = iter(free_ports(options.nodes * (len(listeners) + len(proxied))))
    nodes = [
        {
            "id": id,
            "directory_id": new_id(),
            "ports": {name: next(ports) for name in listeners},
            "proxy_ports": {name: next(ports) for name in proxied},
            "clock_skew": dict(options.clock_skew).get(id),
            "disk": dict(options.small_disk).get(id),
        }
        for id in range(1, options.nodes + 1)
    ]
    return {"cluster_id": new_id(), "nodes": nodes, "libs": libs()} | asked(options)


def asked(options: argparse.Namespace) -> dict:
    return {
        "secure": options.secure,
        "acl": options.acl,
        "proxied": options.proxied,
        "properties": dict(options.property),
        "heap": options.heap,
        "quick": options.quick,
    }


def free_ports(count: int) -> list[int]:
    """Held together until all are found, so that none is given twice. Clusters made at the same time begin apart from each
    other: each where its process number says."""
    begin = os.getpid() * PORTS_APART % len(PORTS)
    held = []
    try:
        for port in [*PORTS[begin:], *PORTS[:begin]]:
            one = socket.socket()
            held.append(one)
            try:
                one.bind(("127.0.0.1", port))
            except OSError:
                held.pop().close()
            if len(held) == count:
                return [one.getsockname()[1] for one in held]
    finally:
        for one in held:
            one.close()
    raise ClusterError(f"{count} ports between {PORTS.start} and {PORTS.stop} are not free")


def new_id() -> str:
    """As Kafka writes its UUIDs; it takes one that begins with a dash for an option."""
    while (text := base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")).startswith("-"):
        pass
    return text


def libs() -> str:
    if known := os.environ.get("MILLRACE_KAFKA_LIBS"):
        return known
    return subprocess.run([HERE / "fetch.sh"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


# Commands


def up(folder: Path, options: argparse.Namespace) -> None:
    """A cluster that is there already is started again with its ports and data."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "cluster.json"
    if file.exists():
        had = json.loads(file.read_text())
        if len(had["nodes"]) != options.nodes or any(had[name] != value for name, value in asked(options).items()):
            raise ClusterError(f"{folder} holds a cluster made with other options; `cluster.sh start {folder}` starts it as it is")
    else:
        file.write_text(json.dumps(new_settings(options), indent=2))
    cluster = Cluster.load(folder)
    if options.while_pid:
        nothing = subprocess.DEVNULL
        guard = [HERE / "guard.sh", folder, str(options.while_pid)]
        subprocess.Popen(guard, stdin=nothing, stdout=nothing, stderr=nothing, start_new_session=True)
    if cluster.settings["secure"]:
        subprocess.run([HERE / "certificates.sh", folder / "certs"], check=True)
    for node, settings in zip(cluster.nodes, cluster.settings["nodes"]):
        disk = node.data.parent
        disk.mkdir(parents=True, exist_ok=True)
        if settings["disk"]:
            small_disk.mount(disk, settings["disk"])
    formatting = [(node, node.format()) for node in cluster.nodes if not node.is_formatted()]
    for node, process in formatting:
        node.formatted(process)
    cluster.start(cluster.nodes)
    cluster.write_env()


def start(folder: Path, options: argparse.Namespace) -> None:
    cluster = Cluster.load(folder)
    cluster.start(chosen(cluster, options))


def stop(folder: Path, options: argparse.Namespace) -> None:
    cluster = Cluster.load(folder)
    cluster.stop(chosen(cluster, options))


def chosen(cluster: Cluster, options: argparse.Namespace) -> list[Node]:
    return [cluster.node(options.node)] if options.node else cluster.nodes


def kill(folder: Path, options: argparse.Namespace) -> None:
    cluster = Cluster.load(folder)
    cluster.kill([cluster.node(options.node)])


def pause(folder: Path, options: argparse.Namespace) -> None:
    Cluster.load(folder).node(options.node).signal(signal.SIGSTOP)


def resume(folder: Path, options: argparse.Namespace) -> None:
    Cluster.load(folder).node(options.node).signal(signal.SIGCONT)


def network(folder: Path, options: argparse.Namespace) -> None:
    cluster = Cluster.load(folder)
    if not cluster.settings["proxied"]:
        raise ClusterError(f"`{options.command}` needs a cluster made with `up --proxied`")
    proxy.order(folder, options.command, cluster.node(options.node).id)


def grow(folder: Path, options: argparse.Namespace) -> None:
    small_disk.grow(Cluster.load(folder).node(options.node).data.parent, options.size)


def down(folder: Path, options: argparse.Namespace) -> None:
    """Nothing that `up` started is left; what it wrote stays, but for small disks."""
    if not (folder / "cluster.json").exists():
        return
    cluster = Cluster.load(folder)
    (cluster.kill if options.now else cluster.stop)(cluster.nodes)
    proxy.stop(folder)
    for node in cluster.nodes:
        small_disk.unmount(node.data.parent)


def logs(folder: Path, options: argparse.Namespace) -> None:
    del options
    for node in Cluster.load(folder).nodes:
        print(f"--- {node.log}", node.last_lines(), sep="\n")


def of_node(text: str) -> tuple[int, str]:
    node, separator, value = text.partition("=")
    if not separator or not node.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not NODE=VALUE")
    return int(node), value


def property_value(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="cluster.sh", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, run, text: str, node: str | None) -> argparse.ArgumentParser:
        one = commands.add_parser(name, help=text, description=text)
        one.add_argument("folder", metavar="DIR", type=Path)
        if node:
            one.add_argument("node", metavar="NODE", type=int, nargs=node if node == "?" else None)
        one.set_defaults(run=run)
        return one

    making = command("up", up, "make a cluster and wait until it is there; DIR/env says how to reach it", None)
    making.add_argument("--nodes", type=int, default=1, choices=range(1, NODES_MAX + 1), help="default 1")
    making.add_argument("--secure", action="store_true", help="listeners with TLS and SASL, users alice and bob")
    making.add_argument("--acl", action="store_true", help="bob may do only what ACLs give him")
    making.add_argument("--proxied", action="store_true", help="for cut, blackhole and heal")
    making.add_argument("--property", action="append", default=[], type=property_value, metavar="NAME=VALUE")
    making.add_argument("--quick", action="store_true", help="less compiling in the brokers: they start sooner and are slower")
    making.add_argument("--heap", default="384m", help="of each node; default 384m")
    making.add_argument("--while", dest="while_pid", type=int, metavar="PID", help="take it down when this process is gone")
    making.add_argument("--clock-skew", action="append", default=[], type=of_node, metavar="NODE=+2h")
    making.add_argument("--small-disk", action="append", default=[], type=of_node, metavar="NODE=64m", help="needs root")
    command("start", start, "start what is down, on its ports and data", "?")
    command("stop", stop, "stop cleanly", "?")
    command("kill", kill, "end at once, as a crash does", "1")
    command("pause", pause, "a node that hangs: connections stay, nothing answers", "1")
    command("resume", resume, "end of a pause", "1")
    command("cut", network, "clients lose their connections to a node and get no new ones", "1")
    command("blackhole", network, "clients get connections to a node, nothing goes through", "1")
    command("heal", network, "end of a cut or blackhole", "1")
    command("grow", grow, "make a small disk larger", "1").add_argument("size", metavar="SIZE", help="as 256m")
    command("logs", logs, "the last lines that each node logged", None)
    ending = command("down", down, "stop everything that up started", None)
    ending.add_argument("--now", action="store_true", help="without waiting for a clean stop")
    return parser


def main() -> int:
    options = arguments().parse_args()
    try:
        options.run(options.folder.resolve(), options)
    except ClusterError as error:
        print(error, file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as error:
        return error.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main())
