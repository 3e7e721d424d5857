"""One node's use of one bridge: queues it reads, blobs it leaves for others, places where it meets them.

Sans-IO: every call is an event at a time (seconds of a monotonic clock) and returns actions, to be carried out in
order. Memory here may be lost at any time: a blob counts as stored only once the bridge says so, and the bridge is told
to forget one only once the core has stored it (PROTOCOL B7).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from p2p_agents.errors import BridgeRefused, BridgeUnreachable, PeerFault
from p2p_agents.limits import BRIDGE_RESTART_S
from p2p_agents.link.approach import Approach, Dial, Failure, Hangup, Send
from p2p_agents.link.bridge_line import Line
from p2p_agents.link.bridge_news import DOWN, BridgeDown, BridgeUp, News, Refused, Work, in_words
from p2p_agents.link.bridge_queues import Places, Puts, Readings
from p2p_agents.link.bridge_toll import Toll
from p2p_agents.wire.framing import Framer
from p2p_agents.wire.relay import LOGIN_LABEL, decode_message, login_claim
from p2p_agents.wire.relay_answers import Deliver, Done, Fail, Notice, Refusal, Told, Welcome
from p2p_agents.wire.relay_requests import Login

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from p2p_agents.crypto.signing import SigningKey
    from p2p_agents.link.approach import Transport
    from p2p_agents.link.bridge_queues import Inbox
    from p2p_agents.wire.bridge_address import BridgeAddress
    from p2p_agents.wire.relay import Message
    from p2p_agents.wire.relay_requests import Side

Action = Dial | Send | Hangup | News


@dataclass(slots=True)
class Health:
    """How the bridge is doing. Times are of the caller's clock."""

    failures: int = 0  # attempts and connections, since it was last reached
    failure: Failure | None = None  # the last one
    reached_at: float | None = None  # when it was last heard
    round_trip_s: float | None = None
    observed: str = ""  # where it last saw our UDP socket
    admission: str = ""  # why it does not admit us
    refusal: str = ""  # the last code of a refusal, and when
    refused_at: float = 0.0


class Bridging:
    """`member`: we log in even if there is nothing to read. `draw` gives secret bytes, `jitter` draws from [0, 1)."""

    def __init__(
        self,
        address: BridgeAddress,
        account: SigningKey,
        token: str,
        *,
        member: bool,
        draw: Callable[[int], bytes],
        jitter: Callable[[], float],
    ) -> None:
        self.address = address
        self.health = Health()
        self._account, self._token, self._member = account, token, member
        self._jitter = jitter
        self._approach = Approach(address.key, draw, jitter)
        self._framers: dict[Transport, Framer] = {}
        self._line: Line | None = None
        self._actions: list[Action] = []
        self._toll = Toll(self._actions.append, account.public)
        self._readings = Readings(self._actions.append, self._toll)
        self._puts = Puts(self._actions.append)
        self._places = Places(self._actions.append, self._toll)
        self._down = ""  # the code told last

    @property
    def line(self) -> Line | None:
        """The connection to the bridge, while there is one."""
        return self._line

    @property
    def reading(self) -> int:
        """Queues of ours that are read now."""
        return self._readings.open

    def reads(self, queue: bytes) -> bool:
        """Whether that queue of ours exists and is being read."""
        return self._readings.reads(queue)

    @property
    def waiting(self) -> int:
        """Blobs the bridge has not answered for."""
        return len(self._puts)

    @property
    def idle(self) -> bool:
        """Whether nothing here needs the bridge."""
        return not (self._needs_login() or len(self._puts) or len(self._places))

    def next_try(self) -> float | None:
        """When the next attempt starts; None while the bridge is reached, or an attempt is under way."""
        return None if self._line or self._approach.trying else self._approach.due

    def deadline(self) -> float | None:
        """When `tick` is due."""
        times = [self._approach.deadline(), self._line.deadline() if self._line else None]
        return min((at for at in times if at is not None), default=None)

    # --- what the core wants ---

    def want(self, inboxes: Iterable[Inbox], now: float) -> list[Action]:
        """Read exactly these queues of ours: missing ones are created, others dropped."""
        needed = self._needs_login()
        self._readings.want(inboxes)
        if self._line and self._needs_login() and not needed:
            self._login()
        return self._take(now)

    def read_again(self, now: float) -> list[Action]:
        """Have everything delivered again that was not acknowledged."""
        self._readings.again()
        return self._take(now)

    def put(
        self, ticket: int, queue: bytes, token: bytes, blob: bytes, now: float, *, public: bool = False
    ) -> list[Action]:
        """Leave a blob for a queue's reader; Work is asked for where it is `public`, and no token is needed. Stored or
        Refused follows: at once if the bridge cannot be reached."""
        if self._line is None and not self._approach.trying:
            if now < self._approach.due:
                return [Refused(ticket, DOWN, self._wait_ms(now))]
            self._actions += self._approach.tick(now)
        self._puts.put(ticket, queue, token, blob, public)
        return self._take(now)

    def worked(self, work: Work, stamp: bytes, now: float) -> list[Action]:
        """The stamp that Work asked for."""
        if work.ticket is None:
            self._toll.worked(work, stamp)
        else:
            self._puts.worked(work, stamp)
        return self._take(now)

    def ack(self, queue: bytes, cursor: int, now: float) -> list[Action]:
        """Blobs of a queue of ours up to the cursor are stored here: the bridge may forget them."""
        self._readings.ack(queue, cursor)
        return self._take(now)

    def meet(self, place: str, side: Side, token: bytes, now: float) -> list[Action]:
        """Take a side of a meeting place, again after every reconnection, until `leave` or until it is gone."""
        self._places.meet(place, side, token)
        return self._take(now)

    def tell(self, place: str, message: bytes, now: float) -> list[Action]:
        """A message for the other side; lost if the bridge is down."""
        self._places.tell(place, message)
        return self._take(now)

    def leave(self, place: str, now: float) -> list[Action]:
        """Give the place up, for both sides."""
        self._places.leave(place)
        return self._take(now)

    def admit(self, token: str, now: float, *, member: bool) -> list[Action]:
        """Ask to be admitted with this token, on this connection and every later one."""
        self._token, self._member = token, member
        self.health.admission = ""
        if self._line is None:
            self.health.failure = None
            self._approach.resumed(now)
        elif self._needs_login():
            self._line.admitted = None
            self._login()
        return self.tick(now)

    def leave_off(self, why: str, now: float) -> list[Action]:
        """Hang up and reconnect: blobs that were not acknowledged are delivered again."""
        if self._line:
            self._hang_up(why, now)
        return self._take(now)

    def resumed(self, now: float) -> list[Action]:
        """The machine slept, or its networks changed: worth a try now."""
        self._approach.resumed(now)
        return self.tick(now)

    # --- what happens ---

    def tick(self, now: float) -> list[Action]:
        """The time given by `deadline` has come."""
        self._actions += self._approach.tick(now)
        if self._line is None:
            self._look(now)
        elif why := self._line.overdue(now):
            self._hang_up(why, now)
        else:
            self._line.due(now)
        return self._take(now)

    def opened(self, way: Transport, now: float) -> list[Action]:
        """A dialled connection is open."""
        self._framers[way] = Framer()
        self._actions += self._approach.opened(way)
        return self._take(now)

    def closed(self, way: Transport, failure: Failure, now: float) -> list[Action]:
        """A connection ended, or a dial failed."""
        self._end(way, failure, now)
        return self._take(now)

    def received(self, way: Transport, data: bytes, now: float) -> list[Action]:
        """The next bytes of a connection's stream."""
        try:
            for frame in self._framers[way].feed(data) if way in self._framers else []:
                message = decode_message(frame)
                if message is not None and way in self._framers:  # an earlier message may have ended it
                    self._on_message(way, message, now)
        except PeerFault as fault:
            self._actions.append(Hangup(way))
            self._end(way, Failure(BridgeUnreachable.code, f"it speaks another protocol: {fault.code}"), now)
        return self._take(now)

    def _on_message(self, way: Transport, message: Message, now: float) -> None:
        if self._line is None or self._line.way is not way:
            self._knocked(way, message, now)
            return
        self.health.reached_at = now
        match message:
            case Done() | Fail():
                self._answered(self._line, message, now)
            case Deliver():
                self._readings.came(message)
            case Told():
                self._places.told(message)
            case Notice(Refusal.RESTARTING, after_ms):
                self._line.restart_at = now + min(after_ms / 1000, BRIDGE_RESTART_S) + self._jitter()

    def _answered(self, line: Line, answer: Done | Fail, now: float) -> None:
        if isinstance(answer, Fail):
            self.health.refusal, self.health.refused_at = answer.code, now
        line.answer(answer, now)
        self.health.round_trip_s = line.round_trip_s

    # --- the door ---

    def _knocked(self, way: Transport, message: Message, now: float) -> None:
        """Before its WELCOME a bridge may say only that it admits nobody."""
        if isinstance(message, Welcome):
            self._actions += self._approach.welcomed(way, message, now)
            if self._approach.through is way:
                self._enter(way, message, now)
            else:
                del self._framers[way]
                self._look(now)
        elif isinstance(message, Fail):
            self.health.refusal, self.health.refused_at = message.code, now
            self._actions.append(Hangup(way))
            self._end(way, Failure(BridgeRefused.code, in_words(message.code)), now)

    def _enter(self, way: Transport, welcome: Welcome, now: float) -> None:
        """The bridge proved itself on this connection."""
        self._framers = {way: self._framers[way]}
        self._readings.down()
        self._places.down()
        self._line = Line(way, self.address.key, welcome, now)
        self._toll.up(self._line)
        health = self.health
        health.failures, health.failure, health.reached_at = 0, None, now
        health.observed = welcome.observed if way == "quic" else health.observed
        if self._needs_login():
            self._login()
        else:
            self._welcome_core()
        self._puts.up(self._line)

    def _needs_login(self) -> bool:
        """Writing needs no account."""
        return self._member or len(self._readings) > 0

    def _login(self) -> None:
        assert self._line is not None
        line, account = self._line, self._account
        proof = account.sign(login_claim(line.bridge, line.challenge, account.public), LOGIN_LABEL)

        def answered(answer: Done | Fail, now: float) -> None:
            line.admitted = isinstance(answer, Done)
            self.health.admission = answer.code if isinstance(answer, Fail) else ""
            if isinstance(answer, Fail):
                line.again(answer, now, self._login)
            self._readings.up(line)
            self._welcome_core()

        line.ask(lambda number: Login(number, account.public, proof, self._token), answered)

    def _welcome_core(self) -> None:
        assert self._line is not None
        line, self._down = self._line, ""
        observed = self.health.observed if line.way == "quic" else ""
        self._actions.append(BridgeUp(observed, line.admitted is True))
        self._places.up(line)

    def _hang_up(self, why: str, now: float) -> None:
        assert self._line is not None
        self._actions.append(Hangup(self._line.way))
        self._lose(Failure(BridgeUnreachable.code, why), now)

    def _end(self, way: Transport, failure: Failure, now: float) -> None:
        self._framers.pop(way, None)
        if self._line is not None and self._line.way is way:
            self._lose(failure, now)
        else:
            self._actions += self._approach.closed(way, failure, now)
            self._look(now)

    def _lose(self, failure: Failure, now: float) -> None:
        """The connection is gone, and with it all unanswered requests."""
        assert self._line is not None
        line, self._line = self._line, None
        self._framers.clear()
        self._toll.down()
        self._readings.down()
        self._places.down()
        self._actions += self._approach.lost(now, line.since, failure, line.restart_at)
        self._look(now)

    def _look(self, now: float) -> None:
        """If an attempt just failed, nobody has to wait for it any more."""
        failure = self._approach.failure
        if self._line or self._approach.trying or failure is None or failure is self.health.failure:
            return
        self.health.failures += 1
        self.health.failure = failure
        if failure.code != self._down:
            self._down = failure.code
            self._actions.append(BridgeDown(failure.code))
        self._puts.down(DOWN, self._wait_ms(now))

    def _wait_ms(self, now: float) -> int:
        return max(1, int((self._approach.due - now) * 1000))

    def _take(self, now: float) -> list[Action]:
        """Collect the actions, requests last."""
        if self._line is not None and (frames := self._line.outgoing(now)):
            self._actions.append(Send(self._line.way, frames))
        actions = list(self._actions)
        self._actions.clear()
        return actions
