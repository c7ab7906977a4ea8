"""Disks of a few megabytes for brokers that shall run out of room: a tmpfs on the folder with a broker's data."""

import subprocess
from pathlib import Path

from node import ClusterError


def mount(folder: Path, size: str) -> None:
    if folder.is_mount():
        return
    run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)])


def grow(folder: Path, size: str) -> None:
    if not folder.is_mount():
        raise ClusterError(f"{folder} is no small disk; `up --small-disk NODE=64m` makes one")
    run(["mount", "-o", f"remount,size={size}", str(folder)])


def unmount(folder: Path) -> None:
    if folder.is_mount():
        run(["umount", str(folder)])


def run(command: list[str]) -> None:
    ended = subprocess.run(command, stderr=subprocess.PIPE, text=True)
    if ended.returncode != 0:
        raise ClusterError(f"`{' '.join(command)}` needs root and the right to mount: {ended.stderr.strip()}")
