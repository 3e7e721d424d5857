"""What agents that were removed said and heard: it goes page by page, however often the node dies meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING

from p2p_agents.core.kernel.state import Texts
from p2p_agents.limits import PURGE_PAGE
from p2p_agents.store import purges, removals

if TYPE_CHECKING:
    from p2p_agents.core.kernel.core import Core


def clear(core: Core) -> bool:
    """One page further; True when nothing is left. The last page takes the word index with it, which fills again."""
    agent = removals.unemptied(core.db)
    if agent is None:
        return True
    removals.clear(core.db, agent, PURGE_PAGE)
    if removals.unemptied(core.db) is not None:
        return False
    core.texts = Texts()
    purges.forget_words(core.db)
    return True
