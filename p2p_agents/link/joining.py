"""The side that typed or scanned a code: it asks one responder after another, and guards its few tries.

A responder learns from one tag whether one guess at the words was right, so tags are counted, on disk and before they
leave, over all responders and media (PROTOCOL F1).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from p2p_agents.crypto.introduction import Meeting, context, introduction_hash, session_id
from p2p_agents.crypto.pake import Side
from p2p_agents.errors import BadIdentity, CodeDead, PeerFault
from p2p_agents.limits import PAIRING_CODE_MS, PAIRING_RUN_MS, PAIRING_WRONG
from p2p_agents.link.pairing import SALT_BYTES, Dead, Met, Over, Spend, Wrong, check_other, send
from p2p_agents.wire.pairing import (
    NONCE_BYTES,
    Answer,
    Ask,
    Confirm,
    Done,
    Offer,
    Purpose,
    Reason,
    Refuse,
    Reveal,
    decode_message,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from p2p_agents.crypto.entropy import Entropy
    from p2p_agents.crypto.introduction import Peer, Self
    from p2p_agents.link.pairing import Action, Secret
    from p2p_agents.wire.pairing import Message


@dataclass(slots=True)
class _Run:
    """The run under way; `awaits` is the only message that may come next."""

    number: int
    ends_ms: int
    nonce: bytes
    introduction: bytes
    awaits: type[Message]
    meeting: Meeting | None = None
    peer: Peer | None = None


class Joiner:
    """Asks with one code for one purpose; it ends with success, after three runs, or after ten minutes.

    `spent` is the last count of Spend for this place, 0 for a new place; `barred` are agents not to pair with.
    """

    _MOVES: ClassVar[dict[type[Message], Callable[[Joiner, _Run, Message, int], list[Action]]]]

    def __init__(
        self,
        secret: Secret,
        purpose: Purpose,
        me: Self,
        entropy: Entropy,
        now_ms: int,
        *,
        spent: int,
        barred: Collection[bytes] = (),
    ) -> None:
        if (me.identity is None) != (purpose is Purpose.LINK):
            raise BadIdentity("only agents pair; an installation without an agent is linked")
        self._secret, self._purpose, self._me, self._entropy = secret, purpose, me, entropy
        self._ends_ms = now_ms + PAIRING_CODE_MS
        self._spent, self._barred = spent, barred
        self._met_barred = b""
        self._run: _Run | None = None
        self._dead = False

    @property
    def dead(self) -> bool:
        return self._dead

    @property
    def met_barred(self) -> bytes:
        """The agent that it was told not to meet and that held the code; empty for none."""
        return self._met_barred

    def start(self, run: int, now_ms: int) -> list[Action]:
        """Ask a responder; a run that was under way is given up. Raises CodeDead when no try is left."""
        if self._dead or self._ends_ms <= now_ms:
            raise CodeDead("this code was tried before, and was used or has expired")
        if self._spent >= PAIRING_WRONG:
            raise CodeDead(f"this code was tried {PAIRING_WRONG} times")
        ended = self._end(self._run.number, Reason.BROKEN) if self._run else []
        nonce = self._entropy.draw(NONCE_BYTES)
        introduction = self._me.introduce(self._entropy.draw(SALT_BYTES))
        self._run = _Run(run, now_ms + PAIRING_RUN_MS, nonce, introduction, Offer)
        return [*ended, send(run, Ask(self._secret.place, self._purpose, nonce))]

    def received(self, run: int, data: bytes, now_ms: int) -> list[Action]:
        """Bytes of a responder."""
        before = self.tick(now_ms)
        known = self._run
        if known is None or known.number != run:
            return before
        try:
            message = decode_message(data)
        except PeerFault:
            return [*before, *self._end(run, Reason.BROKEN)]
        if isinstance(message, Refuse):
            return [*before, *self._over(known, message.reason)]
        if type(message) is not known.awaits:
            return [*before, *self._end(run, Reason.BROKEN)]
        return [*before, *self._MOVES[type(message)](self, known, message, now_ms)]

    def closed(self, run: int) -> list[Action]:
        """The responder is gone; spent tries stay spent."""
        if self._run is None or self._run.number != run:
            return []
        return self._over(self._run, Reason.BROKEN)

    def tick(self, now_ms: int) -> list[Action]:
        """End what has timed out."""
        if self._run and self._run.ends_ms <= now_ms:
            return self._end(self._run.number, Reason.TIMEOUT)
        if self._run is None and self._ends_ms <= now_ms:
            return self._die(Reason.TIMEOUT)
        return []

    def _on_offer(self, run: _Run, message: Message, now_ms: int) -> list[Action]:
        assert isinstance(message, Offer)
        ad, sid = introduction_hash(run.introduction), session_id(self._secret.place, message.nonce, run.nonce)
        exchange = self._secret.begin(Side.RESPONDER, ci=context(self._purpose), sid=sid, ad=ad, entropy=self._entropy)
        try:
            agreed = exchange.finish(message.share, message.ad)
        except PeerFault:
            return self._end(run.number, Reason.BROKEN)
        self._spent += 1
        run.meeting = Meeting(self._purpose, Side.RESPONDER, sid, ad, message.ad, agreed)
        run.awaits = Confirm
        spend = Spend(self._secret.place, self._spent)
        return [spend, send(run.number, Answer(exchange.share, ad, agreed.own_tag))]

    def _on_confirm(self, run: _Run, message: Message, now_ms: int) -> list[Action]:
        assert isinstance(message, Confirm)
        assert run.meeting is not None
        if not run.meeting.agreed.confirms(message.tag):
            return self._end(run.number, Reason.WRONG)
        try:
            run.peer = run.meeting.meet(Confirm.TYPE, message.box, now_ms)
            self._check(run.peer)
        except PeerFault:
            return [*self._end(run.number, Reason.IDENTITY), *self._die(Reason.IDENTITY)]
        run.awaits = Done
        host = run.peer.identity if self._purpose is Purpose.LINK else None
        return [send(run.number, Reveal(run.meeting.reveal(Reveal.TYPE, self._me, run.introduction, host)))]

    def _check(self, peer: Peer) -> None:
        check_other(peer, self._me)
        assert peer.identity is not None
        if self._secret.agent not in (None, peer.identity.agent):
            raise BadIdentity("the other side is another agent than the scanned code names")
        if peer.identity.agent in self._barred:
            self._met_barred = peer.identity.agent
            raise BadIdentity("the other side is an agent that must not be paired with")

    def _on_done(self, run: _Run, message: Message, now_ms: int) -> list[Action]:
        assert isinstance(message, Done)
        assert run.meeting is not None
        assert run.peer is not None
        try:
            gift = run.meeting.open(Done.TYPE, message.box)
        except PeerFault:
            return self._end(run.number, Reason.BROKEN)
        self._run, self._dead = None, True
        return [Met(run.number, run.peer, gift), Over(run.number, None), Dead(None)]

    def _end(self, number: int, reason: Reason) -> list[Action]:
        """Give a run up, and tell the other side."""
        assert self._run is not None
        return [send(number, Refuse(reason)), *self._over(self._run, reason)]

    def _over(self, run: _Run, reason: Reason) -> list[Action]:
        """The run is over; people are told of a wrong tag, and of the last try."""
        self._run = None
        actions: list[Action] = [Over(run.number, reason)]
        if reason is Reason.WRONG and run.meeting:
            actions.insert(0, Wrong(run.number, PAIRING_WRONG - self._spent))
        if run.peer is not None:  # the code was right, and a code works once
            return [*actions, *self._die(reason)]
        return [*actions, *self._die(Reason.WRONG)] if self._spent >= PAIRING_WRONG else actions

    def _die(self, reason: Reason) -> list[Action]:
        if self._dead:
            return []
        self._dead = True
        return [Dead(reason)]


Joiner._MOVES = {Offer: Joiner._on_offer, Confirm: Joiner._on_confirm, Done: Joiner._on_done}
