"""The agents that this node hosts: created once, loaded at every start."""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from p2p_agents.core.identity import family, prekeys
from p2p_agents.core.kernel.effects import Announce, KeysRemoved, KeysWritten, PeersChanged
from p2p_agents.core.kernel.state import Hosted, Unusable
from p2p_agents.core.links import opening
from p2p_agents.crypto import identity as identities
from p2p_agents.crypto.bundle import sign_bundle
from p2p_agents.crypto.kem import KemKey
from p2p_agents.crypto.signing import SigningKey
from p2p_agents.errors import AgentExists, BadIdentity, IdentityRollback, KeysBroken, PeerFault
from p2p_agents.link.hello import Speaker
from p2p_agents.store import agents, keyring, lived, mending, outbox, removals, sessions
from p2p_agents.store.keyring import AgentSecrets
from p2p_agents.wire.names import check_name

if TYPE_CHECKING:
    from p2p_agents.core.kernel.core import Core
    from p2p_agents.crypto.identity import Identity
    from p2p_agents.store.agents import LocalAgent

log = logging.getLogger(__name__)

DEVICE_NAME = "device"  # shown in the identity log; it names no machine


def create(core: Core, *, name: str, kind: str, policy: str, hidden: bool) -> Hosted:
    """A new agent with its identity, device and keys. Raises BadName or AgentExists.

    The key file is complete on disk before the store names the agent: a crash between the two leaves a key that nobody
    uses.
    """
    check_name(name)
    if (same := agents.agent_named(core.db, name)) is not None:
        return _same(core, same, kind=kind, policy=policy, hidden=hidden)
    root, next_root, seed = (core.entropy.draw(keyring.SEED_BYTES) for _ in range(3))
    secrets = AgentSecrets(root, next_root, seed)
    identity = _incept(core, secrets)
    return settle(core, identity, secrets, name=name, kind=kind, policy=policy, hidden=hidden)


def _same(core: Core, agent: LocalAgent, **wanted: Any) -> Hosted:
    """The agent that already has the name, if it has the requested properties. Raises AgentExists."""
    found = {key: getattr(agent, key) for key, value in wanted.items() if getattr(agent, key) != value}
    hiding = {True: "hidden", False: "not hidden"}
    differing = [hiding[value] if key == "hidden" else f"{key} {value}" for key, value in found.items()]
    if differing:
        hint = f"choose another name, or act for it as it is: --as {agent.name}"
        raise AgentExists(f"an agent named {agent.name!r} lives here already: {', '.join(differing)}", hint=hint)
    return core.host(agent.id)


def settle(
    core: Core,
    identity: Identity,
    secrets: AgentSecrets,
    *,
    name: str,
    kind: str,
    policy: str,
    hidden: bool,
    announced: str = "",
) -> Hosted:
    """Host an agent with these keys from now on. Others know it by the name `announced`, if that differs."""
    write_keys(core, identity.agent, replace(secrets, entries=identity.entries))
    device = SigningKey.from_seed(secrets.device)
    local = agents.add_agent(
        core.db,
        identity,
        device.public,
        name=name,
        kind=kind,
        policy=policy,
        hidden=hidden,
        now_ms=core.now_ms(),
    )
    hosted = Hosted(local, Speaker(identity, device, b"", name, kind), [], root=bool(secrets.root))
    core.hosted[local.id] = hosted
    core.undo.append(lambda: core.hosted.remove(local.id))
    if (unusable := core.unusable.pop(local.id, None)) is not None:
        core.undo.append(partial(core.unusable.__setitem__, local.id, unusable))
    family.gather(core, hosted, announced)
    prekeys.add(core, hosted)
    changed(core)
    return hosted


def write_keys(core: Core, agent: bytes, secrets: AgentSecrets) -> None:
    """The previous file is kept until the batch is committed, and put back if it is undone. A commit of unknown outcome
    leaves the new file, which fits either store, because the log is stored with its keys."""
    kept = keyring.write_agent_key(core.keys, agent, secrets)

    def undo() -> None:
        if not core.db.is_lost:
            keyring.put_back(core.keys, agent, kept)

    core.undo.append(undo)
    core.effect(KeysWritten(agent))


def _incept(core: Core, secrets: AgentSecrets) -> Identity:
    root = SigningKey.from_seed(secrets.root)
    next_root = SigningKey.from_seed(secrets.next_root)
    first = identities.replay([identities.inception(root, next_root.public, core.now_ms())])
    added = identities.add_device(first, root, SigningKey.from_seed(secrets.device), DEVICE_NAME)
    return identities.replay([*first.entries, added])


def load_all(core: Core) -> None:
    """At start. An agent whose keys are broken is left out, and any command for it says so.

    The incarnation rises with every start, whatever the wall clock does.
    """
    mending.mend(core.db)
    core.incarnation = max(core.now_ms(), core.db.remembered("incarnation") + 1)
    core.db.remember("incarnation", core.incarnation)
    lived.keep(core.db, core.lived.mark())
    load_resting(core)
    for key, sid in sessions.damaged(core.db):
        core.lose(key, sid)
    outbox.unseal_lost(core.db)
    for agent, device in removals.removed(core.db):
        core.effect(KeysRemoved(agent, device))
    for hosted in core.hosted.values():
        core.effect(KeysWritten(hosted.local.agent))
        family.gather(core, hosted)
    prekeys.renew(core)


def load_resting(core: Core) -> None:
    """Load the agents without writing anything."""
    core.unusable.clear()
    for local in agents.agents(core.db):
        try:
            core.hosted[local.id] = _load(core, local)
        except KeysBroken as fault:
            log.error("agent %s cannot be used: %s", local.name, fault.message)
            core.unusable[local.id] = Unusable(local, fault)


def _load(core: Core, local: LocalAgent) -> Hosted:
    try:
        kept = keyring.read_agent_key(core.keys, local.agent)
    except KeysBroken as broken:
        raise KeysBroken(f"agent {local.name}: {broken.message}") from broken
    device = SigningKey.from_seed(kept.device)
    if device.public != local.device:
        raise KeysBroken(f"the keys of agent {local.name} do not belong to its identity")
    identity = newest(core, local, _identity(core, local, kept), kept)
    stored = agents.prekeys(core.db, local.device)
    prekeys = [KemKey.from_seed(prekey.seed) for prekey in stored]
    bundle = sign_bundle(device, local.agent, prekeys[0].public, stored[0].expires_ms) if stored else b""
    return Hosted(local, Speaker(identity, device, bundle, local.name, local.kind), prekeys, root=bool(kept.root))


def _identity(core: Core, local: LocalAgent, kept: AgentSecrets) -> Identity:
    """The identity log from the store; if it is damaged there, from the key file."""
    identity = agents.load_identity(core.db, local.agent)
    if identity is not None:
        return identity
    try:
        identity = identities.replay(kept.entries)
        if not core.db.is_read_only:
            agents.save_identity(core.db, identity)
    except PeerFault as fault:
        raise KeysBroken(f"the identity log of agent {local.name} is damaged: {fault.message}") from fault
    log.warning("the store's identity log of %s was damaged; that of its key file is taken", local.name)
    return identity


def newest(core: Core, local: LocalAgent, identity: Identity, kept: AgentSecrets) -> Identity:
    """The log of the key file, if the store's is older: an earlier store was put back, or a crash came between the two
    writes."""
    try:
        found = identities.merge(identity, 0, kept.entries)
    except IdentityRollback:
        return identity
    except BadIdentity as fault:
        raise KeysBroken(f"agent {local.name} has two identity logs that contradict each other") from fault
    if found.head == identity.head:
        return identity
    log.warning("the store knew an older identity log of %s than its key file", local.name)
    agents.save_identity(core.db, found)
    return found


def reload(core: Core) -> None:
    """Rows of agents changed: status, policy, default."""
    fresh = {local.id: local for local in agents.agents(core.db)}
    for each in core.hosted.values():
        core.undo.append(partial(setattr, each, "local", each.local))
        each.local = fresh[each.local.id]
    core.undo.append(partial(setattr, core, "unusable", core.unusable))
    core.unusable = {number: replace(each, local=fresh[number]) for number, each in core.unusable.items()}
    changed(core)


def changed(core: Core) -> None:
    """Tell the network, and local watchers, who lives here now."""
    opening.announce_roster(core)
    core.effect(Announce())
    core.effect(PeersChanged())
