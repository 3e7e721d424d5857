"""The content of a sealed session frame: acknowledgement, entries, read marks, echoes, cuts.

A payload without items and without asking echoes needs no acknowledgement (PROTOCOL B3).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated, Any, ClassVar

from p2p_agents.errors import Malformed
from p2p_agents.limits import BATCH_ENTRIES, ECHOES_PER_FRAME, FRAME_BYTES, UNACKED_FRAMES
from p2p_agents.wire.cbor import array, array_of, blob, decode, encode, uint
from p2p_agents.wire.kinds import Bytes, Bytes32, Custom, ListOf, Maybe, Nested, Uint53
from p2p_agents.wire.layout import Layout

ECHO_BYTES = 16
ECHOES = 2 * ECHOES_PER_FRAME  # asks and answers in one payload
READS = 64
CUTS = 16  # revoked devices whose entries are in one payload
CUT_BYTES = 16_384  # the maximum of tips in a cut, and its signature
VERDICTS = UNACKED_FRAMES * BATCH_ENTRIES  # all items of all frames that may be unacknowledged


class Verdict(IntEnum):
    """The result for one item. Values above the known ones are refusals of a later version."""

    STORED = 0
    DUPLICATE = 1
    MALFORMED = 2
    BAD_SIGNATURE = 3
    WRONG_AUTHOR = 4  # not the peer's nor mine, or by a device that the author's identity does not name
    WRONG_CONVERSATION = 5
    GAP = 6  # the preceding entry is not held: a SYNC follows
    EQUIVOCATION = 7
    LAMPORT = 8
    REVOKED = 9  # of a revoked device, and not covered by a cut
    LATER = 10  # its sender has used up its share: to be offered again
    REFUSED = 11  # a refusal that this version does not know

    @classmethod
    def of(cls, value: int) -> Verdict:
        return cls(value) if value < cls.REFUSED else cls.REFUSED


VERDICT = Custom("uint53", lambda value: Verdict.of(uint(value, what="verdict")), int)


@dataclass(frozen=True, slots=True)
class Ack(Layout):
    """Cumulative: one verdict for each item of the frames since the last acknowledgement."""

    RULE: ClassVar[str] = "ack"
    turn: Uint53
    n: Uint53
    digest: Annotated[Bytes32, "H"]  # the running hash over all frames received in the session, up to (turn, n)
    verdicts: Annotated[tuple[Verdict, ...], ListOf(VERDICT, VERDICTS, label="verdict")]


_read_entry = Bytes(at_most=FRAME_BYTES).reader("entry")
_read_body = Bytes(at_most=FRAME_BYTES).reader("body")


@dataclass(frozen=True, slots=True)
class Item:
    """A void, or an entry with its encoded body, which is None if it was purged."""

    signed: bytes
    body: bytes | None
    void: bool = False

    def pack(self) -> list[object]:
        return [1, self.signed] if self.void else [0, self.signed, self.body]

    @classmethod
    def unpack(cls, value: Any) -> Item:
        kind = value[0] if type(value) is list and value else None
        if type(kind) is int and (kind, len(value)) == (0, 3):
            body = value[2]
            return cls(_read_entry(value[1]), None if body is None else _read_body(body))
        if type(kind) is int and (kind, len(value)) == (1, 2):
            return cls(_read_entry(value[1]), None, void=True)
        raise Malformed("an item must be [0, entry, body] or [1, void]")


@dataclass(frozen=True, slots=True)
class ReadMark(Layout):
    """The reader `default` has read up to here."""

    RULE: ClassVar[str] = "read"
    conversation: Bytes32
    device: Bytes32
    epoch: Annotated[bytes, Bytes(8)]
    seq: Uint53


Echoes = tuple[tuple[bytes, ...], tuple[bytes, ...]]  # that ask, and that answer


def _read_echoes(value: Any) -> Echoes:
    found: tuple[list[bytes], list[bytes]] = ([], [])
    for echo in array_of(value, ECHOES, "echoes"):
        kind, nonce = array(echo, 2, what="echo")
        found[uint(kind, at_most=1, what="echo kind")].append(blob(nonce, size=ECHO_BYTES, what="echo"))
    return tuple(found[0]), tuple(found[1])


def _write_echoes(echoes: Echoes) -> list[list[object]]:
    asks, answers = echoes
    return [[0, nonce] for nonce in asks] + [[1, nonce] for nonce in answers]


@dataclass(frozen=True, slots=True)
class PayloadParts(Layout):
    """A payload as sent."""

    RULE: ClassVar[str] = "plaintext"
    WHAT: ClassVar[str] = "payload"
    ack: Annotated[Ack | None, Maybe(Nested(Ack)), ""]
    items: Annotated[tuple[Item, ...], ListOf(Custom("item", Item.unpack, Item.pack), BATCH_ENTRIES)]
    reads: Annotated[tuple[ReadMark, ...], ListOf(ReadMark, READS)]
    echoes: Annotated[Echoes, Custom(f"[0*{ECHOES} echo]", _read_echoes, _write_echoes)]
    cuts: Annotated[tuple[bytes, ...], ListOf(Bytes(at_most=CUT_BYTES), CUTS, label="cut")]


@dataclass(frozen=True, slots=True)
class Payload:
    """`cuts` name items in this payload to accept although their device was revoked (crypto/cuts.py)."""

    ack: Ack | None = None
    items: tuple[Item, ...] = ()
    reads: tuple[ReadMark, ...] = ()
    asks: tuple[bytes, ...] = ()
    answers: tuple[bytes, ...] = ()
    cuts: tuple[bytes, ...] = ()

    @property
    def elicits(self) -> bool:
        return bool(self.items or self.asks)


def encode_payload(p: Payload) -> bytes:
    return encode(PayloadParts.packed(p.ack, p.items, p.reads, (p.asks, p.answers), p.cuts))


def decode_payload(data: bytes) -> Payload:
    """Raises Malformed."""
    ack, items, reads, echoes, cuts = PayloadParts.parts(decode(data, limit=FRAME_BYTES))
    asks, answers = echoes
    return Payload(ack, items, reads, asks, answers, cuts)
