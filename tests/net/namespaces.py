"""Hosts as network namespaces: two joined by a veth, more by a bridge in a namespace of its own.

    def test_something(lab):
        with lab(2) as hosts:
            process = hosts.run(0, [sys.executable, "-c", "..."])

Needs root and `ip`: tests are skipped where that is missing, and fail instead where CI=true.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import subprocess
from collections.abc import Callable, Sequence
from typing import Any

import pytest

NETWORK = "10.77.0"
NETWORK6 = "fd77::"


class Lab:
    """Namespaces `hosts[0..n-1]`, each with `lo` and an `eth0` at `address(n)`, all on one link."""

    def __init__(self, count: int, *, connected: bool = True) -> None:
        self.tag = f"p2pa-{secrets.token_hex(3)}"
        self.hosts = [f"{self.tag}-{number}" for number in range(count)]
        self._switch = f"{self.tag}-switch"
        self._processes: list[subprocess.Popen[Any]] = []
        self._made: list[str] = []
        self._connected = connected

    def __enter__(self) -> Lab:
        try:
            self._build()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def address(self, host: int) -> str:
        return f"{NETWORK}.{host + 1}"

    def address6(self, host: int) -> str:
        return f"{NETWORK6}{host + 1}"

    def run(self, host: int, argv: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
        """Start a program on a host; it is killed when the lab closes."""
        process = subprocess.Popen(["ip", "netns", "exec", self.hosts[host], *argv], **options)
        self._processes.append(process)
        return process

    def attach(self, host: int) -> None:
        """Give the host its address on the link and bring `eth0` up."""
        name = self.hosts[host]
        ip("-n", name, "addr", "replace", f"{self.address(host)}/24", "dev", "eth0")
        ip("-n", name, "link", "set", "eth0", "up")
        ip("-n", name, "addr", "replace", f"{self.address6(host)}/64", "dev", "eth0", "nodad")

    def detach(self, host: int) -> None:
        """Bring `eth0` down, like pulling the cable and losing the lease."""
        ip("-n", self.hosts[host], "link", "set", "eth0", "down")
        ip("-n", self.hosts[host], "addr", "flush", "dev", "eth0")

    def close(self) -> None:
        for process in self._processes:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream is not None:
                    stream.close()
        for name in self._made:
            subprocess.run(["ip", "netns", "del", name], check=False)
        self._made.clear()

    def _build(self) -> None:
        for name in self.hosts:
            self._make(name)
        if len(self.hosts) == 2:
            first, second = self.hosts
            ip("-n", first, "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", second)
        else:
            self._make(self._switch)
            ip("-n", self._switch, "link", "add", "br0", "type", "bridge", "mcast_snooping", "0")
            ip("-n", self._switch, "link", "set", "br0", "up")
            for number, name in enumerate(self.hosts):
                port = f"port{number}"
                peer = ("peer", "name", "eth0", "netns", name)
                ip("-n", self._switch, "link", "add", port, "type", "veth", *peer)
                ip("-n", self._switch, "link", "set", port, "master", "br0", "up")
        for host in range(len(self.hosts) if self._connected else 0):
            self.attach(host)

    def _make(self, name: str) -> None:
        ip("netns", "add", name)
        self._made.append(name)
        ip("-n", name, "link", "set", "lo", "up")


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True, timeout=10)


def obstacle() -> str | None:
    """Why no namespace can be made here, or None."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        return "needs root and ip"
    try:
        with Lab(2):
            return None
    except subprocess.CalledProcessError as fault:
        return f"cannot make network namespaces: {fault.stderr.strip()}"


@pytest.fixture(scope="session")
def lab() -> Callable[..., Lab]:
    """A maker of labs: `with lab(2) as hosts:`; mark the test `netns`."""
    why_not = obstacle()
    if why_not is not None:
        if os.environ.get("CI") == "true":
            pytest.fail(why_not)
        pytest.skip(why_not)
    return Lab
