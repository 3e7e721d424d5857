"""What the disk changed: found in the background, never sent or shown as its author's words, and told to people."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from p2p_agents.conversation.record import intact_part, is_intact
from p2p_agents.core.delivery import failures
from p2p_agents.core.kernel.effects import Moved
from p2p_agents.crypto.fingerprint import id_text
from p2p_agents.limits import CHECKED_ENTRIES
from p2p_agents.store import contacts, entries, log, outbox
from p2p_agents.store.contacts import Event

if TYPE_CHECKING:
    from p2p_agents.core.kernel.core import Core
    from p2p_agents.core.kernel.state import Link
    from p2p_agents.store.outbox import Owed

logger = logging.getLogger(__name__)

CHECKED = "checked"  # meta: the last entry that was looked at in this round over all of them
FOUND = "damaged_found"  # meta: damaged ones in this round so far
DAMAGED = "damaged"  # meta: and in the last whole round; also the kind of an event
LOST = "damaged on this machine's disk: send it again"


def look(core: Core) -> None:
    """At the next CHECKED_ENTRIES entries; from the first again after the last."""
    page = entries.after(core.db, core.db.remembered(CHECKED), CHECKED_ENTRIES)
    damaged = [(entry, record.hash) for entry, record in page if not is_intact(record)]
    for entry, entry_hash in damaged:
        _tell(core, entry, entry_hash)
    found = core.db.remembered(FOUND) + len(damaged)
    if len(page) == CHECKED_ENTRIES:
        core.db.remember(CHECKED, page[-1][0])
        core.db.remember(FOUND, found)
    elif core.db.remembered(CHECKED) or found != core.db.remembered(DAMAGED):  # an idle store is not written
        core.db.remember(CHECKED, 0)
        core.db.remember(FOUND, 0)
        core.db.remember(DAMAGED, found)


def count(core: Core) -> int:
    """Damaged entries, as far as is known."""
    return max(core.db.remembered(DAMAGED), core.db.remembered(FOUND))


def sendable(core: Core, link: Link, row: Owed) -> Owed | None:
    """What of a row may be sealed. It fails alone, and says so; its place in the chain is kept for what follows: by the
    entry without its words, or by its void, which the next look at the outbox finds."""
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
    for agent, peer in log.holders(core.db, entry):
        detail = f"message {id_text(entry_hash)} is damaged on this disk: its words are not shown"
        contacts.record(core.db, Event(agent, peer, DAMAGED, detail, core.now_ms()))
