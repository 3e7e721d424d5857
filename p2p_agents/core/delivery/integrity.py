"""Finds in the background what the disk changed, reports it to people, and never sends or shows it as its author's
words."""

from __future__ import annotations

import logging
import math
from dataclasses import replace
from typing import TYPE_CHECKING

from p2p_agents.conversation.chains import before
from p2p_agents.conversation.record import intact_part, is_intact
from p2p_agents.core.delivery import failures
from p2p_agents.core.kernel.effects import Moved
from p2p_agents.core.kernel.state import BridgedLink, Wanted
from p2p_agents.crypto.fingerprint import id_text
from p2p_agents.limits import CHECKED_ENTRIES, GIVEN_AGAIN, SYNC_TIPS
from p2p_agents.store import contacts, conversations, entries, log, outbox
from p2p_agents.store.contacts import Event

if TYPE_CHECKING:
    from collections.abc import Iterator

    from p2p_agents.conversation.chains import Run
    from p2p_agents.conversation.record import Record
    from p2p_agents.core.kernel.core import Core
    from p2p_agents.core.kernel.state import Link
    from p2p_agents.store.outbox import Owed

logger = logging.getLogger(__name__)

CHECKED = "checked"  # meta: the last entry checked in this round over all entries
FOUND = "damaged_found"  # meta: damaged entries in this round so far
DAMAGED = "damaged"  # meta: the same of the last whole round; also the kind of an event
WANTED_S = 30.0  # after a view that left an entry out: it arrives by then, or nobody has it
LOST = "damaged on this machine's disk: send it again"


def look(core: Core) -> None:
    """Check the next CHECKED_ENTRIES entries; after the last, start again with the first."""
    page = entries.after(core.db, core.db.remembered(CHECKED), CHECKED_ENTRIES)
    damaged = [(entry, record) for entry, record in page if not is_intact(record)]
    for entry, record in damaged:
        _tell(core, entry, record.hash)
        _want(core, entry, record)
    found = core.db.remembered(FOUND) + len(damaged)
    if len(page) == CHECKED_ENTRIES:
        core.db.remember(CHECKED, page[-1][0])
        core.db.remember(FOUND, found)
    elif core.db.remembered(CHECKED) or found != core.db.remembered(DAMAGED):  # an idle store is not written
        core.db.remember(CHECKED, 0)
        core.db.remember(FOUND, 0)
        core.db.remember(DAMAGED, found)


def _want(core: Core, entry: int, r: Record) -> None:
    """Ask for a body that does not match its entry, once while the node runs: the next views leave the entry out, and
    whoever has it sends it again (docs/protocol.md, 8.1), with the entries after it."""
    only_body = r.body is not None and is_intact(replace(r, body=None))
    if not only_body or entry in core.wanted or entries.count_behind(core.db, r, GIVEN_AGAIN) > GIVEN_AGAIN:
        return
    core.wanted[entry] = Wanted(r)
    for agent, peer in _sharing(core, entry):
        for link in core.paths_to(agent, peer):
            link.disagrees = True  # sent within a second


def told(core: Core, link: Link, conversation: bytes, device: bytes) -> list[Run]:
    """The runs of a device to name in a view, without wanted entries if the peer will know that the view is fresh."""
    runs = entries.runs(core.db, conversation, device, SYNC_TIPS)
    if not core.wanted or (isinstance(link, BridgedLink) and not link.peer_challenge):
        return runs
    ends: dict[bytes, tuple[int, bytes]] = {}
    for each in core.wanted.values():
        r = each.record
        if (r.conversation, r.device) != (conversation, device) or core.now() > each.until:
            continue
        each.until = min(each.until, core.now() + WANTED_S)
        ends[r.epoch] = min(ends.get(r.epoch, (r.seq, r.prev)), (r.seq, r.prev))
    return before(runs, ends)


def mended(core: Core, entry: int) -> None:
    """The entry was sent again."""
    if (wanted := core.wanted.get(entry)) is not None:
        wanted.until = -math.inf


def count(core: Core) -> int:
    """The number of damaged entries known so far."""
    return max(core.db.remembered(DAMAGED), core.db.remembered(FOUND))


def sendable(core: Core, link: Link, row: Owed) -> Owed | None:
    """The intact part of a row, which may be sealed; None if there is none. A damaged row fails alone, with a reason;
    its place in the chain is filled by the entry without its body, or by its void, which the next look at the outbox
    finds."""
    part = intact_part(row.entry, row.item)
    if part is row.item:
        return row
    entry = outbox.entry_of(core.db, row.id)
    _tell(core, entry, row.entry)
    if part is None:
        failures.void(core, link.agent, row.id, entry, LOST)
        core.mark_ready(core.pair_key(link))
        return None
    outbox.fail_unsealed(core.db, row.id, LOST, core.now_ms())
    core.effect(Moved(link.agent, entry))
    return replace(row, item=part)


def _tell(core: Core, entry: int, entry_hash: bytes) -> None:
    logger.error("entry %s is damaged on the disk", id_text(entry_hash)[:10])
    detail = f"message {id_text(entry_hash)} is damaged on this disk: its text is not shown"
    for agent, peer in _sharing(core, entry):
        contacts.record(core.db, Event(agent, peer, DAMAGED, detail, core.now_ms()))


def _sharing(core: Core, entry: int) -> Iterator[tuple[int, bytes]]:
    """(agent of this node that has the entry, another member of its conversation)."""
    for agent, conversation in log.holders(core.db, entry):
        here = core.hosted.get(agent) or core.unusable.get(agent)
        talk = conversations.find(core.db, conversation)
        if here is not None and talk is not None:
            yield from ((agent, peer) for peer in talk.others(here.local.agent) or [here.local.agent])
