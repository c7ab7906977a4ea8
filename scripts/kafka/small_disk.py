"""Disks of a few megabytes for brokers that shall run out of room: a tmpfs on the folder with a broker's data."""

import subprocess
import time
from pathlib import Path

from node import ClusterError

RELEASED_SECONDS_MAX = 10


def mount(folder: Path, size: str) -> None:
    if folder.is_mount():
        return
    run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)])


def grow(folder: Path, size: str) -> None:
    if not folder.is_mount():
        raise ClusterError(f"{folder} is no small disk; `up --small-disk NODE=64m` makes one")
    run(["mount", "-o", f"remount,size={size}", str(folder)])


def unmount(folder: Path) -> None:
    """A broker that was killed holds its files for another moment."""
    deadline = time.monotonic() + RELEASED_SECONDS_MAX
    while folder.is_mount():
        try:
            run(["umount", str(folder)])
        except ClusterError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def run(command: list[str]) -> None:
    ended = subprocess.run(command, stderr=subprocess.PIPE, text=True)
    if ended.returncode != 0:
        raise ClusterError(f"`{' '.join(command)}` needs root and the right to mount: {ended.stderr.strip()}")
