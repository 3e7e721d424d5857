"""The blocking client of the control socket, light enough for a hot command.

It starts the node when none runs, replaces an older one, and reconnects: a send under its idempotency key, a
wait with the time it has left, a watch with its cursor.
"""

from __future__ import annotations

import os
import stat
import time

import p2p_agents
from p2p_agents import errors, limits
from p2p_agents.control.light import AF_UNIX, SOCK_STREAM, socket
from p2p_agents.control.peer import is_own_user
from p2p_agents.control.wire import STOPPING, decode_error, decode_line, encode_line
from p2p_agents.paths import Home

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from p2p_agents.control.methods import Method

PROTOCOL = 1  # equals methods.PROTOCOL, which a hot command does not import
RECONNECTS = 5  # one call survives this many lost nodes
CHUNK_BYTES = 64 * 1024
KNOCK_S = 0.01  # between two attempts to reach a node whose queue of clients is full


class NoNode(errors.NodeUnreachable):
    """Nobody listens, and none was to be started."""


class Client:
    """One connection to the node of a home, opened on first use. Not for several threads at once."""

    def __init__(self, home: Home | None = None, *, start: bool | None = None) -> None:
        self.home = home or Home()
        self._may_start = os.environ.get("P2P_AGENTS_NO_START") != "1" if start is None else start
        self._socket: socket | None = None
        self._unread = bytearray()
        self._number = 0
        self._goodbye = ""  # the node's last words before it hung up
        self._output: int | None = None  # the pipe into which a stream's events go

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def call(self, method: str, params: dict[str, Any] | None = None, timeout: float | None = None) -> dict[str, Any]:
        """The result of one method; `timeout` is seconds beyond what the method itself takes.

        After a lost node it is asked again where it may be; with what is left of the time it waits.
        """
        params = {name: value for name, value in (params or {}).items() if value is not None}
        patience = _Patience(method, params, limits.CALL_S if timeout is None else timeout)
        for _ in range(RECONNECTS + 1):
            number = self._request(method, params)
            try:
                result = self._answer(number, patience)["result"]
            except _Lost:
                known = described(method)
                if not known.may_repeat(params):
                    raise errors.NodeUnreachable("the node went away before it answered") from None
                if waits := known.waits(patience.given):  # the next node waits for what is left of them
                    self._check_goodbye()
                    params["timeout"] = max(waits - patience.passed(), 0.0)
            else:
                assert isinstance(result, dict)
                return result
        raise errors.NodeUnreachable("the connection to the node was lost again and again")

    def send(self, params: dict[str, Any]) -> dict[str, Any]:
        """The result of `send` under a key, made where none is given, which every error names (PROTOCOL B10)."""
        key = make_key() if params.get("id") is None else params["id"]
        try:
            return self.call("send", params | {"id": key})
        except errors.P2PError as error:
            error.details.setdefault("key", key)
            raise

    def stream(
        self, method: str, params: dict[str, Any] | None = None, *, output: int | None = None
    ) -> Iterator[dict[str, Any]]:
        """Events, the first of type `ready`; after a lost node the stream goes on from the last cursor.

        It ends with NodeUnreachable when the node was told to stop, and with BrokenPipeError when nobody reads the
        pipe `output`, a descriptor, any more: without waiting for an event to write there.
        """
        self._output = output if output is not None and _is_pipe(output) else None
        params = {name: value for name, value in (params or {}).items() if value is not None}
        lost = 0
        while lost <= RECONNECTS:
            number = self._request(method, params)
            try:
                while True:
                    answer = self._answer(number, None)
                    if "event" not in answer:
                        return
                    event = answer["event"]
                    if event.get("type") != "ready" or not lost:
                        yield event
                    cursor = event.get("message", event).get("cursor")
                    if cursor is not None:
                        params["after"] = cursor
            except _Lost:
                self._check_goodbye()
                lost += 1
            finally:
                self.close()
        raise errors.NodeUnreachable("the connection to the node was lost again and again")

    def close(self) -> None:
        """Hang up; the node cancels the calls of this connection that still wait."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        self._unread.clear()

    def wait_end(self) -> None:
        """After `node.stop`: return when the node has hung up, all of it written. Raises NodeUnreachable."""
        deadline = _Deadline(limits.NODE_STOP_S)
        try:
            while self._socket is not None:
                self._read_line(deadline)
        except _Lost:
            return

    def detach(self) -> int:
        """Give the greeted connection's descriptor away; its next bytes answer the next request."""
        assert self._socket is not None
        given, self._socket = self._socket, None
        return given.detach()

    def _request(self, method: str, params: dict[str, Any]) -> int:
        """Send one request, over a new connection when the old one is gone; its number."""
        self._number += 1
        number = self._number  # connecting may send a request of its own
        line = encode_line({"id": number, "method": method, "params": params, "client": p2p_agents.__version__})
        if len(line) > limits.CONTROL_LINE_BYTES:
            raise errors.TooLarge(f"the request has {len(line)} bytes; at most {limits.CONTROL_LINE_BYTES} fit")
        if self._socket is None:
            self.connect()
        assert self._socket is not None
        try:
            self._socket.settimeout(limits.CALL_S)
            self._socket.sendall(line)
        except TimeoutError:
            self.close()
            raise errors.NodeUnreachable("the node does not accept the request") from None
        except OSError:
            pass  # the node's last words are still to be read
        return number

    def _answer(self, number: int, deadline: _Deadline | None) -> dict[str, Any]:
        """The next line for that request. Raises its error; _Lost when the node goes first."""
        while True:
            line = self._read_line(deadline)
            if "goodbye" in line:
                self._goodbye = line["goodbye"]
                continue
            if line.get("id") not in (number, None):
                continue
            if line.get("ok") is False:
                raise decode_error(line.get("error"))
            return line

    def _check_goodbye(self) -> None:
        """A node that was told to stop stays stopped: a call that only waited does not start another."""
        if self._goodbye == STOPPING:
            raise stopped() from None

    def _read_line(self, deadline: _Deadline | None) -> dict[str, Any]:
        while (end := self._unread.find(b"\n")) < 0:
            if len(self._unread) > limits.CONTROL_ANSWER_BYTES:
                self.close()
                raise errors.Bug("the node's answer has no end")
            self._unread += self._receive(deadline)
        line = bytes(self._unread[:end])
        del self._unread[: end + 1]
        return decode_line(line)

    def _receive(self, deadline: _Deadline | None) -> bytes:
        assert self._socket is not None
        if deadline is None and self._output is not None:
            _await_either(self._socket.fileno(), self._output)
        try:
            self._socket.settimeout(None if deadline is None else max(deadline.left(), 0.001))
            chunk = self._socket.recv(CHUNK_BYTES)
        except TimeoutError:
            if deadline is not None and deadline.moves():
                return self._receive(deadline)
            self.close()
            raise errors.NodeUnreachable("the node does not answer in time") from None
        except OSError:
            chunk = b""
        if not chunk:
            self.close()
            raise _Lost
        return chunk

    # --- connecting, starting, replacing ------------------------------------------------------------------

    def connect(self) -> None:
        """Reach the node: start it when none runs, replace it when it is older. Raises EnvironmentFault."""
        deadline = _Deadline(limits.NODE_START_S)
        start = None
        try:
            while not self._reach(deadline):
                if not self._may_start:
                    raise NoNode(f"no node runs for {self.home.path}", hint="run: p2p-agents node run")
                if start is None:
                    from p2p_agents.control.start import NodeStart

                    self.home.create()
                    start = NodeStart(self.home, deadline.at)
                start.wait()
        finally:
            if start is not None:
                start.end()

    def _reach(self, deadline: _Deadline) -> bool:
        """Whether a node listens that we can talk to."""
        if not self._dial():
            return False
        try:
            if self._greet(deadline):
                return True
        except _Lost:  # it was just stopping
            pass
        if deadline.left() < 0:
            raise errors.NodeUnreachable("the node accepts connections and closes them at once")
        return False

    def _dial(self) -> bool:
        """Whether somebody listens. Raises UnsafeHome, before a byte is written, if it is another user."""
        if not self.home.is_socket_private():
            return False
        dialled = socket(AF_UNIX, SOCK_STREAM)
        try:
            dialled.settimeout(limits.CALL_S)
            _knock(dialled, self.home.socket)
        except (FileNotFoundError, ConnectionRefusedError):
            dialled.close()
            return False
        except OSError as error:
            dialled.close()
            raise errors.NodeUnreachable(f"{self.home.socket}: {error.strerror or error}") from error
        self._unread.clear()
        self._goodbye = ""
        self._socket = dialled
        if not is_own_user(dialled):
            self.close()
            raise errors.UnsafeHome(
                f"another user's program listens on {self.home.socket}",
                hint="choose another place with XDG_RUNTIME_DIR or P2P_AGENTS_HOME, and tell this machine's owner",
            )
        return True

    def _greet(self, deadline: _Deadline) -> bool:
        """Whether we can talk to the node that answers; if it was an older one, it has been stopped."""
        greeting = self._read_line(deadline)
        protocol = greeting.get("protocol")
        if type(protocol) is not int:
            self.close()
            raise errors.NodeUnreachable("what answers on the control socket is not a node")
        if protocol > PROTOCOL:
            self.close()
            raise errors.NodeTooNew(f"the node is {greeting.get('node')}, this command {p2p_agents.__version__}")
        if protocol == PROTOCOL and _release(greeting.get("node")) >= _release(p2p_agents.__version__):
            return True
        if self._may_start:
            self._replace(greeting)
            return False
        if protocol == PROTOCOL:
            return True
        self.close()
        raise errors.NodeTooOld(f"the node is {greeting.get('node')}, this command {p2p_agents.__version__}")

    def _replace(self, greeting: dict[str, Any]) -> None:
        """Stop an older node and wait until it hangs up, its log safe. Raises NodeTooOld if it does not stop."""
        number = self._request("node.stop", {"replace": True})
        try:
            self._answer(number, _Deadline(limits.NODE_STOP_S))
            self.wait_end()
        except _Lost:
            return
        except errors.P2PError as error:
            self.close()
            raise errors.NodeTooOld(f"the node {greeting.get('node')} does not stop") from error


def stopped() -> errors.NodeUnreachable:
    """The error of a call that only waited when the node was stopped."""
    return errors.NodeUnreachable("the node was stopped", hint="the next command starts it again")


def make_key() -> str:
    """A fresh idempotency key."""
    return os.urandom(16).hex()


def _knock(dialled: socket, path: str) -> None:
    """Connect; while more clients connect than the kernel queues, try again. Raises OSError."""
    deadline = time.monotonic() + limits.CALL_S
    while True:
        try:
            return dialled.connect(path)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise
            time.sleep(KNOCK_S)


class _Lost(Exception):
    """The connection ended before the answer."""


class _Deadline:
    """When to give an answer up."""

    __slots__ = ("at",)

    def __init__(self, seconds: float) -> None:
        self.at = time.monotonic() + seconds

    def left(self) -> float:
        return self.at - time.monotonic()

    def moves(self) -> bool:
        """Whether the time that is over was not all of it."""
        return False


class _Patience(_Deadline):
    """Of one call: what any call may take, and then, where the registry says so, what its method may.

    The registry is asked when that is over: to import it costs more than most commands.
    """

    __slots__ = ("_began", "_method", "_moved", "given")

    def __init__(self, method: str, given: dict[str, Any], seconds: float) -> None:
        super().__init__(seconds)
        self._method, self.given, self._moved = method, dict(given), False
        self._began = self.at - seconds

    def passed(self) -> float:
        return time.monotonic() - self._began

    def moves(self) -> bool:
        if self._moved:
            return False
        self._moved = True
        known = described(self._method)
        self.at += known.waits(self.given) + known.works_s
        return self.left() > 0


def described(method: str) -> Method:
    """The registry's facts about a method; of one it does not know, which the node will refuse, the plain ones."""
    from p2p_agents.control.methods import METHODS, Method

    return METHODS.get(method) or Method(method, "", (), dict)


def _is_pipe(descriptor: int) -> bool:
    """Whether its other end can go away: a pipe or a socket, not a file or a terminal."""
    try:
        mode = os.fstat(descriptor).st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


def _await_either(source: int, output: int) -> None:
    """Wait until the node sends something. Raises BrokenPipeError if nobody reads `output` any more."""
    import select

    watched = select.poll()
    watched.register(source, select.POLLIN)
    watched.register(output, 0)  # errors and hang-ups are always reported
    if output in dict(watched.poll()):
        raise BrokenPipeError


def _release(version: object) -> tuple[int, ...]:
    return tuple(int(part) for part in str(version).split(".")[:3] if part.isdigit())
