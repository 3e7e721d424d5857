"""HELLO: each side proves its device to the other, on this connection and for this link only (PROTOCOL C2).

The acceptor proves itself first, over the challenge that came with OPEN; the opener answers over the acceptor's.
Both name the key that TLS proved for the connection's server, so that a HELLO is useless to somebody in the middle, who
can only prove a TLS key of his own.
"""

from __future__ import annotations

from dataclasses import dataclass

from p2p_agents.crypto.bundle import Bundle, verify_bundle
from p2p_agents.crypto.fingerprint import id_text
from p2p_agents.crypto.identity import Identity, merge
from p2p_agents.crypto.signing import SigningKey, unverified_payload, verify
from p2p_agents.errors import BadIdentity, BadSignature, IdentityFork, IdentityRollback
from p2p_agents.wire.claims import (
    HELLO_LABEL,
    OPEN_LABEL,
    HelloClaims,
    Role,
    decode_hello,
    encode_hello,
    encode_open,
)
from p2p_agents.wire.extensions import SPOKEN, Extensions, agree
from p2p_agents.wire.frame import Hello, Open, Standing

FINGERPRINT_CHARS = 20  # of a device key in base32, 100 bits: people compare these


@dataclass(frozen=True, slots=True)
class Speaker:
    """One of our agents, as it introduces itself."""

    identity: Identity
    key: SigningKey  # of this installation's device
    bundle: bytes
    name: str
    kind: str
    extensions: Extensions = SPOKEN


@dataclass(frozen=True, slots=True)
class Channel:
    """The facts of a link that both sides know before a HELLO, which must repeat them."""

    server_key: bytes
    peer: bytes
    peer_device: bytes  # empty for the opener until the acceptor has sent it
    node: bytes  # our own node's TLS key
    incarnation: int
    peer_node: bytes = b""  # the TLS key that the peer's node proved, if it is the connection's server


@dataclass(frozen=True, slots=True)
class Proven:
    """A peer whose HELLO was valid."""

    identity: Identity
    claims: HelloClaims
    bundle: Bundle
    name: str
    kind: str


def ask(speaker: Speaker, channel: Channel, *, challenge: bytes, node_challenge: bytes, link: int) -> bytes:
    """The proof of an OPEN: our device, on this connection, over the peer node's challenge."""
    agent = speaker.identity.agent
    said = encode_open(channel.server_key, agent, speaker.key.public, channel.peer, challenge, node_challenge, link)
    return speaker.key.sign(said, OPEN_LABEL)


def check_asker(frame: Open, server_key: bytes, node_challenge: bytes) -> None:
    """Check that the device named by an OPEN made its proof for this connection. Raises Malformed or BadSignature."""
    said = encode_open(server_key, frame.frm, frame.device, frame.to, frame.challenge, node_challenge, frame.link)
    if verify(frame.device, frame.proof, OPEN_LABEL) != said:
        raise BadSignature("the OPEN proves something else")


def say(
    speaker: Speaker,
    role: Role,
    channel: Channel,
    *,
    link: int,
    challenge: bytes,
    own_challenge: bytes,
    known: Identity | None,
    held_by_peer: int,
    held_head: bytes,
    offer: bytes,
    standing: Standing,
) -> Hello:
    """Our HELLO, with the identity entries the peer lacks. `known` is what we hold of the peer's identity; the peer
    said that it holds `held_by_peer` entries of ours, the last of which has the hash `held_head`."""
    identity = speaker.identity
    claims = HelloClaims(
        role,
        channel.server_key,
        identity.agent,
        speaker.key.public,
        channel.peer,
        channel.peer_device,
        challenge,
        own_challenge,
        identity.n,
        identity.head,
        known.n + 1 if known else 0,
        known.head if known else b"",
        channel.node,
        channel.incarnation,
        offer,
        standing,
        speaker.name,
        speaker.kind,
        speaker.extensions,
    )
    start, entries = identity.owed(held_by_peer, held_head)
    return Hello(
        link,
        speaker.key.sign(encode_hello(claims), HELLO_LABEL),
        start,
        entries,
        speaker.bundle,
    )


def check(
    hello: Hello,
    role: Role,
    channel: Channel,
    speaker: Speaker,
    *,
    challenge: bytes,
    known: Identity | None,
) -> Proven:
    """The peer in `role` proved itself to us. Raises BadSignature, BadIdentity and its kin, BadSeal, UnknownVersion or
    Malformed."""
    claims = decode_hello(unverified_payload(hello.signed))
    verify(claims.device, hello.signed, HELLO_LABEL)
    _check_context(claims, role, channel, speaker, challenge)
    agree(claims.extensions)
    identity = _merged(hello, claims.device, known)
    if identity.agent != channel.peer:
        raise BadIdentity("the identity log is another agent's")
    if identity is not known and (identity.n, identity.head) != (claims.head_n, claims.head):
        raise BadIdentity("the identity log does not end where the HELLO says")
    if claims.device not in identity.devices:
        raise _another_key(claims.device, identity, "its identity log does not introduce it")
    bundle = verify_bundle(hello.bundle, claims.device)
    if bundle.agent != identity.agent:
        raise BadIdentity("the key bundle is another agent's")
    return Proven(identity, claims, bundle, claims.name, claims.kind)


def _merged(hello: Hello, device: bytes, known: Identity | None) -> Identity:
    """A contact whose key changed must show the log entry for it. One of several devices may not know yet an entry that
    another one added."""
    try:
        return merge(known, hello.start, hello.entries)
    except IdentityFork:
        raise
    except IdentityRollback:
        if known is None or device not in known.devices or len(known.devices) < 2 or not _begins(known, hello):
            raise
        return known
    except BadIdentity as fault:
        if known is None or device in known.devices:
            raise
        raise _another_key(device, known, fault.message) from fault


def _begins(known: Identity, hello: Hello) -> bool:
    """Whether the offered entries are the beginning of the known log."""
    end = hello.start + len(hello.entries)
    return 0 < end <= len(known.entries) and known.entries[hello.start : end] == tuple(hello.entries)


def _another_key(device: bytes, identity: Identity, why: str) -> BadIdentity:
    """A hard failure, which names the device that spoke and the known ones."""
    named = ", ".join(_fingerprint(each) for each in identity.devices) or "no device any more"
    spoke = "a revoked device" if device in identity.revoked else "another key"
    return BadIdentity(f"{spoke} spoke for this agent: {_fingerprint(device)}; the one known is {named}; {why}")


def _fingerprint(device: bytes) -> str:
    return id_text(device)[:FINGERPRINT_CHARS]


def _check_context(claims: HelloClaims, role: Role, channel: Channel, speaker: Speaker, challenge: bytes) -> None:
    said = (claims.role, claims.server_key, claims.agent, claims.peer, claims.peer_device, claims.challenge)
    meant = (
        role,
        channel.server_key,
        channel.peer,
        speaker.identity.agent,
        speaker.key.public,
        challenge,
    )
    if said != meant:
        raise BadSignature("the HELLO is for another link, connection or agent")
    if channel.peer_node and claims.node != channel.peer_node:
        raise BadSignature("the HELLO is of an agent that lives at another node")
    if channel.peer_device and claims.device != channel.peer_device:
        raise BadSignature("the HELLO is of another device than the one that opened the link")
