"""Stream bytes of a connection to the handlers of its frames; a fault ends what it happened on and nothing else."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from p2p_agents.errors import Flood, PeerFault
from p2p_agents.node import consent, inbound, opening, presence, resetting, syncing
from p2p_agents.node.effects import Hangup
from p2p_agents.wire import frame as frames
from p2p_agents.wire.frame import decode_frame

if TYPE_CHECKING:
    from collections.abc import Callable

    from p2p_agents.node.core import Core
    from p2p_agents.node.state import Link, Peering
    from p2p_agents.wire.frame import Frame

log = logging.getLogger(__name__)


def received(core: Core, connection: int, data: bytes) -> None:
    """Bytes of a connection's message stream, in order. Raises nothing that a peer can cause."""
    peering = core.peerings.get(connection)
    if peering is None:  # dropped, or never taken in because the store failed
        core.effect(Hangup(connection, "unknown"))
        return
    try:
        for payload in peering.framer.feed(data):
            frame = decode_frame(payload)
            if frame is not None:
                _handle(core, peering, frame)
            if connection not in core.peerings:
                return
    except PeerFault as fault:
        core.refuse_peer(connection, fault)
        return
    _renew_credit(core, peering)


def _handle(core: Core, peering: Peering, frame: Frame) -> None:
    if not isinstance(frame, _UNMETERED) and not peering.bucket.take(core.now()):
        raise Flood("too many frames outside credit")
    handler = _NODE_HANDLERS.get(type(frame))
    if handler is not None:
        handler(core, peering, frame)
        return
    assert not isinstance(frame, frames.Node)
    link = peering.links.get(frame.link)
    if link is None:
        return  # it crossed our CLOSE
    if isinstance(frame, frames.Hello):
        opening.on_hello(core, peering, link, frame)
        return
    try:
        _LINK_HANDLERS[type(frame)](core, link, frame)
    except Flood:
        raise
    except PeerFault as fault:  # only this pair of agents misbehaved
        log.warning("link to %s: %s: %s", link.peer.hex()[:12], fault.code, fault.message)
        core.close_link(link, fault.code)


def _on_credit(core: Core, link: Link, frame: frames.Credit) -> None:
    link.allowance.grant(frame.total)
    if link.up:
        core.mark_ready(core.pair_key(link))


def _renew_credit(core: Core, peering: Peering) -> None:
    """Granted in the batch that consumed it, so it leaves after that batch's commit."""
    for link in peering.links.values():
        if link.up and (total := link.meter.renew()) is not None:
            core.send_on(link, frames.Credit(link.number, total))


_UNMETERED = (frames.Data, frames.Credit)  # DATA has credit of its own; CREDIT changes one number

_NODE_HANDLERS: dict[type, Callable[..., None]] = {
    frames.Node: opening.on_node,
    frames.Open: opening.on_open,
    frames.Refuse: opening.on_refuse,
}

_LINK_HANDLERS: dict[type, Callable[..., None]] = {
    frames.Close: opening.on_close,
    frames.Credit: _on_credit,
    frames.Sync: syncing.on_sync,
    frames.Init: inbound.on_init,
    frames.Data: inbound.on_data,
    frames.Reset: resetting.on_reset,
    frames.Request: consent.on_request,
    frames.Stand: consent.on_standing,
    frames.Presence: presence.on_presence,
}
