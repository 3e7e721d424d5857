"""Our answer to a peer that asked by a public queue: a way over the bridges that it named, or word that it was turned
away.

We never use bridges just because a stranger named them: only once our agent, or its human, accepted the stranger.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from p2p_agents.core.kernel.effects import Post
from p2p_agents.core.relay import ways
from p2p_agents.crypto.bundle import read_bundle
from p2p_agents.errors import BadSeal
from p2p_agents.store import contacts, doors, outbox, queues, sessions
from p2p_agents.store.contacts import Trust
from p2p_agents.wire.frame import Stand, Standing, encode_frame

if TYPE_CHECKING:
    from p2p_agents.core.kernel.core import Core
    from p2p_agents.core.kernel.state import Hosted
    from p2p_agents.store.doors import Asker


def answer(core: Core, hosted: Hosted, peer: bytes) -> None:
    """How we regard a peer may have changed."""
    agent = hosted.local.id
    asker = doors.asker(core.db, agent, peer)
    contact = contacts.contact(core.db, agent, peer)
    if asker is None or contact is None or contact.frozen:
        return
    if contact.trust >= Trust.ACCEPTED:
        doors.forget_asker(core.db, agent, peer)
        open_way(core, hosted, asker)
        return
    request = contacts.request(core.db, agent, peer)
    if request is not None and request.state == "rejected":
        doors.forget_asker(core.db, agent, peer)
        _turn_away(core, hosted, asker)


def open_way(core: Core, hosted: Hosted, asker: Asker) -> None:
    """It is a contact, and this is the newest word of where it can be reached: do what pairing would have done."""
    key = (hosted.local.device, asker.device)
    if asker.stamp <= sessions.pair(core.db, *key).stamp_seen:
        return
    sessions.note_pair(core.db, *key, asker.peer, stamp_seen=asker.stamp, heard_ms=core.now_ms())
    outbox.bind_device(core.db, hosted.local.id, asker.peer, asker.device)
    try:
        queues.keep_bundle(core.db, read_bundle(asker.bundle, asker.device, core.now_ms()), core.now_ms())
    except BadSeal:  # it expired while the request waited; the next one brings another
        return
    ways.take_routes(core, key, asker.peer, asker.routes)
    link = ways.find(core, key, asker.peer)
    if link is not None:
        link.way.sync_at, link.way.patience = core.now(), 0.0


def _turn_away(core: Core, hosted: Hosted, asker: Asker) -> None:
    """Tell it as on a link, if that takes no connection to a bridge of the stranger's choice."""
    frame = encode_frame(Stand(0, Standing.CLOSED))
    for route in asker.routes:
        if route.bridge in core.bridges:
            core.effect(Post(route, frame, core.incarnation, (hosted.local.device, asker.device)))
