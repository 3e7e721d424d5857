"""The side that shows a code and answers whoever types it; the first right tag takes the code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from p2p_agents.crypto.introduction import Meeting, context, introduction_hash, session_id
from p2p_agents.crypto.pake import Side
from p2p_agents.errors import BadIdentity, PeerFault
from p2p_agents.limits import PAIRING_CODE_MS, PAIRING_RUN_MS, PAIRING_RUNS, PAIRING_WRONG
from p2p_agents.link.pairing import SALT_BYTES, Dead, Met, Over, Wrong, check_joiner, send
from p2p_agents.wire.pairing import (
    NONCE_BYTES,
    Answer,
    Ask,
    Confirm,
    Done,
    Offer,
    Reason,
    Refuse,
    Reveal,
    decode_message,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from p2p_agents.crypto.entropy import Entropy
    from p2p_agents.crypto.introduction import Self
    from p2p_agents.link.pairing import Action, Exchange, Secret
    from p2p_agents.wire.pairing import Message, Purpose


@dataclass(slots=True)
class _Run:
    """One joiner's run at the displayer; `awaits` is the only message that may come next, if any."""

    number: int
    ends_ms: int
    introduction: bytes
    ad: bytes
    sid: bytes
    exchange: Exchange
    awaits: type[Message] | None
    meeting: Meeting | None = None


class Displayer:
    """Shows one code for one purpose; it ends with success, with three wrong tags, or after ten minutes."""

    _MOVES: ClassVar[dict[type[Message], Callable[[Displayer, _Run, Message, int], list[Action]]]]

    def __init__(self, secret: Secret, purpose: Purpose, me: Self, entropy: Entropy, now_ms: int) -> None:
        if me.identity is None:
            raise BadIdentity("an installation without an agent cannot show a code")
        self._secret, self._purpose, self._me, self._entropy = secret, purpose, me, entropy
        self._ends_ms = now_ms + PAIRING_CODE_MS
        self._runs: dict[int, _Run] = {}
        self._wrong = 0
        self._taken = False  # a right tag came: the code is that run's
        self._dead = False

    @property
    def dead(self) -> bool:
        return self._dead

    @property
    def taken(self) -> bool:
        """A right tag came: the code is one joiner's."""
        return self._taken

    def end(self) -> list[Action]:
        """Take the code back; runs under way are refused."""
        return self._die(Reason.DEAD)

    def received(self, run: int, data: bytes, now_ms: int) -> list[Action]:
        """Bytes of a peer, `run` being the caller's number for the connection or mailbox they came by."""
        before = self.tick(now_ms)
        try:
            message = decode_message(data)
        except PeerFault:
            return [*before, *self._end(run, Reason.BROKEN)]
        if isinstance(message, Refuse):
            return [*before, *self.closed(run)]
        if isinstance(message, Ask):
            return [*before, *self._on_ask(run, message, now_ms)]
        known = self._runs.get(run)
        if known is None or type(message) is not known.awaits:
            return [*before, *self._end(run, Reason.DEAD if self._dead else Reason.BROKEN)]
        return [*before, *self._MOVES[type(message)](self, known, message, now_ms)]

    def closed(self, run: int) -> list[Action]:
        """The peer is gone. If it had taken the code, and was not met yet, the code is used up."""
        known = self._runs.get(run)
        if known is None or known.awaits is None:
            return []
        del self._runs[run]
        return [Over(run, Reason.BROKEN), *self._die_if_taken(Reason.BROKEN)]

    def tick(self, now_ms: int) -> list[Action]:
        """End what has timed out."""
        late = [run.number for run in self._runs.values() if run.awaits and run.ends_ms <= now_ms]
        actions = [action for run in late for action in self._end(run, Reason.TIMEOUT)]
        if self._ends_ms <= now_ms and not self._taken and not self._dead:
            actions += self._die(Reason.TIMEOUT)
        return actions

    def kept(self, run: int, gift: bytes = b"") -> list[Action]:
        """The peer of Met is committed: tell it so, with its gift (a device's identity entry, a room)."""
        met = self._runs.pop(run, None)
        if met is None or met.meeting is None:  # only a run that is met is kept, and only once
            return []
        self._dead = True
        return [send(run, Done(met.meeting.seal(Done.TYPE, gift))), Over(run, None), Dead(None)]

    def rejected(self, run: int) -> list[Action]:
        """The peer of Met cannot be saved: its device is bound to another agent, or its consent is for an older log."""
        return self._end(run, Reason.IDENTITY)

    def _on_ask(self, number: int, ask: Ask, now_ms: int) -> list[Action]:
        refusal = self._refusal(ask)
        if refusal or number in self._runs:
            return self._end(number, refusal or Reason.BROKEN)
        actions = self._make_room()
        nonce = self._entropy.draw(NONCE_BYTES)
        introduction = self._me.introduce(self._entropy.draw(SALT_BYTES))
        ad, sid = introduction_hash(introduction), session_id(ask.place, nonce, ask.nonce)
        exchange = self._secret.begin(Side.INITIATOR, ci=context(self._purpose), sid=sid, ad=ad, entropy=self._entropy)
        self._runs[number] = _Run(number, now_ms + PAIRING_RUN_MS, introduction, ad, sid, exchange, Answer)
        return [*actions, send(number, Offer(nonce, exchange.share, ad))]

    def _refusal(self, ask: Ask) -> Reason | None:
        if self._dead or ask.place != self._secret.place:
            return Reason.DEAD
        if ask.purpose is not self._purpose:
            return Reason.PURPOSE
        return Reason.TAKEN if self._taken else None

    def _make_room(self) -> list[Action]:
        """An honest joiner answers at once, so the run that has waited longest gives way."""
        if len(self._runs) < PAIRING_RUNS:
            return []
        return self._end(next(iter(self._runs)), Reason.TIMEOUT)

    def _on_answer(self, run: _Run, message: Message, now_ms: int) -> list[Action]:
        assert isinstance(message, Answer)
        try:
            agreed = run.exchange.finish(message.share, message.ad)
        except PeerFault:
            return self._end(run.number, Reason.BROKEN)  # no guess was made: nothing is counted
        if not agreed.confirms(message.tag):
            return self._count(run)
        self._taken = True
        run.meeting = Meeting(self._purpose, Side.INITIATOR, run.sid, run.ad, message.ad, agreed)
        run.awaits, run.ends_ms = Reveal, now_ms + PAIRING_RUN_MS
        box = run.meeting.reveal(Confirm.TYPE, self._me, run.introduction)
        others = [number for number in self._runs if number != run.number]
        ended = [action for number in others for action in self._end(number, Reason.TAKEN)]
        return [send(run.number, Confirm(agreed.own_tag, box)), *ended]

    def _count(self, run: _Run) -> list[Action]:
        self._wrong += 1
        left = PAIRING_WRONG - self._wrong
        actions = [Wrong(run.number, left), *self._end(run.number, Reason.WRONG)]
        return actions if left else [*actions, *self._die(Reason.WRONG)]

    def _on_reveal(self, run: _Run, message: Message, now_ms: int) -> list[Action]:
        assert isinstance(message, Reveal)
        assert run.meeting is not None
        try:
            peer = run.meeting.meet(Reveal.TYPE, message.box, now_ms)
            check_joiner(peer, self._purpose, self._me)
        except PeerFault:
            return self._end(run.number, Reason.IDENTITY)
        run.awaits = None
        return [Met(run.number, peer, b"")]

    def _end(self, number: int, reason: Reason) -> list[Action]:
        """Refuse a run; a code that was taken dies with the run that took it."""
        run = self._runs.pop(number, None)
        ended: list[Action] = [send(number, Refuse(reason)), Over(number, reason)]
        return [*ended, *self._die_if_taken(reason)] if run and run.meeting else ended

    def _die_if_taken(self, reason: Reason) -> list[Action]:
        return self._die(reason) if self._taken and not any(r.meeting for r in self._runs.values()) else []

    def _die(self, reason: Reason) -> list[Action]:
        if self._dead:
            return []
        self._dead = True
        ended = [action for run in list(self._runs) for action in self._end(run, Reason.DEAD)]
        return [*ended, Dead(reason)]


Displayer._MOVES = {Answer: Displayer._on_answer, Reveal: Displayer._on_reveal}
