"""Two networks with no way between them but a bridge that both reach.

    alice's host --- 10.78.1.0/24 --- the bridge's host --- 10.78.2.0/24 --- bob's host

The bridge's host forwards nothing; 10.78.0.1 is its address on both sides.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from tests.net.namespaces import Lab, ip
from tests.system.harness import PATIENCE_S, ROOT, Process, World

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.system.harness import Agent

ADDRESS = "10.78.0.1"
MIDDLE = 2


class Islands(Lab):
    """Hosts 0 and 1, and the bridge's."""

    def __init__(self) -> None:
        super().__init__(3, connected=False)

    def cut(self, host: int) -> None:
        ip("-n", self.hosts[host], "link", "set", "eth0", "down")

    def mend(self, host: int) -> None:
        ip("-n", self.hosts[host], "link", "set", "eth0", "up")
        ip("-n", self.hosts[host], "route", "replace", "default", "via", f"10.78.{host + 1}.254")

    def block_udp(self, host: int) -> None:
        """As many offices do."""
        rules = "add table inet t; add chain inet t out { type filter hook output priority 0; };"
        rules += " add rule inet t out oifname eth0 meta l4proto udp drop"
        command = ["ip", "netns", "exec", self.hosts[host], "nft", rules]
        subprocess.run(command, check=True, capture_output=True, timeout=10)

    def _build(self) -> None:
        for name in self.hosts:
            self._make(name)
        middle = self.hosts[MIDDLE]
        ip("-n", middle, "addr", "add", f"{ADDRESS}/32", "dev", "lo")
        for host in (0, 1):
            name, near = self.hosts[host], f"side{host}"
            ip("-n", middle, "link", "add", near, "type", "veth", "peer", "name", "eth0", "netns", name)
            ip("-n", middle, "addr", "add", f"10.78.{host + 1}.254/24", "dev", near)
            ip("-n", middle, "link", "set", near, "up")
            ip("-n", name, "addr", "add", f"10.78.{host + 1}.1/24", "dev", "eth0")
            self.mend(host)


class BridgeProcess:
    """`p2p-bridge` on the middle host, or on `host`; its data outlives it."""

    def __init__(self, world: World, netns: str | None, data: Path, host: str = ADDRESS) -> None:
        self._world, self._netns, self.host, self.data = world, netns, host, data
        self.address = ""
        self._port = 0

    @property
    def port(self) -> int:
        """The same one every time."""
        return self._port

    def start(self, *options: str, program: Sequence[str] = ("-m", "bridge")) -> BridgeProcess:
        words = [*program, "run", "--json", "--data", str(self.data), "--port", str(self._port)]
        node = self._world.node("bridge-process", netns=self._netns)
        command = node.command(*words, "--host", self.host, *options)
        self.process = node.process = Process(command, node.environ | {"PYTHONPATH": str(ROOT)}, follow="stdout")
        ready = json.loads(self.process.until('"ready"'))
        self.address = ready["address"]
        self._port = int(self.address.rpartition("#")[0].rpartition(":")[2])
        return self

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.end()

    def stop(self) -> None:
        self.process.terminate()
        self.process.end()

    def command(self, *words: str) -> dict[str, Any]:
        """One of the operator's."""
        done = subprocess.run(
            [sys.executable, "-m", "bridge", *words, "--data", str(self.data), "--json"],
            env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
            capture_output=True,
            timeout=PATIENCE_S,
            check=True,
        )
        found: dict[str, Any] = json.loads(done.stdout)
        return found


def use(agent: Agent, bridge: BridgeProcess, *options: str, stdin: bytes | None = None) -> dict[str, Any]:
    """Have the agent's node use the bridge."""
    added = agent.node.cli("bridge", "add", bridge.address, *options, stdin=stdin)
    assert added.status == 0, added
    found: dict[str, Any] = added.json["bridge"]
    return found


def pair(alice: Agent, bob: Agent) -> None:
    """Over a code, which is met at the bridge."""
    shown = alice.node.cli("pair", "--no-wait").json
    met = bob.node.cli("pair", shown["code"], "--timeout", "30")
    assert met.status == 0, met
    assert alice.call("pair.wait", code=shown["id"], timeout=20)["contact"]["id"] == bob.id
