"""Passes the stream bytes of a connection to the handlers of its frames; a fault ends only the link or connection it
happened on."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from p2p_agents.core.contact import consent
from p2p_agents.core.delivery import inbound, resets, sync
from p2p_agents.core.kernel.effects import Hangup
from p2p_agents.core.links import opening, presence, releases
from p2p_agents.core.pairing import exchange
from p2p_agents.errors import Flood, Malformed, PeerFault, UnknownVersion
from p2p_agents.link.admission import LIGHT_SHARE
from p2p_agents.wire import frame as frames
from p2p_agents.wire.frame import decode_frame
from p2p_agents.wire.greeting import Greeting
from p2p_agents.wire.knock import Knock

if TYPE_CHECKING:
    from collections.abc import Callable

    from p2p_agents.core.kernel.core import Core
    from p2p_agents.core.kernel.state import Link, Peering
    from p2p_agents.wire.frame import Frame

log = logging.getLogger(__name__)


def received(core: Core, connection: int, data: bytes) -> None:
    """Handle bytes of a connection's message stream, in order; their frames were counted on arrival. Raises nothing
    that a peer can cause."""
    peering = core.peerings.get(connection)
    if peering is None:  # dropped, or never accepted because the store failed
        core.effect(Hangup(connection, "unknown"))
        return
    spent: set[int] = set()  # links whose credit was used
    try:
        for payload in peering.framer.feed(data):
            frame = decode_frame(payload)
            if isinstance(frame, frames.Data):
                spent.add(frame.link)
            if frame is not None:
                _handle(core, peering, frame)
            if connection not in core.peerings:
                return
    except PeerFault as fault:
        if isinstance(fault, UnknownVersion):
            releases.differ(core, peering)
        core.refuse_peer(connection, fault)
        return
    _renew_credit(core, peering, spent)


def _handle(core: Core, peering: Peering, frame: Frame) -> None:
    handler = _NODE_HANDLERS.get(type(frame))
    if handler is not None:
        handler(core, peering, frame)
        return
    assert not isinstance(frame, frames.OfNode)
    link = peering.links.get(frame.link)
    if link is None:  # it crossed our CLOSE; a peer that keeps sending is flooding
        if not peering.strays.take(core.now(), LIGHT_SHARE):
            raise Flood("too many frames for links that are closed")
        return
    if isinstance(frame, frames.Hello):
        opening.on_hello(core, peering, link, frame)
        return
    if not link.up and not isinstance(frame, frames.Close):
        raise Malformed("a frame came on a link that has proved nothing yet")
    try:
        _LINK_HANDLERS[type(frame)](core, link, frame)
    except Flood:
        raise
    except PeerFault as fault:  # only this pair of agents is affected
        log.warning("link to %s: %s: %s", link.peer.hex()[:12], fault.code, fault.message)
        core.close_link(link, fault.code)


def _on_node(core: Core, peering: Peering, frame: frames.Node) -> None:
    opening.on_node(core, peering, frame)
    exchange.offered(core)


def _on_credit(core: Core, link: Link, frame: frames.Credit) -> None:
    first = not link.allowance.granted
    link.allowance.grant(frame.total)
    core.mark_ready(core.pair_key(link))
    if first:  # now we know the peer's standing
        consent.proceed(core, link)
        opening.go_on(core, core.peerings[link.connection])


def _renew_credit(core: Core, peering: Peering, spent: set[int]) -> None:
    """Granted in the batch that consumed it, so it is sent after that batch's commit."""
    for number in sorted(spent):
        link = peering.links.get(number)
        if link is not None and link.up and (total := link.meter.renew()) is not None:
            core.send_on(link, frames.Credit(link.number, total))


_NODE_HANDLERS: dict[type, Callable[..., None]] = {
    frames.Node: _on_node,
    frames.Open: opening.on_open,
    frames.Refuse: opening.on_refuse,
    frames.Pair: exchange.on_pair,
    Greeting: lambda core, peering, frame: None,  # HELLO already told it
    Knock: lambda core, peering, frame: None,  # on a link, REQUEST does this
}

_LINK_HANDLERS: dict[type, Callable[..., None]] = {
    frames.Close: opening.on_close,
    frames.Credit: _on_credit,
    frames.Sync: sync.on_sync,
    frames.Init: inbound.on_init,
    frames.Data: inbound.on_data,
    frames.Reset: resets.on_reset,
    frames.Request: consent.on_request,
    frames.Stand: consent.on_standing,
    frames.Presence: presence.on_presence,
}
