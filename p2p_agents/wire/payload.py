"""What a sealed session frame carries: acknowledgement, entries, read marks, echoes, cuts.

    payload = [ack or null, [item…], [read…], [echo…], [cut…]]
    ack     = [turn, n, H, [verdict…]]      cumulative; a verdict per item of the frames since the last ack
    item    = [0, signed entry, encoded body or null when purged] or [1, signed void]
    read    = [conversation, device, epoch, seq]      read through here by the reader `default`
    echo    = [0, nonce] asks, [1, nonce] answers
    cut     = signed: which of the items beside it are believed though their device was revoked (crypto/cuts.py)

A payload without items and without asking echoes elicits no acknowledgement (PROTOCOL B3).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from p2p_agents.errors import Malformed
from p2p_agents.limits import BATCH_ENTRIES, ECHOES_PER_FRAME, FRAME_BYTES, UNACKED_FRAMES
from p2p_agents.wire.cbor import array, array_of, blob, decode, encode, uint

ECHO_BYTES = 16
ECHOES = 2 * ECHOES_PER_FRAME  # asks and answers in one payload
READS = 64
CUTS = 16  # revoked devices whose entries one payload holds
CUT_BYTES = 16_384  # the most tips a cut names, and its signature
VERDICTS = UNACKED_FRAMES * BATCH_ENTRIES  # all items of all frames that may be unacknowledged


class Verdict(IntEnum):
    """What became of one item. Values above the known ones are refusals of a later version."""

    STORED = 0
    DUPLICATE = 1
    MALFORMED = 2
    BAD_SIGNATURE = 3
    WRONG_AUTHOR = 4  # not the peer's nor mine, or a device the author's identity does not name
    WRONG_CONVERSATION = 5
    GAP = 6  # the entry before it is not held: a SYNC follows
    EQUIVOCATION = 7
    LAMPORT = 8
    REVOKED = 9  # of a device that was revoked, and no cut here leads to it
    LATER = 10  # its sender has used its share up: it is to be offered again
    REFUSED = 11  # a refusal this version has no name for

    @classmethod
    def of(cls, value: int) -> Verdict:
        return cls(value) if value < cls.REFUSED else cls.REFUSED


@dataclass(frozen=True, slots=True)
class Ack:
    turn: int
    n: int
    digest: bytes  # H: the running hash over all frames received in the session, through (turn, n)
    verdicts: tuple[Verdict, ...]


@dataclass(frozen=True, slots=True)
class Item:
    signed: bytes
    body: bytes | None
    void: bool = False


@dataclass(frozen=True, slots=True)
class ReadMark:
    conversation: bytes
    device: bytes
    epoch: bytes
    seq: int


@dataclass(frozen=True, slots=True)
class Payload:
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
    ack = None if p.ack is None else [p.ack.turn, p.ack.n, p.ack.digest, [int(v) for v in p.ack.verdicts]]
    items = [[1, i.signed] if i.void else [0, i.signed, i.body] for i in p.items]
    reads = [[r.conversation, r.device, r.epoch, r.seq] for r in p.reads]
    echoes = [[0, nonce] for nonce in p.asks] + [[1, nonce] for nonce in p.answers]
    return encode([ack, items, reads, echoes, list(p.cuts)])


def decode_payload(data: bytes) -> Payload:
    """Raises Malformed."""
    ack, items, reads, echoes, cuts = array(decode(data, limit=FRAME_BYTES), 5, what="payload")
    asks, answers = _echoes(echoes)
    return Payload(
        None if ack is None else _ack(ack),
        tuple(_item(i) for i in array_of(items, BATCH_ENTRIES, "items")),
        tuple(_read(r) for r in array_of(reads, READS, "reads")),
        asks,
        answers,
        tuple(blob(c, at_most=CUT_BYTES, what="cut") for c in array_of(cuts, CUTS, "cuts")),
    )


def _ack(value: Any) -> Ack:
    turn, n, digest, verdicts = array(value, 4, what="ack")
    return Ack(
        uint(turn, what="turn"),
        uint(n, what="n"),
        blob(digest, size=32, what="H"),
        tuple(Verdict.of(uint(v, what="verdict")) for v in array_of(verdicts, VERDICTS, "verdicts")),
    )


def _item(value: Any) -> Item:
    fields = array(value, 2, 3, what="item")
    signed = blob(fields[1], at_most=FRAME_BYTES, what="entry")
    if fields[0] == 1 and len(fields) == 2:
        return Item(signed, None, void=True)
    if fields[0] == 0 and len(fields) == 3:
        body = None if fields[2] is None else blob(fields[2], at_most=FRAME_BYTES, what="body")
        return Item(signed, body)
    raise Malformed("an item must be [0, entry, body] or [1, void]")


def _read(value: Any) -> ReadMark:
    conversation, device, epoch, seq = array(value, 4, what="read")
    return ReadMark(
        blob(conversation, size=32, what="conversation"),
        blob(device, size=32, what="device"),
        blob(epoch, size=8, what="epoch"),
        uint(seq, what="seq"),
    )


def _echoes(value: Any) -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:
    found: tuple[list[bytes], list[bytes]] = ([], [])
    for echo in array_of(value, ECHOES, "echoes"):
        kind, nonce = array(echo, 2, what="echo")
        found[uint(kind, at_most=1, what="echo kind")].append(blob(nonce, size=ECHO_BYTES, what="echo"))
    return tuple(found[0]), tuple(found[1])
