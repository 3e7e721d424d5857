"""Links another installation to an agent: the one that has the root key shows a code, the new one types it.

The new device's key is made where it lives, and stays there; so does the root key. Everything the new one gets besides
the identity log comes by the link between the two, except the floors of its history: it has them from the first moment,
so that no contact sends what its owner left out.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from p2p_agents.conversation.direct import DIRECT
from p2p_agents.core.agents import hosting, ownership
from p2p_agents.core.contact import sharing
from p2p_agents.core.identity import talks
from p2p_agents.core.pairing.desk import Desk
from p2p_agents.core.relay import ways
from p2p_agents.crypto import identity as identities
from p2p_agents.crypto.introduction import Self
from p2p_agents.crypto.signing import SigningKey
from p2p_agents.errors import AgentExists, AlreadyHere, BadIdentity, BadName, BadParams, RemovedHere
from p2p_agents.limits import DAY_MS, INT_MAX, LINK_FLOORS, LINK_HISTORY_DAYS_MAX, NAME_CHARS
from p2p_agents.store import agents, keyring, removals
from p2p_agents.store import family as kept
from p2p_agents.store.keyring import AgentSecrets
from p2p_agents.wire.gift import Gift, decode_gift, encode_gift
from p2p_agents.wire.names import check_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from p2p_agents.conversation.conversation import Conversation
    from p2p_agents.core.kernel.core import Core
    from p2p_agents.core.kernel.state import Hosted
    from p2p_agents.core.pairing.desk import Display, Join
    from p2p_agents.crypto.introduction import Peer
    from p2p_agents.errors import P2PError
    from p2p_agents.link.pairing import Met
    from p2p_agents.store.queues import OwnQueue
    from p2p_agents.wire.gift import Floor


NO_AGENT = 0  # the agent number of an attempt by an installation without an agent
ALL, NONE = "all", "none"
KINDS = ("claude-code", "codex", "openclaw", "human", "other")
POLICIES = ("open", "ask", "closed")


# --- the side that shows the code ---


def check_host(core: Core, hosted: Hosted) -> None:
    """Raises RootElsewhere or IdentityFull if no device can be added, StoreBroken for keys of an older log."""
    ownership.root_key(ownership.secrets_of(core, hosted))
    ownership.check_room(hosted.speaker.identity, 1)


def history_since(history: str, now_ms: int) -> int:
    """The time since which conversations are given to a new device. Raises BadParams."""
    if history in (ALL, NONE):
        return 0 if history == ALL else INT_MAX
    days = int(history) if history.isascii() and history.isdecimal() and len(history) <= NAME_CHARS else 0
    if not 0 < days <= LINK_HISTORY_DAYS_MAX:
        why = f"history must be {ALL}, {NONE}, or days from 1 to {LINK_HISTORY_DAYS_MAX}"
        raise BadParams(why, param="history")
    return now_ms - days * DAY_MS


def admit(core: Core, hosted: Hosted, display: Display, peer: Peer) -> bytes:
    """Add the joiner's device; returns what it gets with the last message. Raises BadIdentity for a consent to another
    log.

    One that was added before, and did not hear of it, gets the same again.
    """
    before = hosted.speaker.identity
    if peer.device not in before.devices:
        if agents.owner_of(core.db, peer.device) is not None:
            raise BadIdentity("the device key belonged to an agent before")
        secrets = ownership.secrets_of(core, hosted)
        name = f"{hosting.DEVICE_NAME}-{len(before.devices) + len(before.revoked) + 1}"
        entry = identities.admit_device(before, ownership.root_key(secrets), peer.device, name, peer.consent)
        ownership.grow(core, hosted, entry, secrets)
    sharing.tell_all(core, hosted)
    floors = _floors(core, hosted, display.since_ms)
    kept.give(core.db, hosted.local.id, talks.within(hosted), peer.device, _placed(hosted, floors), core.now_ms())
    core.mark_ready((hosted.local.device, peer.device))
    ways.met(core, hosted, hosted.local.agent, peer, display.prepared)
    shown = hosted.speaker.identity.entries[display.shown_entries :]
    return encode_gift(Gift(shown, hosted.local.policy, hosted.local.hidden, tuple(floors)))


def _floors(core: Core, hosted: Hosted, since_ms: int) -> list[Floor]:
    """Chains beyond LINK_FLOORS are given in full: no pairing message could name them all."""
    own = hosted.local.agent
    sides = {talk.id: peer for talk in talks.all_of(core, hosted) if talk.kind == DIRECT for peer in talk.others(own)}
    return kept.floors_before(core.db, sides, since_ms)[:LINK_FLOORS]


def _placed(hosted: Hosted, floors: Sequence[Floor]) -> list[tuple[Conversation, Floor]]:
    return [(talks.with_peer(hosted, floor.peer), floor) for floor in floors]


# --- the side that types it ---


def newcomer(core: Core) -> SigningKey:
    """The device key to be linked. One that was linked, or refused, is used for no other attempt."""
    key = SigningKey.from_seed(keyring.linking_seed(core.keys, core.entropy.draw(keyring.SEED_BYTES)))
    if core.hosted.of_device(key.public) is not None:
        keyring.end_linking(core.keys)
        return newcomer(core)
    return key


def introduce(key: SigningKey, prepared: Sequence[OwnQueue]) -> Self:
    return Self(key, None, b"", "", "", tuple(own.route for own in prepared))


def check_free(core: Core, name: str | None, place: str) -> None:
    """Raises BadName, AgentExists, or AlreadyHere for a code that an agent of this machine shows."""
    if name is not None:
        check_name(name)
        if agents.agent_named(core.db, name) is not None:
            raise AgentExists(f"an agent named {name!r} already lives on this node", hint="choose another: --name NAME")
    if core.of(Desk).shown_at(place) is not None:
        raise AlreadyHere


def barred(core: Core) -> list[bytes]:
    """Agents that no code brings here: those that live here, and removed ones. What these left in the store would count
    as held, contacts above all, and would not be sent again."""
    return [*(hosted.local.agent for hosted in core.hosted.values()), *(a for a, _ in removals.removed(core.db))]


def why_barred(core: Core, agent: bytes) -> P2PError | None:
    """Why the agent is barred; None if it is not."""
    if not agent:
        return None
    return RemovedHere() if removals.is_removed(core.db, agent) else AlreadyHere()


def refused(core: Core) -> None:
    """The other side will never add that device: it was revoked there, or belongs to another agent."""
    keyring.end_linking(core.keys)


def settle(core: Core, attempt: Join, met: Met) -> Hosted:
    """From now on the agent lives here too. Raises BadIdentity, IdentityFork, Malformed or UnknownVersion."""
    assert met.peer.identity is not None
    gift = decode_gift(met.gift)
    shown = met.peer.identity
    identity = identities.merge(agents.load_identity(core.db, shown.agent), 0, (*shown.entries, *gift.entries))
    key = newcomer(core)
    if key.public not in identity.devices:
        raise BadIdentity("the identity log does not add this device")
    hosted = hosting.settle(
        core,
        identity,
        AgentSecrets(b"", b"", key.seed),
        name=_free_name(core, attempt.petname or met.peer.name),
        kind=met.peer.kind if met.peer.kind in KINDS else "other",
        policy=gift.policy if gift.policy in POLICIES else "ask",
        hidden=gift.hidden,
        announced=met.peer.name,
    )
    kept.set_floors(core.db, hosted.local.id, _placed(hosted, gift.floors))
    ways.met(core, hosted, identity.agent, met.peer, attempt.prepared)
    return hosted


def _free_name(core: Core, wanted: str) -> str:
    """The agent's own name, or a similar one if another agent here has it."""
    try:
        check_name(wanted)
    except BadName:
        wanted = "agent"
    names = (f"{wanted[: NAME_CHARS - 4]}-{number}" for number in itertools.count(2))
    while agents.agent_named(core.db, wanted) is not None:
        wanted = next(names)
    return wanted
