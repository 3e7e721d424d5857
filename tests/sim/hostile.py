"""Peers that break the protocol on purpose, with a hostile peer's means: its own keys, and all bytes it ever saw."""

from __future__ import annotations

import dataclasses
from typing import Any

from p2p_agents.conversation.record import MESSAGE, Place, Record, write_message
from p2p_agents.core.turn import dispatch
from p2p_agents.crypto.ratchet import seal
from p2p_agents.crypto.session import Session
from p2p_agents.quic.certificate import NodeCertificate
from p2p_agents.quic.connection import Closed
from p2p_agents.store import entries
from p2p_agents.wire.frame import Data, Frame, Node, encode_frame
from p2p_agents.wire.framing import frame_bytes
from p2p_agents.wire.payload import Item, Payload, encode_payload
from tests.sim.pipes import End, Pipes
from tests.sim.wire import frames_in
from tests.sim.world import Agent


def inject(victim: Agent, peer: Agent, frame: Frame) -> None:
    """Put a frame on the newest link of the two, as if the peer had sent it."""
    link = victim.links(peer)[0]
    aimed = dataclasses.replace(frame, link=link.number)  # type: ignore[type-var]  # no NODE is injected
    connection = link.connection
    victim.node.run(lambda core: dispatch.received(core, connection, frame_bytes(encode_frame(aimed))))


class Forger:
    """Speaks for `author` in its session with `reader`, past all that an honest node would check."""

    def __init__(self, author: Agent, reader: Agent) -> None:
        self.author, self.reader = author, reader
        held = author.core.pair_sessions((author.device, reader.device))[0]
        self.session: Session = held.session

    def says(self, plaintext: bytes) -> None:
        now_ms = self.author.core.now_ms()
        self.session, frame = seal(self.session, plaintext, now_ms, self.author.core.entropy)
        inject(self.reader, self.author, Data(0, frame))

    def sends(self, *items: Item) -> None:
        self.says(encode_payload(Payload(items=items)))

    def place(self, **changes: Any) -> Place:
        conversation = self.author.conversation(self.reader)
        held = entries.newest(self.reader.core.db, conversation, self.author.device)
        assert held is not None
        lamport = held.lamport + 1
        honest = Place(conversation, self.author.core.db.epoch, held.last + 1, held.hash, lamport)
        return dataclasses.replace(honest, **changes)

    def writes(self, text: str | bytes, kind: str = MESSAGE, **changes: Any) -> Record:
        """An entry signed by the author's device, at any place one likes."""
        return write_message(
            self.author.hosted.speaker.key,
            self.author.id,
            self.place(**changes),
            content=text.encode() if isinstance(text, str) else text,
            salt=bytes(16),
            content_type="text/plain",
            reply_to=None,
            time_ms=1,
            kind=kind,
        )


class Relay:
    """A node in the middle: it claims to host everybody, and passes on what it hears in both directions."""

    def __init__(self, net: Pipes, number: int, victim: tuple[str, int]) -> None:
        certificate = NodeCertificate.from_seed(bytes([number]) * 32)
        self.key = certificate.public
        self.address = (f"192.0.2.{number}", 4433)
        self.host = net.host(self.address, certificate, self)
        self.victim = victim
        self.partner: dict[End, End] = {}
        self.waiting: dict[End, list[bytes]] = {}
        self.passed: list[Frame] = []

    def connected(self, end: End) -> None:
        if not end.dialed:
            other = self.host.dial(self.victim, pin=None)
            self.partner[end], self.partner[other] = other, end
            self.waiting[other] = []
            return
        for data in self.waiting.pop(end):
            end.send(data)

    def received(self, end: End, data: bytes) -> None:
        for frame in frames_in(data):
            self.passed.append(frame)
            if isinstance(frame, Node):
                frame = Node(self.key, frame.incarnation, frame.program, frame.challenge, frame.roster)
            other = self.partner[end]
            passed = frame_bytes(encode_frame(frame))
            if other in self.waiting:
                self.waiting[other].append(passed)
            else:
                other.send(passed)

    def closed(self, end: End, reason: object) -> None:
        self.partner[end].close(0, "relayed")


class Idler:
    """A node that completes handshakes, says who it is, and then nothing: no agent of it links with anybody."""

    def __init__(self, net: Pipes, number: int) -> None:
        certificate = NodeCertificate.from_seed(bytes([number]) * 32)
        self.key = certificate.public
        self.host = net.host((f"192.0.2.{number}", 4433), certificate, self)
        self.ends: dict[End, str] = {}

    def dial(self, victim: tuple[str, int]) -> End:
        return self.host.dial(victim, pin=None)

    def connected(self, end: End) -> None:
        end.send(frame_bytes(encode_frame(Node(self.key, 1, "1.0", bytes(32), ()))))

    def received(self, end: End, data: bytes) -> None:
        pass

    def closed(self, end: End, reason: Closed) -> None:
        self.ends[end] = reason.reason
