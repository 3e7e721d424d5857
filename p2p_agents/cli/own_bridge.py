"""A bridge of our own beside the node: started in the background, found again, stopped; with a tunnel if wanted.

All its files are in the node's home, under `bridge`: the bridge's data, its log, and `host.json`, which records what
was started. The bridge holds a lock while it runs, so a process id is never trusted alone.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

from p2p_agents import errors, limits
from p2p_agents.files import write_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from p2p_agents.paths import Home

POLL_S = 0.05
READY_BYTES = 64 * 1024  # the first line of a bridge is under a kilobyte
TUNNELS = ("cloudflared", "tailscale")  # in this order, whichever is installed
TUNNEL_PORT = 443
INVITED = 16  # nodes admitted by one token meant for several
LINK_MINUTES = limits.PAIRING_CODE_MS // 60_000 + 1  # validity of a link's token for one node: the code's life
ELSEWHERE = "192.0.2.1"  # an address for documentation (RFC 5737), reached by the default route
CLOUDFLARED_NAME = re.compile(rb"https://([a-z0-9-]+(?:\.[a-z0-9-]+)*\.trycloudflare\.com)")


class OwnBridge:
    """The bridge of a home."""

    def __init__(self, home: Home) -> None:
        self.data = os.path.join(home.path, "bridge")
        self._state = os.path.join(self.data, "host.json")

    def last(self) -> dict[str, Any] | None:
        """The bridge last started and not stopped, whether or not it still runs: address, pid, admission, token, the
        tunnel's name and pid, and the `public_host` that was given, if any."""
        try:
            with open(self._state, "rb") as file:
                known = json.loads(file.read(READY_BYTES))
        except (OSError, ValueError):
            return None
        return known if isinstance(known, dict) and isinstance(known.get("address"), str) else None

    def running(self) -> dict[str, Any] | None:
        """The same, if it runs: a bridge holds its lock, and a tunnel's program exists."""
        known = self.last()
        if known is None or not self._is_locked():
            return None
        return known if known["tunnel_pid"] is None or _is_program(known["tunnel_pid"], known["tunnel"]) else None

    def _is_locked(self) -> bool:
        try:
            with open(os.path.join(self.data, "bridge.lock"), "rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def start(self, port: int, public_host: str | None, tunnel: str | None, *, open_: bool) -> dict[str, Any]:
        """Start it detached from the terminal and wait until it serves. Without a name by which others reach this
        machine, its own address is used. It admits only those with a token, and `token` is this node's, unless it is
        `open_` to anybody. Raises BridgeFailed."""
        os.makedirs(self.data, mode=0o700, exist_ok=True)
        token = None if open_ else self.invitation("this machine", accounts=1)
        how = ["--admission", "open" if open_ else "token"]
        where = ["--port", str(port), "--public-host", public_host or address_here()]
        command = [sys.executable, "-P", "-m", "bridge", "run", "--json", "--data", self.data, *how, *where]
        ready = self._launch(command, "ready", _first_line)
        known: dict[str, Any] = {"address": ready["address"], "pid": ready["pid"], "tunnel": None, "tunnel_pid": None}
        known |= {"admission": ready["admission"], "token": token, "public_host": public_host}
        known |= {"port": port_of(ready["address"])}
        try:
            if tunnel is not None:
                known |= self._open_tunnel(tunnel, ready["address"])
        except errors.P2PError:
            _end(ready["pid"])
            raise
        self._keep(known)
        return known

    def invitation(self, label: str, *, accounts: int = INVITED, minutes: int = 0) -> str:
        """A token with which this bridge, running or not, admits so many nodes for so long; 0 means no limit. Raises
        BridgeFailed."""
        words = [sys.executable, "-P", "-m", "bridge", "token", "create", "--json", "--data", self.data]
        most = ["--accounts", str(accounts), "--minutes", str(minutes)]
        return str(json.loads(_run_tool([*words, "--label", label, *most]))["token"])

    def admitting(self, link: str, bridge: str) -> str:
        """A link over `bridge` that admits its holder, if that bridge is this one and requires tokens: the token lives
        as long as the code in the link, and admits one node. Raises BridgeFailed."""
        known = self.last()
        if known is None or is_open(known) or known["address"] != bridge:
            return link
        return f"{link}-{self.invitation('a link', accounts=1, minutes=LINK_MINUTES)}"

    def stop(self) -> dict[str, Any] | None:
        """Stop it, wait until it has ended, and forget it; returns what it was, or None if none was started."""
        known = self.last()
        if known is None:
            return None
        if known["tunnel_pid"] is not None and _is_program(known["tunnel_pid"], known["tunnel"]):
            _end(known["tunnel_pid"])
        if known["tunnel"] == "tailscale" and self._is_locked():
            _run_tool(["tailscale", "funnel", f"--https={TUNNEL_PORT}", "off"])
        if self._is_locked():
            _end(known["pid"])
        deadline = time.monotonic() + limits.NODE_STOP_S
        while self._is_locked():
            if time.monotonic() > deadline:
                said = os.path.join(self.data, "ready.log")
                raise errors.BridgeFailed("the bridge did not stop", hint=f"see {said}")
            time.sleep(POLL_S)
        os.unlink(self._state)
        return known

    def _open_tunnel(self, tool: str, address: str) -> dict[str, Any]:
        """The address of the tunnel's other end, and the process that keeps it open."""
        port, key = port_of(address), address.partition("#")[2]
        if tool == "cloudflared":
            url = f"https://127.0.0.1:{port}"
            words = ["cloudflared", "tunnel", "--no-autoupdate", "--no-tls-verify", "--url", url]
            found = self._launch(words, "tunnel", _cloudflared_name)
            name, pid = found["name"], found["pid"]
        else:
            _run_tool(["tailscale", "funnel", "--bg", f"--https={TUNNEL_PORT}", f"https+insecure://127.0.0.1:{port}"])
            told = json.loads(_run_tool(["tailscale", "status", "--json"]))
            name, pid = str(told["Self"]["DNSName"]).rstrip("."), None
        return {"address": f"bridge://{name}:{TUNNEL_PORT}#{key}", "tunnel": tool, "tunnel_pid": pid}

    def _launch(
        self, words: list[str], name: str, read: Callable[[bytes, int], dict[str, Any] | None]
    ) -> dict[str, Any]:
        """Run a program in a session of its own until its output has the awaited line. Raises BridgeFailed."""
        path = os.path.join(self.data, f"{name}.log")
        with open(path, "wb", opener=lambda at, flags: os.open(at, flags, 0o600)) as log:
            child = subprocess.Popen(  # noqa: S603 - no shell, and words of ours
                words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + limits.NODE_START_S
        while True:
            ended = child.poll() is not None
            with open(path, "rb") as log:
                said = log.read(READY_BYTES)
            found = read(said, child.pid)
            if found is not None and not ended:
                return found
            if ended or time.monotonic() > deadline:
                _end(child.pid)
                raise errors.BridgeFailed(f"{words[0]} did not start: {_last_words(said)}", hint=f"see {path}")
            time.sleep(POLL_S)

    def _keep(self, known: dict[str, Any]) -> None:
        write_whole(self._state, json.dumps(known).encode())


def is_open(known: Mapping[str, Any]) -> bool:
    """Whether anybody who reaches the bridge may use it."""
    return known.get("admission") != "token"


def address_here() -> str:
    """Where the rest of this network reaches this machine; the loopback address if there is no network."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((ELSEWHERE, 9))  # sends nothing: it only asks which address would be used
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


def host_of(address: str) -> str:
    """The host in the address of a bridge."""
    return address.removeprefix("bridge://").partition("#")[0].rpartition(":")[0].strip("[]")


def port_of(address: str) -> int:
    """The port in the address of a bridge."""
    return int(address.partition("#")[0].rpartition(":")[2])


def tunnel_tool() -> str:
    """The tunnel program that is installed; nothing is downloaded. Raises TunnelMissing."""
    found = next((tool for tool in TUNNELS if shutil.which(tool)), None)
    if found is None:
        raise errors.TunnelMissing
    return found


def _first_line(said: bytes, pid: int) -> dict[str, Any] | None:
    for line in said.split(b"\n")[:-1]:
        try:
            told = json.loads(line)
        except ValueError:
            continue
        if isinstance(told, dict) and told.get("type") == "ready":
            return told
    return None


def _cloudflared_name(said: bytes, pid: int) -> dict[str, Any] | None:
    found = CLOUDFLARED_NAME.search(said)
    return {"name": found.group(1).decode(), "pid": pid} if found else None


def _last_words(said: bytes) -> str:
    """The last words of a program; a bridge writes them as JSON."""
    last = said.decode("utf-8", "replace").strip().rpartition("\n")[2]
    try:
        return str(json.loads(last)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return last[: limits.REASON_CHARS] or "it said nothing"


def _end(pid: int | None) -> None:
    if pid is None:
        return
    try:
        os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        return


def _is_program(pid: int, name: str) -> bool:
    """Whether a process exists and was started as this program: process ids are used again."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return name.encode() in file.read(READY_BYTES)
    except FileNotFoundError:
        if os.path.isdir("/proc/self"):
            return False
    try:  # a system without /proc: it must be enough that the process exists
        os.kill(pid, 0)
    except OSError:
        return False
    return True


def _run_tool(words: list[str]) -> bytes:
    try:
        return subprocess.run(  # noqa: S603 - no shell, and words of ours
            words, stdin=subprocess.DEVNULL, capture_output=True, check=True, timeout=limits.NODE_START_S
        ).stdout
    except (OSError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", b"") or b""
        raise errors.BridgeFailed(f"{words[0]} failed: {_last_words(said)}") from error
