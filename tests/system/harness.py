"""Nodes as processes, each in a home of its own, talked to as people and programs do: commands and the control socket.

    def test_something(world):
        alice, bob = world.agent("alice"), world.agent("bob")

A world has its own directories and, where the machine allows, its own network namespace, so that tests never meet.
Waiting is for events: a line of a stream, the end of a process, a waiting call.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from p2p_agents.control.client import Client
from p2p_agents.control.wire import decode_line, encode_line
from p2p_agents.errors import NodeUnreachable
from p2p_agents.paths import Home
from tests.shapes import check

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

Json = dict[str, Any]
ROOT = Path(__file__).parents[2]
PATIENCE_S = 20.0  # any step on a machine that runs other tests too; what is promised sooner is asserted apart
NODE = ("-m", "p2p_agents.node", "run", "--foreground")
VARIABLES = ("P2P_AGENT", "P2P_AGENTS_HOME", "P2P_AGENTS_NO_START", "P2P_AGENTS_HINTS", "XDG_STATE_HOME")


@dataclass(frozen=True, slots=True)
class Answer:
    """How a command ended."""

    status: int
    out: bytes
    err: str

    @property
    def json(self) -> Json:
        value = json.loads(self.out)
        assert isinstance(value, dict)
        return value

    @property
    def code(self) -> str:
        """The error's code; a command that failed says nothing else on stdout."""
        assert self.json["ok"] is False
        return str(self.json["error"]["code"])


class World:
    """The homes, hint directory and processes of one test. `netns` names a network namespace, None is this one."""

    def __init__(self, base: Path, netns: str | None = None) -> None:
        self.base = base
        self.netns = netns
        self.nodes: list[Node] = []

    def node(self, name: str, *, netns: str | None = None, hints: str = "hints", home: Path | None = None) -> Node:
        """A node that does not run yet. Nodes with the same `hints` directory find each other by it."""
        made = Node(home or self.base / name, self.base / hints, netns or self.netns)
        self.nodes.append(made)
        return made

    def agent(self, name: str, *flags: str, **where: Any) -> Agent:
        """A running node and one agent on it."""
        node = self.node(name, **where)
        node.start()
        return node.agent(name, *flags)

    def close(self) -> None:
        """Kill every process of the test, those that commands started in the background too."""
        for node in self.nodes:
            node.close()


class Node:
    """One home, and the process that may run for it."""

    def __init__(self, home: Path, hints: Path, netns: str | None) -> None:
        self.path = home
        self.netns = netns
        self.runtime = Path(f"{home}-run")
        self.runtime.mkdir(mode=0o700, exist_ok=True)
        hints.mkdir(exist_ok=True)
        self.environ = {key: value for key, value in os.environ.items() if key not in VARIABLES}
        self.environ |= {
            "P2P_AGENTS_HOME": str(home),
            "P2P_AGENTS_HINTS": str(hints),
            "XDG_RUNTIME_DIR": str(self.runtime),
            "PYTHONPATH": str(ROOT),
        }
        self.process: Process | None = None

    @property
    def home(self) -> Home:
        return Home(self.environ)

    # --- the process ---

    def start(self, program: Sequence[str] = NODE) -> Process:
        """Run the node and wait until it listens."""
        process = self.spawn(program)
        process.until("listening on")
        return process

    def spawn(self, program: Sequence[str] = NODE) -> Process:
        assert self.process is None or self.process.poll() is not None
        self.process = Process(self.command(*program), self.environ)
        return self.process

    def command(self, *words: str) -> list[str]:
        inside = ["ip", "netns", "exec", self.netns] if self.netns else []
        return [*inside, sys.executable, *words]

    def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(PATIENCE_S)

    def stop(self) -> int:
        """As a shutdown does; the exit status."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_S)

    def close(self) -> None:
        if self.process is not None:
            self.process.close()
        pid = self.background()
        if pid is not None:
            os.kill(pid, signal.SIGKILL)

    def background(self) -> int | None:
        """The process that holds the home's lock, if it lives and is of this home."""
        with contextlib.suppress(OSError, ValueError):
            pid = int(Path(self.home.lock).read_text())
            if os.fsencode(f"P2P_AGENTS_HOME={self.path}") in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                return pid
        return None

    # --- talking to it ---

    def cli(self, *words: str, stdin: bytes | None = None, **variables: str) -> Answer:
        """One command to its end; `variables` are added to its environment."""
        done = subprocess.run(
            self.command("-m", "p2p_agents", *words),
            env=self.environ | variables,
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            timeout=60,
            check=False,
        )
        return Answer(done.returncode, done.stdout, done.stderr.decode(errors="replace"))

    def spawn_cli(self, *words: str) -> Process:
        """A command left running; its stdout is followed."""
        return Process(self.command("-m", "p2p_agents", *words), self.environ, follow="stdout")

    def call(self, method: str, **params: Any) -> Json:
        """A control method. Raises its error; never starts a node."""
        with Client(self.home, start=False) as client:
            answer = client.call(method, params)
        check(method, answer)
        return answer

    def agent(self, name: str, *flags: str) -> Agent:
        """Create an agent by command."""
        made = self.cli("init", name, *flags)
        assert made.status == 0, made
        return Agent(self, name, made.json["agent"]["id"])

    @contextlib.contextmanager
    def stream(self, method: str, **params: Any) -> Iterator[Stream]:
        stream = Stream(self.home.socket, method, params)
        try:
            yield stream
        finally:
            stream.close()

    @property
    def port(self) -> int:
        return int(self.call("node.info")["port"])

    def rss_mb(self) -> float:
        assert self.process is not None
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


@dataclass(frozen=True, slots=True)
class Agent:
    """One agent, acted for over its node's control socket."""

    node: Node
    name: str
    id: str

    def call(self, method: str, **params: Any) -> Json:
        return self.node.call(method, agent=self.name, **params)

    def cli(self, *words: str, **options: Any) -> Answer:
        return self.node.cli("--as", self.name, *words, **options)

    def send(self, to: Agent, text: str, **params: Any) -> Json:
        return self.call("send", to=to.id, text=text, **params)

    def watch(self, method: str = "watch", **params: Any) -> contextlib.AbstractContextManager[Stream]:
        return self.node.stream(method, agent=self.name, **params)

    def texts(self, count: int, after: str = "0") -> list[str]:
        """The first `count` messages after a cursor, waiting for them."""
        texts: list[str] = []
        while len(texts) < count:
            page = self.call("wait", after=after, timeout=PATIENCE_S)
            texts += [message["text"] for message in page["messages"]]
            after = page["cursor"]
        return texts

    def everything(self) -> list[str]:
        """All messages that ever arrived, without waiting."""
        texts: list[str] = []
        page: Json = {"cursor": "0", "more": True}
        while page["more"]:
            page = self.call("inbox", after=page["cursor"], limit=1000)
            texts += [message["text"] for message in page["messages"]]
        return texts

    def until_peer(self, peer: Agent, within: float = PATIENCE_S, **wanted: Any) -> float:
        """Wait until the peer is listed with these values; the seconds that took."""
        began = time.monotonic()
        with self.watch("peers.watch") as stream:
            stream.until(lambda it: it.get("id") == peer.id and wanted.items() <= it.items(), within)
        return time.monotonic() - began

    def meets(self, peer: Agent) -> None:
        """Wait until the peer is there, then make contact, both ways."""
        self.until_peer(peer, reachable=True)
        with peer.watch("peers.watch") as stream:
            self.send(peer, "may I?")
            stream.until(lambda it: it.get("id") == self.id and it["trust"] == "requested")
        peer.call("requests.accept", peer=self.id)
        assert peer.texts(1) == ["may I?"]
        peer.send(self, "yes", wait="delivered")


class Process(subprocess.Popen[bytes]):
    """A program whose stderr (or stdout) is read line by line in the background."""

    def __init__(self, argv: Sequence[str], environ: dict[str, str], follow: str = "stderr") -> None:
        pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, follow: subprocess.PIPE}
        super().__init__(argv, env=environ, stdin=subprocess.DEVNULL, **pipes)
        self.lines: list[str] = []
        self._news = threading.Condition()
        self._ended = False
        self._reader = threading.Thread(target=self._read, args=(getattr(self, follow),), daemon=True)
        self._reader.start()

    def until(self, text: str, within: float = PATIENCE_S) -> str:
        """The first line that holds the text."""
        with self._news:
            held = self._news.wait_for(lambda: self._ended or self._find(text), within)
            found = self._find(text)
        assert held, f"no {text!r} within {within} s:\n" + "\n".join(self.lines)
        assert found, f"no {text!r} before the end:\n" + "\n".join(self.lines)
        return found

    def listens(self, within: float = PATIENCE_S) -> bool:
        """Wait until the node listens, or is gone."""
        with self._news:
            assert self._news.wait_for(lambda: self._ended or self._find("listening on"), within)
            return not self._ended

    def _find(self, text: str) -> str | None:
        return next((line for line in self.lines if text in line), None)

    def _read(self, pipe: Any) -> None:
        for line in pipe:
            with self._news:
                self.lines.append(line.decode(errors="replace").rstrip("\n"))
                self._news.notify_all()
        pipe.close()
        with self._news:
            self._ended = True
            self._news.notify_all()

    def end(self, within: float = PATIENCE_S) -> int:
        """Wait for its end and for its last line; the exit status."""
        status = self.wait(within)
        self._reader.join(within)
        return status

    def close(self) -> None:
        if self.poll() is None:
            self.kill()
        self.end()


class Stream:
    """Events of one streaming method, each awaited with a deadline."""

    def __init__(self, path: str, method: str, params: Json) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(PATIENCE_S)
        try:
            self._socket.connect(path)
            self._file = self._socket.makefile("rb")
            self._file.readline()  # the greeting
            self._socket.sendall(encode_line({"id": 1, "method": method, "params": params}))
        except OSError as error:  # no node, or one that was killed just now
            self._socket.close()
            raise NodeUnreachable(f"{path}: {error}") from error
        self._method = method
        self.ready = self.next()
        assert self.ready["type"] == "ready"

    def next(self, deadline: float | None = None) -> Json:
        left = PATIENCE_S if deadline is None else deadline - time.monotonic()
        self._socket.settimeout(max(left, 0.001))
        read = self._file.readline()
        if not read:
            raise NodeUnreachable("the node went")
        line = decode_line(read)
        assert "event" in line, line
        event = line["event"]
        assert isinstance(event, dict)
        check(self._method, event)
        return event

    def until(self, wanted: Callable[[Json], bool], within: float = PATIENCE_S) -> Json:
        """The next event that is wanted; TimeoutError when none comes."""
        deadline = time.monotonic() + within
        while True:
            event = self.next(deadline)
            if wanted(event):
                return event

    def close(self) -> None:
        self._file.close()
        self._socket.close()
