"""The messages between a client and a bridge: CBOR arrays [type, request number, fields…]. Version 1.

Over QUIC they travel framed on the one message stream; over a WebSocket, at WEBSOCKET_PATH, each binary message holds
whole frames, including their lengths.

    client   KNOCK     a nonce; first on every connection
    bridge   WELCOME   its key, proven over the nonce; a challenge; whom it admits, and its limits
    client   LOGIN     an account's key, proven over the challenge; a token if required
    client   CREATE    a queue: who may read it, proven over the challenge; the hash of what may write to it
    client   PUT       a blob for a queue, with its write token, or with work if the queue is public
    client   READ      deliver this queue from a cursor on, proven over the challenge, now and as more comes
    client   ACK       the client has stored them: the bridge deletes a queue's blobs up to a cursor
    client   DROP      the bridge deletes the queue
    client   MEET      take one of the two sides of a meeting place
    client   TELL      a message for the other side
    client   LEAVE     give up the place for both sides
    client   STAMP     work of a newcomer, if a bridge that is getting full asks for it
    bridge   DONE      a request was carried out; for PUT the blob's cursor
    bridge   FAIL      why a request was not carried out; when to try again
    bridge   DELIVER   blobs of a queue
    bridge   TOLD      a message from the other side of a meeting place
    bridge   NOTICE    news of the bridge: it restarts in so many ms

KNOCK, WELCOME, DELIVER, TOLD and NOTICE answer no request: their number is 0. A queue's name is the hash of its read
key, so only its maker can make it again elsewhere. Messages of unknown types are skipped.
"""

from __future__ import annotations

from typing import get_args

from p2p_agents.errors import Malformed
from p2p_agents.limits import FRAME_BYTES
from p2p_agents.wire.cbor import VERSION, decode, encode, uint
from p2p_agents.wire.relay_answers import Deliver, Done, Fail, Notice, Told, Welcome
from p2p_agents.wire.relay_requests import Ack, Create, Drop, Knock, Leave, Login, Meet, Put, Read, Stamp, Tell

ALPN = "p2pa-bridge/1"  # for QUIC
WEBSOCKET_PATH = "/bridge"
MESSAGE_ITEMS = 2_048  # values in one message: a DELIVER carries pairs

WELCOME_LABEL = "p2pa/1 bridge welcome"
LOGIN_LABEL = "p2pa/1 bridge login"
CREATE_LABEL = "p2pa/1 bridge create"
READ_LABEL = "p2pa/1 bridge read"

Request = Login | Create | Put | Read | Ack | Drop | Meet | Tell | Leave | Stamp
Message = Knock | Welcome | Request | Done | Fail | Deliver | Told | Notice

_KINDS: dict[int, type[Message]] = {kind.TYPE: kind for kind in get_args(Message)}


def encode_message(message: Message) -> bytes:
    """The message as CBOR, not yet framed."""
    return encode(message.pack())


def decode_message(data: bytes) -> Message | None:
    """The message, or None for an unknown type, whatever its content. Raises Malformed or UnknownVersion."""
    fields = decode(data, limit=FRAME_BYTES, items=MESSAGE_ITEMS)
    if not isinstance(fields, list) or not fields:
        raise Malformed("a message must be an array that begins with its type")
    kind = _KINDS.get(fields[0]) if type(fields[0]) is int else None
    if kind is not None:
        return kind.unpack(fields)
    uint(fields[0], what="message type")
    return None


# What the proofs sign, each under its own label and with the key that it names.


def welcome_claim(key: bytes, nonce: bytes, challenge: bytes) -> bytes:
    """Signed by the bridge's key under WELCOME_LABEL."""
    return encode([VERSION, key, nonce, challenge])


def login_claim(bridge: bytes, challenge: bytes, account: bytes) -> bytes:
    """Signed by the account's key: useless at another bridge, and at this one another time."""
    return encode([VERSION, bridge, challenge, account])


def create_claim(bridge: bytes, challenge: bytes, token_hash: bytes, public: bool) -> bytes:
    """Signed by the queue's read key."""
    return encode([VERSION, bridge, challenge, token_hash, public])


def read_claim(bridge: bytes, challenge: bytes, queue: bytes) -> bytes:
    """Signed by the queue's read key."""
    return encode([VERSION, bridge, challenge, queue])
