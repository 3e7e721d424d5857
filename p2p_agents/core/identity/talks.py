"""The conversations of our agents, by peer and by id."""

from __future__ import annotations

from typing import TYPE_CHECKING

from p2p_agents.conversation.direct import DIRECT, direct
from p2p_agents.store import contacts, conversations, family

if TYPE_CHECKING:
    from p2p_agents.conversation.conversation import Conversation
    from p2p_agents.core.kernel.core import Core
    from p2p_agents.core.kernel.state import Hosted


def with_peer(hosted: Hosted, peer: bytes) -> Conversation:
    """The conversation with one peer alone."""
    return direct(hosted.local.agent, peer)


def within(hosted: Hosted) -> Conversation:
    """The conversation among the devices of one agent."""
    return direct(hosted.local.agent, hosted.local.agent)


def all_of(core: Core, hosted: Hosted) -> list[Conversation]:
    """All conversations of an agent, begun or not; that of its own devices first."""
    own = hosted.local.agent
    left_out = (find(core, hosted, each) for each in family.left_out(core.db, hosted.local.id))
    found = [within(hosted), *_direct(core, hosted), *(t for t in left_out if t), *conversations.of_many(core.db, own)]
    return list(dict.fromkeys(found))


def find(core: Core, hosted: Hosted, conversation: bytes) -> Conversation | None:
    """The agent's conversation with this id, begun or possible with a contact; None if it is not known here."""
    begun = conversations.find(core.db, conversation)
    if begun is not None:
        return begun if hosted.local.agent in begun.members else None
    found = hosted.conversations.get(conversation)
    if found is None:
        hosted.conversations = {each.id: each for each in (within(hosted), *_direct(core, hosted))}
        found = hosted.conversations.get(conversation)
    return found


def between(core: Core, hosted: Hosted, peer: bytes, conversation: bytes) -> Conversation | None:
    """The conversation with this id, if the agent and the peer are both members. The id of a direct one says who they
    are, whatever the store says."""
    alone = with_peer(hosted, peer)
    if alone.id == conversation:
        return alone
    found = conversations.find(core.db, conversation)
    both = found is not None and found.kind != DIRECT and {hosted.local.agent, peer} <= found.members
    return found if both else None


def shared(core: Core, hosted: Hosted, peer: bytes) -> list[Conversation]:
    """All conversations that the agent and the peer are both members of; the one of them alone first."""
    return [with_peer(hosted, peer), *conversations.of_both(core.db, hosted.local.agent, peer)]


def _direct(core: Core, hosted: Hosted) -> list[Conversation]:
    return [with_peer(hosted, contact.peer) for contact in contacts.contacts(core.db, hosted.local.id)]
