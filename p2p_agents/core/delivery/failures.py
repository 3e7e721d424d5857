"""Gives up what waits: its sender is told why, and its chain stays whole (PROTOCOL B6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from p2p_agents.conversation.record import write_void
from p2p_agents.core.identity import family, talks
from p2p_agents.core.kernel.effects import Moved
from p2p_agents.limits import PAGE_MAX
from p2p_agents.store import entries, outbox

if TYPE_CHECKING:
    from p2p_agents.core.kernel.core import Core
    from p2p_agents.store.outbox import Delivery


def give_up(core: Core, agent: int, peer: bytes) -> None:
    """The peer takes nothing from us: fail everything that waits for it."""
    talk = talks.with_peer(core.host(agent), peer)
    for row in outbox.queued_for(core.db, agent, talk.id, peer, PAGE_MAX):
        void(core, agent, row.id, row.entry, "not accepted")


def fail_all(core: Core, agent: int, peer: bytes, why: str) -> None:
    """Fail everything that waits for the peer."""
    talk = talks.with_peer(core.host(agent), peer)
    while rows := outbox.waiting(core.db, agent, talk.id, peer, PAGE_MAX):
        for row, sealed in rows:
            fail(core, row, why, sealed=sealed)


def fail(core: Core, row: Delivery, why: str, *, sealed: bool) -> None:
    """Give up what waits. Sealed entries may have arrived, and entries still owed to another device of the agent or the
    peer are not voided: they stay owed in full."""
    if sealed or family.is_copy(core, row) or outbox.is_elsewhere(core.db, row):
        outbox.fail_sealed(core.db, row.id, core.now_ms())
        core.effect(Moved(row.agent, row.entry))
    else:
        void(core, row.agent, row.id, row.entry, why)


def void(core: Core, agent: int, row: int, entry: int, why: str) -> None:
    """Fail one unsealed entry; its void keeps the chain whole in case the peer accepts us later (PROTOCOL B6)."""
    record = entries.load(core.db, entry)
    key = core.host(agent).speaker.key
    if record.author == core.host(agent).local.agent and record.device != key.public:
        outbox.refuse(core.db, row, why, core.now_ms())  # another device of ours wrote it, and will void it
        core.effect(Moved(agent, entry))
        return
    if record.device != key.public:  # the peer's own entry, to be sent back: its next SYNC owes it again
        outbox.drop(core.db, row)
        return
    outbox.fail_unsealed(core.db, row, why, core.now_ms())
    outbox.fail_waiting(core.db, agent, entry, why, core.now_ms())
    entries.set_void(core.db, entry, write_void(key, record, why))
    core.effect(Moved(agent, entry))
