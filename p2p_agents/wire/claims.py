"""The signed statements of a link: OPEN, HELLO, SYNC, RESET and REQUEST, each a CBOR array under its own label.

    open    = [1, server key, agent, device, peer agent, challenge, peer node's challenge, link]
    hello   = [1, role, server key, agent, device, peer agent, peer device, peer's challenge, own challenge,
               head n, head hash, peer entries held, peer hash held, node key, incarnation, offer, standing]
    sync    = [1, agent, device, peer agent, peer device, nonce, challenge, stamp, gen, [session…], [conversation…],
               [route…], dead sid, [heal id…], reply]                   what was given up and may be inherited
    session = [sid, sent, received, H received, [heal id…]]
    conversation = [id, [[device, [[epoch, seq, hash]…]]…], [[device, epoch, seq]…]]     held tips, read through
    reset   = [1, agent, device, peer agent, peer device, nonce, offer, dead sid, [heal id…]]
    request = [1, agent, device, peer agent, entry hash, text, time ms]

`server key` is the key TLS proved on this connection and `peer's challenge` was drawn by the peer for this link: a
hello is worth nothing on another connection (PROTOCOL C2).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from p2p_agents.errors import Malformed
from p2p_agents.limits import IDENTITY_ENTRIES, SYNC_TIPS, TEXT_PREVIEW_BYTES
from p2p_agents.wire.cbor import array, array_of, blob, date, decode, encode, flag, text, uint, version
from p2p_agents.wire.frame import Standing
from p2p_agents.wire.payload import ReadMark
from p2p_agents.wire.route import Route, unpack_routes

OPEN_LABEL = "p2pa/1 open"
HELLO_LABEL = "p2pa/1 hello"
SYNC_LABEL = "p2pa/1 sync"
RESET_LABEL = "p2pa/1 reset"
REQUEST_LABEL = "p2pa/1 request"

OFFER_BYTES = 1216  # an X-Wing public key
CONVERSATIONS = 64  # in one SYNC
SYNC_DEVICES = 64  # authors in one conversation of a SYNC
SYNC_SESSIONS = 4
HEALS = 4


class Role(IntEnum):
    """Who asked for the link, and who answers."""

    OPENER = 0
    ACCEPTOR = 1


def encode_open(
    server_key: bytes, agent: bytes, device: bytes, peer: bytes, challenge: bytes, peer_challenge: bytes, link: int
) -> bytes:
    """What an OPEN's proof signs; the acceptor knows all of it, so it is compared and never decoded."""
    return encode([1, server_key, agent, device, peer, challenge, peer_challenge, link])


@dataclass(frozen=True, slots=True)
class HelloClaims:
    role: Role
    server_key: bytes
    agent: bytes
    device: bytes
    peer: bytes
    peer_device: bytes
    challenge: bytes  # drawn by the peer
    own_challenge: bytes  # empty for the opener, whose challenge went in OPEN
    head_n: int
    head: bytes
    held_n: int  # entries of the peer's identity log held, as a count
    held: bytes  # and the hash of the last of them, empty when none
    node: bytes  # the TLS key of the speaker's node
    incarnation: int
    offer: bytes  # a fresh single-use KEM key
    standing: Standing


def encode_hello(c: HelloClaims) -> bytes:
    agents = [c.agent, c.device, c.peer, c.peer_device]
    identities = [c.head_n, c.head, c.held_n, c.held]
    link = [c.node, c.incarnation, c.offer, int(c.standing)]
    return encode([1, int(c.role), c.server_key, *agents, c.challenge, c.own_challenge, *identities, *link])


def decode_hello(data: bytes) -> HelloClaims:
    """Raises Malformed or UnknownVersion."""
    f = _claims(data, 17, "hello")
    role = Role(uint(f[1], at_most=1, what="role"))
    return HelloClaims(
        role,
        blob(f[2], size=32, what="server key"),
        *_parties(f[3:7]),
        challenge=blob(f[7], size=32, what="challenge"),
        own_challenge=blob(f[8], size=32 if role is Role.ACCEPTOR else 0, what="own challenge"),
        head_n=uint(f[9], at_most=IDENTITY_ENTRIES, what="head n"),
        head=blob(f[10], size=32, what="head"),
        held_n=uint(f[11], at_most=IDENTITY_ENTRIES, what="held n"),
        held=blob(f[12], at_most=32, what="held"),
        node=blob(f[13], size=32, what="node"),
        incarnation=uint(f[14], what="incarnation"),
        offer=blob(f[15], size=OFFER_BYTES, what="offer"),
        standing=Standing(uint(f[16], at_most=2, what="standing")),
    )


@dataclass(frozen=True, slots=True)
class SessionView:
    """One side's count of a session: frames sealed, frames opened, the running hash over the opened."""

    sid: bytes
    sent: int
    received: int
    received_hash: bytes
    heals: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Tip:
    """The last entry held of one epoch of a device's chain; everything before it is held too."""

    epoch: bytes
    seq: int
    entry: bytes


@dataclass(frozen=True, slots=True)
class Holding:
    """What is held of one conversation."""

    conversation: bytes
    tips: dict[bytes, tuple[Tip, ...]]  # by author device
    reads: tuple[ReadMark, ...]


@dataclass(frozen=True, slots=True)
class SyncClaims:
    agent: bytes
    device: bytes
    peer: bytes
    peer_device: bytes
    nonce: bytes  # the peer's challenge of this link; over a bridge that of the SYNC this answers, else empty
    stamp: int  # rises with every sync of this device
    gen: int  # the highest init generation accepted from the peer's device
    sessions: tuple[SessionView, ...]
    holdings: tuple[Holding, ...]
    reply: bool  # the sender wants the peer's view too
    challenge: bytes = b""  # over a bridge: an answer that names it was written after this
    routes: tuple[Route, ...] = ()  # where the peer may leave what it cannot deliver
    dead: bytes = b""  # the session given up last whose secrets are still held, empty when there is none
    dead_heals: tuple[int, ...] = ()


def encode_sync(c: SyncClaims) -> bytes:
    sessions = [[s.sid, s.sent, s.received, s.received_hash, list(s.heals)] for s in c.sessions]
    agents = [c.agent, c.device, c.peer, c.peer_device]
    holdings = [_pack_holding(h) for h in c.holdings]
    routes = [route.pack() for route in c.routes]
    dead = [c.dead, list(c.dead_heals)]
    return encode([1, *agents, c.nonce, c.challenge, c.stamp, c.gen, sessions, holdings, routes, *dead, c.reply])


def decode_sync(data: bytes) -> SyncClaims:
    """Raises Malformed or UnknownVersion."""
    f = _claims(data, 15, "sync")
    return SyncClaims(
        *_parties(f[1:5]),
        nonce=blob(f[5], at_most=32, what="nonce"),
        challenge=blob(f[6], at_most=32, what="challenge"),
        stamp=uint(f[7], what="stamp"),
        gen=uint(f[8], what="gen"),
        sessions=tuple(_session(s) for s in array_of(f[9], SYNC_SESSIONS, "sessions")),
        holdings=tuple(_holding(h) for h in array_of(f[10], CONVERSATIONS, "conversations")),
        routes=unpack_routes(f[11]),
        dead=blob(f[12], at_most=32, what="dead sid"),
        dead_heals=_heals(f[13]),
        reply=flag(f[14], what="reply"),
    )


@dataclass(frozen=True, slots=True)
class ResetClaims:
    agent: bytes
    device: bytes
    peer: bytes
    peer_device: bytes
    nonce: bytes
    offer: bytes
    dead: bytes  # the sid given up, empty when there is none
    heals: tuple[int, ...]


def encode_reset(c: ResetClaims) -> bytes:
    return encode([1, c.agent, c.device, c.peer, c.peer_device, c.nonce, c.offer, c.dead, list(c.heals)])


def decode_reset(data: bytes) -> ResetClaims:
    """Raises Malformed or UnknownVersion."""
    f = _claims(data, 9, "reset")
    return ResetClaims(
        *_parties(f[1:5]),
        nonce=blob(f[5], at_most=32, what="nonce"),
        offer=blob(f[6], size=OFFER_BYTES, what="offer"),
        dead=blob(f[7], at_most=32, what="dead sid"),
        heals=_heals(f[8]),
    )


@dataclass(frozen=True, slots=True)
class RequestClaims:
    agent: bytes
    device: bytes
    peer: bytes
    entry: bytes  # the first entry that waits to be delivered
    text: str  # a preview of it, at most TEXT_PREVIEW_BYTES
    time_ms: int


def encode_request(c: RequestClaims) -> bytes:
    return encode([1, c.agent, c.device, c.peer, c.entry, c.text, c.time_ms])


def decode_request(data: bytes) -> RequestClaims:
    """Raises Malformed or UnknownVersion."""
    f = _claims(data, 7, "request")
    preview = text(f[5], at_most=TEXT_PREVIEW_BYTES, what="text")
    if len(preview.encode()) > TEXT_PREVIEW_BYTES:
        raise Malformed(f"the request's text has more than {TEXT_PREVIEW_BYTES} bytes")
    return RequestClaims(
        blob(f[1], size=32, what="agent"),
        blob(f[2], size=32, what="device"),
        blob(f[3], size=32, what="peer"),
        blob(f[4], size=32, what="entry"),
        preview,
        date(f[6], what="time"),
    )


def _claims(data: bytes, length: int, what: str) -> list[Any]:
    fields = decode(data)
    if isinstance(fields, list) and fields:
        version(fields[0])
    return array(fields, length, what=what)


def _parties(f: list[Any]) -> tuple[bytes, bytes, bytes, bytes]:
    agent, device, peer, peer_device = (blob(v, size=32, what="party") for v in f)
    return agent, device, peer, peer_device


def _heals(value: Any) -> tuple[int, ...]:
    return tuple(uint(t, what="heal id") for t in array_of(value, HEALS, "heal ids"))


def _session(value: Any) -> SessionView:
    sid, sent, received, digest, heals = array(value, 5, what="session")
    return SessionView(
        blob(sid, size=32, what="sid"),
        uint(sent, what="sent"),
        uint(received, what="received"),
        blob(digest, size=32, what="H"),
        _heals(heals),
    )


def _pack_holding(h: Holding) -> list[object]:
    tips = [[device, [[t.epoch, t.seq, t.entry] for t in tips]] for device, tips in sorted(h.tips.items())]
    return [h.conversation, tips, [[r.device, r.epoch, r.seq] for r in h.reads]]


def _holding(value: Any) -> Holding:
    conversation, chains, reads = array(value, 3, what="conversation")
    conversation = blob(conversation, size=32, what="conversation")
    tips: dict[bytes, tuple[Tip, ...]] = {}
    for chain in array_of(chains, SYNC_DEVICES, "devices"):
        device, found = array(chain, 2, what="chain")
        tips[blob(device, size=32, what="device")] = tuple(_tip(t) for t in array_of(found, SYNC_TIPS, "tips"))
    return Holding(conversation, tips, tuple(_read(conversation, r) for r in array_of(reads, SYNC_DEVICES, "reads")))


def _tip(value: Any) -> Tip:
    epoch, seq, entry = array(value, 3, what="tip")
    return Tip(blob(epoch, size=8, what="epoch"), uint(seq, what="seq"), blob(entry, size=32, what="entry"))


def _read(conversation: bytes, value: Any) -> ReadMark:
    device, epoch, seq = array(value, 3, what="read")
    return ReadMark(
        conversation,
        blob(device, size=32, what="device"),
        blob(epoch, size=8, what="epoch"),
        uint(seq, what="seq"),
    )
