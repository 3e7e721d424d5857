"""The devices of one of our agents: a link between two of them carries all conversations of the agent.

It is a link like any other, with the agent's own id on both sides. What one device logs, it owes to the others, as the
same signed entries; what SYNC shows to be missing is sent, whoever wrote it (PROTOCOL B1, B9).
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from p2p_agents.core.identity import talks
from p2p_agents.errors import BadIdentity
from p2p_agents.store import agents, contacts, outbox
from p2p_agents.wire.payload import Verdict

if TYPE_CHECKING:
    from p2p_agents.conversation.record import Record
    from p2p_agents.core.kernel.core import Core
    from p2p_agents.core.kernel.state import Hosted, Link
    from p2p_agents.crypto.identity import Identity
    from p2p_agents.store.outbox import Delivery


def is_own(core: Core, link: Link) -> bool:
    """Whether both ends are devices of one of our agents."""
    return link.peer == core.host(link.agent).local.agent


def is_copy(core: Core, row: Delivery) -> bool:
    """Whether it is owed to another device of its own agent."""
    return row.peer == core.host(row.agent).local.agent


def others(hosted: Hosted) -> list[bytes]:
    """The agent's other live devices."""
    return [device for device in hosted.speaker.identity.devices if device != hosted.local.device]


def gather(core: Core, hosted: Hosted, name: str = "") -> None:
    """An agent with a second device becomes a contact of itself, to be found and linked to. Others see one name for it,
    whatever it is called here."""
    local = hosted.local
    if len(hosted.speaker.identity.devices) > 1:
        contacts.save_self(core.db, local.id, local.agent, name or local.name, local.kind, core.now_ms())
        core.seek_links()
    else:
        contacts.drop_self(core.db, local.id)
    itself = contacts.contact(core.db, local.id, local.agent)
    if itself is not None and itself.name != hosted.speaker.name:
        core.undo.append(partial(setattr, hosted, "speaker", hosted.speaker))
        hosted.speaker = replace(hosted.speaker, name=itself.name)


def check_growth(core: Core, offered: Identity) -> None:
    """If the root key of an agent is here, an entry that was not added here was signed by somebody else with that key:
    it is accepted only with a rotation, which is how a restored backup begins. Raises BadIdentity."""
    hosted = core.hosted_id(offered.agent)
    if hosted is None or not hosted.root:
        return
    own = hosted.speaker.identity
    if len(offered.entries) > len(own.entries) and offered.rotated <= own.rotated:
        raise BadIdentity("this agent's log has an entry that was not made here, although its root key is here")


def speak_as(core: Core, identity: Identity) -> None:
    """Another device showed a newer log of one of our agents: use it from now on."""
    hosted = core.hosted_id(identity.agent)
    if hosted is not None:
        core.undo.append(partial(setattr, hosted, "speaker", hosted.speaker))
        hosted.speaker = replace(hosted.speaker, identity=identity)
        gather(core, hosted)


# --- what both should have ---


def owe_copies(core: Core, hosted: Hosted, entry: int, besides: bytes = b"") -> None:
    """An entry came into the agent's log: its other devices are owed it, except the one that sent it."""
    for device in others(hosted):
        if device != besides and outbox.find(core.db, entry, hosted.local.agent, device) is None:
            outbox.owe(core.db, hosted.local.id, entry, hosted.local.agent, device, core.now_ms())
            core.mark_ready((hosted.local.device, device))


def forward(core: Core, hosted: Hosted, entry: int, peer: bytes) -> None:
    """Owe the peer an entry that another device of ours wrote: whichever of us reaches the peer first delivers it."""
    if core.hosted_id(peer) is not None:
        return
    for device in agents.live_devices(core.db, peer):
        if outbox.find(core.db, entry, peer, device) is None:
            outbox.owe(core.db, hosted.local.id, entry, peer, device, core.now_ms())
            core.mark_ready((hosted.local.device, device))


def doubt(core: Core, hosted: Hosted, r: Record) -> Verdict | None:
    """Why an entry from another device of ours is not taken, if it is not. For an entry by a device revoked since, our
    device's word is enough: it took it while that device was live, or within a cut. GAP if we do not know its
    conversation or author's device yet."""
    talk = talks.find(core, hosted, r.conversation)
    if talk is not None and r.author not in talk.members:
        return Verdict.WRONG_AUTHOR
    owner = agents.owner_of(core.db, r.device)
    if talk is None or owner is None:
        return Verdict.GAP
    return None if owner == r.author else Verdict.WRONG_AUTHOR
