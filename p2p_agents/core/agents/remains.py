"""What agents that were removed said and heard, and what was said in conversations that ended: it goes page by page,
however often the node dies meanwhile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from p2p_agents.core.kernel.state import Texts
from p2p_agents.limits import PURGE_PAGE
from p2p_agents.store import purges, removals

if TYPE_CHECKING:
    from p2p_agents.core.kernel.core import Core

AGAIN_S = 60.0  # before a page that could not be deleted is tried again: a failure undoes its whole batch


@dataclass(slots=True)
class Attempt:
    """What was left when a page was last deleted in the background; tried again no sooner than `due` if it is still the
    same."""

    left: tuple[int, int] | bytes | None = None
    due: float = 0.0


def second(core: Core) -> None:
    """Once a second: delete a page, if a node died or a disk was full before all was deleted."""
    left, attempt = _left(core), core.of(Attempt)
    if left is None or (left == attempt.left and core.now() < attempt.due):
        return
    attempt.left, attempt.due = left, core.now() + AGAIN_S
    clear(core)


def clear(core: Core) -> bool:
    """Delete one page; True if nothing is left. The last page drops the word index too, which is then rebuilt."""
    left = _left(core)
    if left is None:
        return True
    if isinstance(left, bytes):
        purges.clear_ended(core.db, left, PURGE_PAGE)
    else:
        removals.clear(core.db, left[0], PURGE_PAGE)
    if _left(core) is not None:
        return False
    core.texts = Texts()
    purges.forget_words(core.db)
    return True


def _left(core: Core) -> tuple[int, int] | bytes | None:
    """A removed agent that left bodies behind, or a conversation that ended and is not cleared."""
    return removals.unemptied(core.db) or purges.uncleared(core.db)


def end(core: Core, conversation: bytes, why: str) -> None:
    """A conversation of a kind that ends is over for all agents of this node: what was said in it goes."""
    purges.end(core.db, conversation, why, core.now_ms())
    for hosted in core.hosted.values():
        hosted.conversations.pop(conversation, None)
    clear(core)
