"""Moves an agent between machines: what a backup holds of it, and how it returns as a new device.

A restore always rotates the root key and revokes every earlier device (PROTOCOL E2): whoever has the old machine, or
this backup's root key, no longer speaks for the agent. A backup contains neither device keys nor sessions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from p2p_agents.core.agents import hosting, ownership
from p2p_agents.core.contact import directory
from p2p_agents.core.identity import adoption
from p2p_agents.core.links import seeking
from p2p_agents.crypto import identity as identities
from p2p_agents.crypto.backup import Backup, Pin
from p2p_agents.crypto.signing import SigningKey
from p2p_agents.errors import AgentExists, BackupOutdated, BadName, IdentityFork, IdentityFull
from p2p_agents.limits import IDENTITY_ENTRIES, REASON_CHARS
from p2p_agents.store import agents, archive, contacts, keyring, removals
from p2p_agents.store.contacts import Trust
from p2p_agents.store.keyring import AgentSecrets
from p2p_agents.wire.names import check_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from p2p_agents.core.kernel.core import Core
    from p2p_agents.core.kernel.state import Hosted
    from p2p_agents.crypto.identity import Identity

Json = dict[str, Any]

DEVICE_NAME = "restored"


# --- export ---


def gather(core: Core, params: Json) -> tuple[int, Backup]:
    """(the agent's number in this store, everything of it except its log)."""
    hosted = core.acting(params["agent"])
    kept = ownership.secrets_of(core, hosted)
    local = hosted.local
    pins = tuple(_pin(core, contact) for contact in contacts.contacts(core.db, local.id))
    settings = (local.name, local.kind, local.policy, local.hidden)
    backup = Backup(
        *settings, hosted.speaker.identity, ownership.root_key(kept).seed, kept.next_root, pins, core.now_ms()
    )
    return local.id, backup


def _pin(core: Core, c: contacts.Contact) -> Pin:
    identity = agents.load_identity(core.db, c.peer)
    frozen = (c.frozen or "")[:REASON_CHARS]
    entries = identity.entries if identity else ()
    return Pin(c.peer, c.name, c.kind, c.petname or "", c.trust.name, frozen, c.final, entries)


# --- import ---


@dataclass(frozen=True, slots=True)
class Found:
    """An opened backup; its log is read while it is imported."""

    backup: Backup
    log: Iterable[bytes]


@dataclass(frozen=True, slots=True)
class Restored:
    """An agent that lives here again, with the number of its contacts and log entries."""

    hosted: Hosted
    contacts: int
    entries: int


def restore(core: Core, params: Json, found: Found) -> Restored:
    """Restore all of it, or raise and change nothing. `seed` is the next root key, if the backup lacks it.

    Raises AgentExists, BadName, NextRootMissing, NextRootWrong, IdentityFull, BackupOutdated, BackupDamaged.
    """
    backup = found.backup
    name = _name_of(core, backup.identity.agent) or params["name"] or backup.name
    _check_free(core, name, backup.identity.agent)
    seed = params.get("seed") or backup.next_root
    ownership.check_next_root(backup.identity, seed)
    secrets = AgentSecrets(seed, core.entropy.draw(keyring.SEED_BYTES), core.entropy.draw(keyring.SEED_BYTES))
    identity = _follow(core, _succeed(backup, secrets))
    revived = removals.is_removed(core.db, identity.agent)
    hosted = hosting.settle(
        core, identity, secrets, name=name, kind=backup.kind, policy=backup.policy, hidden=backup.hidden
    )
    for pin in backup.contacts:
        _restore_contact(core, hosted, pin)
    lines = (line for chunk in found.log for line in archive.lines(chunk))
    messages = archive.restore(core.db, hosted.local.id, lines, core.now_ms(), revived=revived)
    return Restored(hosted, len(backup.contacts), messages)


def _name_of(core: Core, agent: bytes) -> str:
    """The name of an agent that is already here with broken keys: the backup gives it new ones."""
    return next((each.local.name for each in core.unusable.values() if each.local.agent == agent), "")


def _check_free(core: Core, name: str, agent: bytes) -> None:
    check_name(name)
    if (here := core.hosted_id(agent)) is not None:
        raise AgentExists(f"this agent lives on this node, as {here.local.name}", hint="there is nothing to restore")
    if (same := agents.agent_named(core.db, name)) is not None and same.agent != agent:
        raise AgentExists(
            f"an agent named {name!r} already lives on this node", hint="give it another one: --name NAME"
        )


def _succeed(backup: Backup, secrets: AgentSecrets) -> Identity:
    """The log after the restore: a rotate, a revoke for each earlier device, and the new device."""
    before = backup.identity
    if len(before.entries) + len(before.devices) + 2 > IDENTITY_ENTRIES:
        raise IdentityFull
    root, following = (SigningKey.from_seed(seed) for seed in (secrets.root, secrets.next_root))
    entry = identities.rotate(before, root, following.public, SigningKey.from_seed(backup.root))
    identity = identities.replay([*before.entries, entry])
    for device in before.devices:
        identity = identities.replay([*identity.entries, identities.revoke_device(identity, root, device)])
    entry = identities.add_device(identity, root, SigningKey.from_seed(secrets.device), DEVICE_NAME)
    return identities.replay([*identity.entries, entry])


def _follow(core: Core, identity: Identity) -> Identity:
    """Another agent of this node may know this agent's log, and a newer one than the backup's."""
    known = agents.load_identity(core.db, identity.agent)
    try:
        return identities.merge(known, 0, identity.entries)
    except IdentityFork as fork:
        raise BackupOutdated from fork


def _restore_contact(core: Core, hosted: Hosted, pin: Pin) -> None:
    local = hosted.local.id
    if pin.agent == hosted.local.agent or contacts.contact(core.db, local, pin.agent) is not None:
        return
    trust = Trust[pin.trust] if pin.trust in Trust.__members__ else Trust.UNKNOWN
    if pin.entries and core.hosted_id(pin.agent) is None:
        adoption.adopt(core, identities.replay(pin.entries))
    contacts.save_contact(core.db, local, pin.agent, name=pin.name, kind=pin.kind, trust=trust, now_ms=core.now_ms())
    if pin.frozen:
        contacts.freeze(core.db, pin.agent, pin.frozen, final=pin.final, agent=local)
    if trust >= Trust.ACCEPTED:
        seeking.seek(core, pin.agent)
    if pin.petname:
        _restore_petname(core, hosted, pin)


def _restore_petname(core: Core, hosted: Hosted, pin: Pin) -> None:
    """Unless it now reads like an id on this node."""
    try:
        petname = directory.check_petname(core, hosted, pin.agent, pin.petname)
    except BadName:
        return
    contacts.set_petname(core.db, hosted.local.id, pin.agent, petname)
