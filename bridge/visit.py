"""One connected client: passes bytes of its line as messages to its session, and what the session asks for to the
hub."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from bridge import bounds
from bridge.session import Carry, Close, End, Send, Unwatch
from p2p_agents.errors import Malformed, UnknownVersion
from p2p_agents.limits import FRAME_BYTES
from p2p_agents.wire.framing import PREFIX_BYTES, Framer, frame_bytes
from p2p_agents.wire.relay import decode_message, encode_message

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bridge.hub import Hub
    from bridge.session import Action, Session
    from bridge.store import Guest


class Line(Protocol):
    """A client's transport. `send` takes whole frames and never blocks; it closes if its client does not read."""

    def send(self, data: bytes) -> None: ...

    def close(self, end: End, reason: str) -> None:
        """After what was already sent."""
        ...

    def backlog(self) -> int:
        """Bytes sent that the client's side has not taken."""
        ...

    def vouch(self) -> None:
        """Its client is known: when places are few, it keeps its own."""
        ...


class Visit:
    """From the first byte to the last. `id` is unique in this process; `network` is where it comes from (origins.py),
    `guest` the client that logged in."""

    def __init__(self, number: int, hub: Hub, line: Line, session: Session, network: str) -> None:
        self.id = number
        self.session = session
        self.network = network
        self.guest: Guest | None = None
        self._hub = hub
        self._line = line
        self.partial = 0  # bytes of an unfinished frame
        self.unread = 0  # bytes of an unfinished message in its line
        self._framer = Framer(bounds.KNOCK_BYTES)

    def received(self, data: bytes) -> None:
        """The next bytes of the line."""
        session = self.session
        self._hub.counts.bytes_in += len(data)
        try:
            for frame in self._framer.feed(data):
                self._frame(frame)
        except Malformed as error:
            self.act(session.broken(error))
        except UnknownVersion:
            self.act(session.unknown_version())
        more = self._framer.pending - self.partial
        self.partial += more
        self._hold(more)

    def begun(self, size: int) -> None:
        """So many bytes wait in the line for the rest of their message."""
        more, self.unread = size - self.unread, size
        if not self.session.knocked and size > bounds.KNOCK_BYTES and not self.session.ended:
            self.close(End.PROTOCOL, f"before KNOCK, the bound is {bounds.KNOCK_BYTES} bytes")
        self._hold(more)

    def _hold(self, more: int) -> None:
        if not self._hub.holds(more) and not self.session.ended:
            self.close(End.FULL, "too much is begun here and not ended")

    def _frame(self, frame: bytes) -> None:
        if self.session.ended:
            return
        message = decode_message(frame)
        self._hub.counts.hear(message)
        self.act(self.session.heard(message, len(frame) + PREFIX_BYTES, self._hub.time()))
        if self.session.knocked:
            self._framer.limit = FRAME_BYTES

    def act(self, actions: Iterable[Action]) -> None:
        """Carry out the session's actions."""
        out: list[bytes] = []
        for action in actions:
            match action:
                case Send(message):
                    out.append(frame_bytes(encode_message(message)))
                    self._hub.counts.say(message)
                case Carry(request, worked):
                    self._hub.carry(self, request, worked=worked)
                case Unwatch(queue):
                    self._hub.unwatch(queue, self)
                case Close(end, reason):
                    self._say(out)
                    self.close(end, reason)
                case fetch:
                    self._hub.fetch(self, fetch)
        self._say(out)

    def close(self, end: End, reason: str) -> None:
        """End the connection; its line then calls `ended`."""
        self.session.ended = True
        self._hub.counts.end(end)
        self._line.close(end, reason)

    def vouch(self) -> None:
        """Its client is known."""
        self._line.vouch()

    def backlog(self) -> int:
        """Bytes that its client has not taken."""
        return self._line.backlog()

    def frame(self) -> bool:
        """Whether one more WebSocket frame may come."""
        return self.session.frame(self._hub.time())

    def ended(self) -> None:
        """Called last by the line."""
        self.session.left()
        self._hub.left(self)

    def _say(self, out: list[bytes]) -> None:
        if out:
            data = b"".join(out)
            out.clear()
            self._hub.counts.bytes_out += len(data)
            self._line.send(data)
