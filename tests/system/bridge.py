"""A bridge as a process, on a port that it keeps when it starts again."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.system.harness import PATIENCE_S, ROOT, Process

if TYPE_CHECKING:
    from pathlib import Path

    from tests.system.harness import Agent, Json


class Bridge:
    """`p2p-bridge run` on a host of a lab, with its data in a directory. `address` is known once it ran."""

    def __init__(self, data: Path, host: str, netns: str | None, *flags: str) -> None:
        self.data = data
        self.host = host
        self.address = ""
        self.flags = flags
        self._netns = netns
        self._port = "0"
        self._process: Process | None = None

    @property
    def port(self) -> int:
        return int(self._port)

    @property
    def log(self) -> list[str]:
        assert self._process is not None
        return self._process.lines

    def start(self) -> Bridge:
        options = ("--data", str(self.data), "--host", self.host, "--port", self._port, *self.flags)
        self._process = Process(self.command("run", *options), self._environ, follow="stdout")
        ready = json.loads(self._process.until('"ready"'))
        self.address = ready["address"]
        self._port = self.address.partition("#")[0].rpartition(":")[2]
        return self

    def command(self, *words: str) -> list[str]:
        inside = ["ip", "netns", "exec", self._netns] if self._netns else []
        return [*inside, sys.executable, "-m", "bridge", *words]

    def cli(self, *words: str) -> Json:
        """What one of its other commands answered."""
        argv = [sys.executable, "-m", "bridge", *words, "--data", str(self.data)]
        done = subprocess.run(argv, env=self._environ, capture_output=True, timeout=PATIENCE_S, check=True)
        answer = json.loads(done.stdout)
        assert isinstance(answer, dict)
        return answer

    def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(PATIENCE_S)

    def stop(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        assert self._process.end() == 0

    def rss_mb(self) -> float:
        assert self._process is not None
        with open(f"/proc/{self._process.pid}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20

    def copy(self, to: Path) -> None:
        """Its data as it is now; it must not run."""
        shutil.copytree(self.data, to)

    def put_back(self, copy: Path) -> None:
        """Go back to the copy; it must not run."""
        shutil.rmtree(self.data)
        shutil.copytree(copy, self.data)

    def close(self) -> None:
        if self._process is not None:
            self._process.close()

    @property
    def _environ(self) -> dict[str, str]:
        return os.environ | {"PYTHONPATH": str(ROOT)}


def joins(agent: Agent, bridge: Bridge) -> Json:
    """Have its node use the bridge; how it then stands."""
    added = agent.node.cli("bridge", "add", bridge.address)
    assert added.status == 0, added
    shown = added.json["bridge"]
    assert isinstance(shown, dict)
    return shown


def pair(alice: Agent, bob: Agent) -> None:
    """By a code that bob's human types."""
    shown = alice.node.cli("pair", "--no-wait").json
    met = bob.node.cli("pair", shown["code"], "--timeout", "30")
    assert met.status == 0, met
    assert met.json["contact"]["id"] == alice.id
    assert alice.call("pair.wait", code=shown["id"], timeout=PATIENCE_S)["contact"]["id"] == bob.id
