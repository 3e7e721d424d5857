"""What the owner of an agent does by hand, and what a thief of its keys does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from p2p_agents.core.agents import ownership
from p2p_agents.core.api import trust
from p2p_agents.crypto import identity as identities
from p2p_agents.crypto.identity import Identity
from p2p_agents.crypto.signing import SigningKey
from p2p_agents.store import agents, contacts, keyring
from p2p_agents.store.keyring import AgentSecrets
from tests.sim.world import Agent, Node, World

Grow = Callable[[Identity, SigningKey], bytes]


def secrets_of(agent: Agent) -> AgentSecrets:
    return keyring.read_agent_key(str(agent.node.keys), agent.id)


def identity_of(agent: Agent) -> Identity:
    return agent.hosted.speaker.identity


def grows(agent: Agent, grow: Grow, **changes: Any) -> None:
    """The next entry of its log, whatever a root key can sign."""
    kept = secrets_of(agent)
    entry = grow(identity_of(agent), SigningKey.from_seed(kept.root))
    agent.node.run(lambda core: ownership.grow(core, agent.hosted, entry, replace(kept, **changes)))


def adds_device(agent: Agent, name: str) -> bytes:
    """One more device in the log; its seed."""
    seed = name.encode().ljust(32, b".")
    grows(agent, lambda identity, root: identities.add_device(identity, root, SigningKey.from_seed(seed), name))
    return seed


def rotates(agent: Agent, **how: Any) -> Any:
    return agent.call(ownership.rotate, **how)


def installed(
    world: World,
    name: str,
    agent: Agent,
    device: bytes,
    identity: Identity | None = None,
    *,
    root: bool = True,
    node: Node | None = None,
) -> Agent:
    """A node, a new one unless it is given, where the same agent lives under another device, or a thief's node that
    has its root key."""
    node = node or world.node()
    identity = identity or identity_of(agent)
    kept = replace(secrets_of(agent), device=device, entries=identity.entries)
    kept = kept if root else replace(kept, root=b"", next_root=b"")
    keyring.write_agent_key(str(node.keys), agent.id, kept)
    key = SigningKey.from_seed(device).public
    given = {"name": name, "kind": "other", "policy": "ask", "hidden": False, "now_ms": 1}
    node.run(lambda core: agents.add_agent(core.db, identity, key, **given))
    node.restart()
    twin = object.__new__(Agent)
    twin.node, twin.name, twin.id, twin.device = node, name, agent.id, key
    world.agents.append(twin)
    return twin


def knows(agent: Agent, peer: Agent) -> Identity | None:
    """The peer's log as kept at the agent's node."""
    return agents.load_identity(agent.core.db, peer.id)


def frozen(agent: Agent, peer: Agent) -> str | None:
    found = contacts.contact(agent.core.db, agent.hosted.local.id, peer.id)
    return found.frozen if found else None


def told(agent: Agent, peer: Agent) -> list[str]:
    """Kinds of events about a peer, oldest first."""
    return [event["kind"] for event in reversed(agent.call(trust.show, peer=peer.name)["events"])]
