"""Reports what the default reader has read, as watermarks, to peers and to the agent's other devices (PROTOCOL B8)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from p2p_agents.conversation.chains import held_through
from p2p_agents.core.identity import family, talks
from p2p_agents.core.kernel.effects import Moved, PeersChanged
from p2p_agents.store import entries, outbox, readers
from p2p_agents.wire.claims import Tip
from p2p_agents.wire.payload import ReadMark

if TYPE_CHECKING:
    from collections.abc import Collection

    from p2p_agents.conversation.conversation import Conversation
    from p2p_agents.conversation.record import Record
    from p2p_agents.core.kernel.core import Core
    from p2p_agents.core.kernel.state import Hosted, Link


def read(core: Core, hosted: Hosted, conversations: Collection[bytes]) -> None:
    """The default reader acknowledged messages in these: tell their authors and the agent's other devices."""
    for conversation in conversations:
        talk = talks.find(core, hosted, conversation)
        for member in sorted(talk.members) if talk is not None else ():
            _tell(core, hosted, conversation, member)


def _tell(core: Core, hosted: Hosted, conversation: bytes, member: bytes) -> None:
    local = core.hosted_id(member)
    if local is not None and local is not hosted:
        _read_locally(core, hosted, local, conversation)
    for link in core.paths_to(hosted.local.id, member):
        link.reads_due[conversation] = None
        core.mark_ready(core.pair_key(link))


def due(core: Core, link: Link) -> list[ReadMark]:
    """Read marks to send, as many as fit into one frame; the rest stays due."""
    found: list[ReadMark] = []
    while link.reads_due and not found:
        conversation = next(iter(link.reads_due))
        del link.reads_due[conversation]
        talk = talks.find(core, core.host(link.agent), conversation)
        found = marks(core, link, talk) if talk is not None else []
    return found


def marks(core: Core, link: Link, talk: Conversation) -> list[ReadMark]:
    """How far we have read in a conversation: what the peer wrote; between devices of one agent, everything."""
    author = None if family.is_own(core, link) else link.peer
    return readers.read_through(core.db, link.agent, talk.id, author)


def read_elsewhere(core: Core, hosted: Hosted, mark: ReadMark) -> None:
    """The default reader of another device of ours has read this far: mark it read here too, including entries that
    have not arrived yet (PROTOCOL B9)."""
    agent = hosted.local.id
    readers.keep_elsewhere(core.db, agent, mark)
    if readers.settle(core.db, agent, mark):
        read(core, hosted, [mark.conversation])
        core.effect(PeersChanged())


def came(core: Core, hosted: Hosted, r: Record) -> None:
    """An entry arrived that another device of ours may already have read."""
    if readers.is_read_elsewhere(core.db, hosted.local.id, r):
        readers.settle(core.db, hosted.local.id, ReadMark(r.conversation, r.device, r.epoch, r.seq))


def _read_locally(core: Core, hosted: Hosted, author: Hosted, conversation: bytes) -> None:
    for mark in readers.read_through(core.db, hosted.local.id, conversation, author.local.agent):
        moved = settle_read(core, author.local.id, hosted.local.agent, mark)
        for entry in moved:
            core.effect(Moved(author.local.id, entry))


def settle_read(core: Core, agent: int, peer: bytes, mark: ReadMark, after: int = 0) -> list[int]:
    """Settle the entries that a mark covers as read; returns those whose state changed."""
    runs = entries.runs(core.db, mark.conversation, mark.device)
    covered = held_through(runs, [Tip(mark.epoch, mark.seq, b"")])
    moved = []
    unread = {mark.epoch} if after else outbox.unread_epochs(core.db, agent, peer, mark.conversation, mark.device)
    for run in runs:
        if run.epoch in unread and covered[run.epoch] >= run.first:
            place = (mark.conversation, mark.device, run.epoch, covered[run.epoch])
            moved += outbox.mark_read(core.db, agent, peer, place, core.now_ms(), after)
    return moved
