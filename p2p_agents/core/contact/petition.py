"""What we send to a peer that has not accepted us: one request; and what happens to messages that it refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from p2p_agents.backoff import Backoff
from p2p_agents.conversation.record import is_intact
from p2p_agents.core.delivery import failures
from p2p_agents.core.identity import talks
from p2p_agents.crypto.digest import H
from p2p_agents.crypto.kem import seal
from p2p_agents.limits import (
    REQUEST_AGAIN_MAX_S,
    REQUEST_AGAIN_S,
    REQUEST_AGAIN_STEADY,
    TEXT_PREVIEW_BYTES,
)
from p2p_agents.store import entries, outbox
from p2p_agents.wire.claims import REQUEST_LABEL, RequestClaims, encode_request
from p2p_agents.wire.frame import Request, Standing

if TYPE_CHECKING:
    from p2p_agents.conversation.record import Record
    from p2p_agents.core.kernel.core import Core
    from p2p_agents.core.kernel.state import Link

AGAIN = Backoff(REQUEST_AGAIN_S, REQUEST_AGAIN_MAX_S)


def ask(core: Core, link: Link) -> None:
    """We have something for a peer that has not accepted us: send a request, or give up."""
    if link.peer_standing is Standing.CLOSED and link.allowance.granted:  # its HELLO may be meant for any stranger
        failures.give_up(core, link.agent, link.peer)
    if link.peer_standing is not Standing.ASK or core.now() < link.request_due or link.bundle is None:
        return
    hosted = core.host(link.agent)
    entry = outbox.first_owed(core.db, link.agent, talks.with_peer(hosted, link.peer).id, link.peer)
    if entry is None:
        return
    record = entries.load(core.db, entry)
    claims = RequestClaims(
        hosted.local.agent,
        hosted.local.device,
        link.peer,
        record.hash,
        preview(core, record),
        record.time_ms,
    )
    signed = hosted.speaker.key.sign(encode_request(claims), REQUEST_LABEL)
    core.send_on(
        link,
        Request(link.number, seal(link.bundle.prekey, signed, request_info(hosted.local.agent, link.peer))),
    )
    slower = max(0, link.requests - REQUEST_AGAIN_STEADY)
    link.request_due = core.now() + AGAIN.after(slower)
    link.requests += 1


def preview(core: Core, record: Record) -> str:
    """The first TEXT_PREVIEW_BYTES of a text that is shown, cut between characters; of other entries nothing."""
    content = record.content if core.hooks.is_shown(record) and is_intact(record) else None
    return (content or b"")[:TEXT_PREVIEW_BYTES].decode("utf-8", errors="ignore")


def request_info(sender: bytes, recipient: bytes) -> bytes:
    """What a request's seal is bound to."""
    return H(REQUEST_LABEL, sender, recipient)
