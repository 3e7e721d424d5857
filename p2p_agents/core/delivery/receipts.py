"""What the default reader has read is told as watermarks: to peers, and to the agent's other devices (PROTOCOL B8)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from p2p_agents.conversation.chains import held_through
from p2p_agents.conversation.direct import direct_id
from p2p_agents.core.identity import family
from p2p_agents.core.kernel.effects import Moved, PeersChanged
from p2p_agents.store import entries, outbox, readers
from p2p_agents.wire.claims import Tip
from p2p_agents.wire.payload import ReadMark

if TYPE_CHECKING:
    from collections.abc import Collection

    from p2p_agents.conversation.record import Record
    from p2p_agents.core.kernel.core import Core
    from p2p_agents.core.kernel.state import Hosted, Link


def read(core: Core, hosted: Hosted, peers: Collection[bytes]) -> None:
    """The default reader acknowledged messages of these peers: tell them."""
    for peer in peers:
        local = core.hosted_id(peer)
        if local is not None:
            _read_locally(core, hosted, local)
        for link in core.paths_to(hosted.local.id, peer):
            link.reads_due = True
            core.mark_ready(core.pair_key(link))
    for link in core.paths_to(hosted.local.id, hosted.local.agent):
        link.reads_due = True
        link.read_peers.update(peers)
        core.mark_ready(core.pair_key(link))


def within(core: Core, link: Link) -> list[ReadMark]:
    """For another device of ours: as many as fit one frame; the rest stays due."""
    own = core.host(link.agent).local.agent
    marks: list[ReadMark] = []
    while link.read_peers and not marks:
        peer = link.read_peers.pop()
        marks = readers.read_through(core.db, link.agent, peer, direct_id(own, peer))
    return marks


def read_elsewhere(core: Core, hosted: Hosted, mark: ReadMark) -> None:
    """The default reader of another device of ours has read so far: it is read here too, what is still to come as well
    (PROTOCOL B9)."""
    agent = hosted.local.id
    readers.keep_elsewhere(core.db, agent, mark)
    if readers.settle(core.db, agent, mark):
        peer = family.peer_of(core, hosted, mark.conversation)
        read(core, hosted, [] if peer is None else [peer])
        core.effect(PeersChanged())


def came(core: Core, hosted: Hosted, r: Record) -> None:
    """An entry that another device of ours has read before it came here."""
    if readers.is_read_elsewhere(core.db, hosted.local.id, r):
        readers.settle(core.db, hosted.local.id, ReadMark(r.conversation, r.device, r.epoch, r.seq))


def _read_locally(core: Core, hosted: Hosted, author: Hosted) -> None:
    conversation = direct_id(hosted.local.agent, author.local.agent)
    for mark in readers.read_through(core.db, hosted.local.id, author.local.agent, conversation):
        moved = settle_read(core, author.local.id, hosted.local.agent, mark)
        for entry in moved:
            core.effect(Moved(author.local.id, entry))


def settle_read(core: Core, agent: int, peer: bytes, mark: ReadMark, after: int = 0) -> list[int]:
    """Settle the entries that a mark covers as read; those whose state changed."""
    runs = entries.runs(core.db, mark.conversation, mark.device)
    covered = held_through(runs, [Tip(mark.epoch, mark.seq, b"")])
    moved = []
    unread = {mark.epoch} if after else outbox.unread_epochs(core.db, agent, peer, mark.conversation, mark.device)
    for run in runs:
        if run.epoch in unread and covered[run.epoch] >= run.first:
            place = (mark.conversation, mark.device, run.epoch, covered[run.epoch])
            moved += outbox.mark_read(core.db, agent, peer, place, core.now_ms(), after)
    return moved
