"""How the sessions of a pair end, and what is still known of them (PROTOCOL D3)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from p2p_agents.core.kernel.state import BridgedLink, Heal
from p2p_agents.link.reconcile import Outcome, common_heal
from p2p_agents.store import contacts, outbox, sessions
from p2p_agents.store.contacts import Event

if TYPE_CHECKING:
    from p2p_agents.core.kernel.core import Core, PairKey
    from p2p_agents.core.kernel.state import Link
    from p2p_agents.store.sessions import Held
    from p2p_agents.wire.claims import SessionView


def hash_at(core: Core, held: Held, count: int) -> bytes | None:
    s = held.session
    known = {0: s.sid, held.acked: held.acked_hash, s.sent: s.sent_hash}
    return known.get(count) or sessions.hash_at(core.db, s.sid, count)


def retire(core: Core, key: PairKey, held: Held) -> None:
    """Drop a session; what it carried and is not settled will be sealed again."""
    outbox.unseal(core.db, held.session.sid)
    core.drop_session(key, held)


def give_up(core: Core, link: Link, key: PairKey, held: Held, view: SessionView | None, outcome: Outcome) -> None:
    """The two sides' sessions diverged: the successor inherits what both still hold (PROTOCOL D3)."""
    s = held.session
    if view is not None:
        common = common_heal(tuple(identity for identity, _ in s.heals), view.heals)
        for each in {id(link): link, **{id(other): other for other in core.links.get(key, [])}}.values():
            each.heal = Heal(s.sid, s.heals, common, required=common is not None and not isinstance(each, BridgedLink))
    retire(core, key, held)
    if outcome.rollback:
        detail = f"{outcome.value}; a new session starts and nothing is lost"
        contacts.record(core.db, Event(link.agent, link.peer, "rollback", detail, core.now_ms()))
    if outcome is Outcome.I_ROLLED_BACK:
        renew_cursors(core)


def renew_cursors(core: Core) -> None:
    """At most once per opening of the store: it can only be rolled back while closed, and a peer that reports a
    rollback again and again must not invalidate every reader each time."""
    if not core.cursors_renewed:
        core.cursors_renewed = True
        core.undo.append(partial(setattr, core, "cursors_renewed", False))
        core.db.renew_generation()
