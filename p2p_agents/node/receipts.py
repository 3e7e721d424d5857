"""What the default reader has read is told as watermarks: to peers, and to the agent's other devices (PROTOCOL B8)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from p2p_agents.conversation.direct import direct_id
from p2p_agents.node import holding
from p2p_agents.node.effects import Moved
from p2p_agents.store import readers

if TYPE_CHECKING:
    from collections.abc import Iterable

    from p2p_agents.node.core import Core
    from p2p_agents.node.state import Hosted


def read(core: Core, hosted: Hosted, peers: Iterable[bytes]) -> None:
    """The default reader acknowledged messages of these peers: tell them."""
    for peer in peers:
        local = core.hosted_id(peer)
        if local is not None:
            _read_locally(core, hosted, local)
        for link in core.paths_to(hosted.local.id, peer):
            link.reads_due = True
            core.mark_ready(core.pair_key(link))


def _read_locally(core: Core, hosted: Hosted, author: Hosted) -> None:
    conversation = direct_id(hosted.local.agent, author.local.agent)
    for mark in readers.read_through(core.db, hosted.local.id, author.local.agent, conversation):
        moved = holding.settle_read(core, author.local.id, hosted.local.agent, mark)
        for entry in moved:
            core.effect(Moved(author.local.id, entry))
