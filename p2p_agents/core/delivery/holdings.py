"""What a peer holds of a link's conversations, and what we hold: the difference is owed or has arrived (PROTOCOL B1,
B8)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from p2p_agents.conversation.chains import held_through, lost, runs_in_reach, tips_of
from p2p_agents.core.delivery import integrity, receipts
from p2p_agents.core.identity import family, talks
from p2p_agents.core.kernel import sessions as ended
from p2p_agents.core.kernel.effects import Moved
from p2p_agents.limits import PAGE_MAX, SYNC_TIPS
from p2p_agents.store import contacts, entries, outbox, readers
from p2p_agents.store.contacts import Event
from p2p_agents.wire.claims import CONVERSATIONS, Holding

if TYPE_CHECKING:
    from p2p_agents.conversation.conversation import Conversation
    from p2p_agents.core.kernel.core import Core
    from p2p_agents.core.kernel.state import Link
    from p2p_agents.wire.claims import SyncClaims
    from p2p_agents.wire.payload import ReadMark

# --- sending ---


def told(core: Core, link: Link) -> list[Conversation]:
    """The conversations of a link: between two devices of one agent, all of them."""
    hosted = core.host(link.agent)
    return talks.all_of(core, hosted) if family.is_own(core, link) else talks.shared(core, hosted, link.peer)


def say(core: Core, link: Link, talk: Conversation) -> Holding:
    tips = {
        device: tips_of(integrity.told(core, link, talk.id, device), SYNC_TIPS)
        for device in entries.authors(core.db, talk.id)
    }
    return Holding(talk.id, tips, tuple(receipts.marks(core, link, talk)))


# --- receiving ---


def settle(core: Core, link: Link, claims: SyncClaims, *, reopens: bool) -> None:
    """Apply a current view: what arrived, what is missing, what was read. With `reopens`, entries that the peer does
    not name are lacking, even if they were settled."""
    _keep_reads(core, link, claims)
    for holding in _of_the_link(core, link, claims):
        _settle_holding(core, link, holding, reopens or family.is_own(core, link))


def settle_held(core: Core, link: Link, claims: SyncClaims) -> None:
    """Apply an earlier view: what was held stays delivered, and what was read stays read, until a newer one."""
    _keep_reads(core, link, claims)
    for holding in _of_the_link(core, link, claims):
        _settle_held(core, link, holding)


def _keep_reads(core: Core, link: Link, claims: SyncClaims) -> None:
    """A new device may learn what was read before it learns of the contact or has any entry of the conversation."""
    if not family.is_own(core, link):
        return
    known = {talk.id for talk in talks.all_of(core, core.host(link.agent))}
    for holding in claims.holdings:
        if holding.conversation not in known:
            for mark in holding.reads:
                readers.keep_elsewhere(core.db, link.agent, mark)


def _of_the_link(core: Core, link: Link, claims: SyncClaims) -> list[Holding]:
    """The peer's holdings in the conversations of this link. Between two devices of one agent, a SYNC that names all
    that the peer has also says that it holds nothing of the others."""
    hosted = core.host(link.agent)
    if not family.is_own(core, link):
        ours = {talk.id for talk in talks.shared(core, hosted, link.peer)}
        return [holding for holding in claims.holdings if holding.conversation in ours]
    known = [talk.id for talk in talks.all_of(core, hosted)]
    named = {holding.conversation: holding for holding in claims.holdings}
    whole = talks.within(hosted).id in named and len(claims.holdings) < CONVERSATIONS  # it comes in the first page
    return [named.get(each, Holding(each, {}, ())) for each in known if whole or each in named]


def _settle_held(core: Core, link: Link, holding: Holding) -> None:
    for device in entries.authors(core.db, holding.conversation):
        runs = entries.runs(core.db, holding.conversation, device)
        _settle_arrived(core, link, holding.conversation, device, held_through(runs, holding.tips.get(device, ())))
    for mark in holding.reads:
        mark_read(core, link, mark)


def _settle_holding(core: Core, link: Link, holding: Holding, reopens: bool) -> None:
    own = core.host(link.agent).local.device
    for device in entries.authors(core.db, holding.conversation):
        runs = entries.runs(core.db, holding.conversation, device)
        tips = holding.tips.get(device, ())
        held = held_through(runs, tips)
        _settle_arrived(core, link, holding.conversation, device, held)
        if reopens:
            for run in runs_in_reach(runs, tips, entries.floor(core.db, holding.conversation, device)):
                if held[run.epoch] < run.last:  # a query for each of the others would let a SYNC cost us work
                    _owe_missing(core, link, holding.conversation, device, run.epoch, held[run.epoch])
        if device == own and lost(runs, tips):
            _noticed_loss(core, link)
    if own in holding.tips and not entries.runs(core.db, holding.conversation, own):
        _noticed_loss(core, link)
    for mark in holding.reads:
        mark_read(core, link, mark)


def _settle_arrived(core: Core, link: Link, conversation: bytes, device: bytes, held: dict[bytes, int]) -> None:
    owed = outbox.owed_places(core.db, link.agent, link.peer, link.peer_device, conversation, device)
    arrived = [(row, entry) for row, entry, epoch, seq in owed if seq <= held.get(epoch, 0)]
    outbox.delivered(core.db, [row for row, _ in arrived], core.now_ms())
    for _, entry in arrived:
        core.effect(Moved(link.agent, entry))


def _owe_missing(core: Core, link: Link, conversation: bytes, device: bytes, epoch: bytes, held: int) -> None:
    """SYNC may reopen what was settled; the peer is sent back what it lost, whoever wrote it."""
    now_ms, run = core.now_ms(), (conversation, device, epoch)
    after = held
    while missing := outbox.not_owed(core.db, run, after, link.peer, link.peer_device, PAGE_MAX):
        for seq, entry, row in missing:
            if row is None:
                outbox.owe(core.db, link.agent, entry, link.peer, link.peer_device, now_ms)
            else:
                outbox.reopen(core.db, row, now_ms)
                core.effect(Moved(link.agent, entry))
            after = seq


def _noticed_loss(core: Core, link: Link) -> None:
    """The peer holds entries of ours that this store lacks: old cursors are now invalid (PROTOCOL A3, A4)."""
    detail = "this store was rolled back: the peer holds messages of this agent that it lacks, and sends them back"
    contacts.record(core.db, Event(link.agent, link.peer, "rollback", detail, core.now_ms()))
    ended.renew_cursors(core)


def mark_read(core: Core, link: Link, mark: ReadMark, after: int = 0) -> None:
    """The peer's default reader has read our entries up to the mark, with its ancestors (PROTOCOL B8). Entries up to
    `after` were settled before."""
    if family.is_own(core, link):
        receipts.read_elsewhere(core, core.host(link.agent), mark)
        return
    if not _is_of_ours(core, link, mark):
        return
    for entry in receipts.settle_read(core, link.agent, link.peer, mark, after):
        core.effect(Moved(link.agent, entry))


def mark_news(core: Core, link: Link, marks: tuple[ReadMark, ...]) -> None:
    """The marks in a frame: only the last one for each author's device, and only what it adds, is processed."""
    for place, mark in {(mark.conversation, mark.device): mark for mark in marks}.items():
        if family.is_own(core, link):
            mark_read(core, link, mark)
        elif _is_of_ours(core, link, mark):
            epoch, seq = link.marks.get(place, (b"", 0))
            settled = seq if epoch == mark.epoch else 0
            if not settled or mark.seq > settled:
                mark_read(core, link, mark, settled)
                link.marks[place] = (mark.epoch, mark.seq)


def _is_of_ours(core: Core, link: Link, mark: ReadMark) -> bool:
    """Whether the mark is about entries that a device of our agent wrote to the peer."""
    hosted = core.host(link.agent)
    own = hosted.speaker.identity
    ours = mark.device in (*own.devices, *own.revoked)
    return ours and talks.between(core, hosted, link.peer, mark.conversation) is not None
