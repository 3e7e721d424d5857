"""Assembles the decider: the hooks that lower rooms call, and the table of kinds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from p2p_agents.conversation.record import CARD, MESSAGE, SHARE, VOID
from p2p_agents.core.contact import cards, consent, knocking, sharing
from p2p_agents.core.kernel.core import Core, Hooks, Kind
from p2p_agents.core.pairing.desk import Desk

if TYPE_CHECKING:
    from collections.abc import Callable

    from p2p_agents.core.kernel.clock import Clock
    from p2p_agents.core.kernel.entropy import Entropy
    from p2p_agents.store.database import Database

KINDS = (
    Kind(MESSAGE, unread=True, shown=True),
    Kind(VOID),
    Kind(CARD, arrive=cards.on_card),
    Kind(SHARE, arrive=sharing.on_share),
)

HOOKS = Hooks(
    wanted=knocking.wanted,
    proven=consent.welcome,
    regard=consent.regard,
    owed=consent.proceed,
    logged=sharing.copy,
    places=lambda core: core.of(Desk).places(core.now_ms()),
    kinds={kind.name: kind for kind in KINDS},
)


def assemble(db: Database, keys: str, node: bytes, clock: Clock, entropy: Entropy, jitter: Callable[[], float]) -> Core:
    """The decider of one node. `keys` is the directory of its key files, `node` its TLS key."""
    return Core(db, keys, node, clock, entropy, jitter, HOOKS)
