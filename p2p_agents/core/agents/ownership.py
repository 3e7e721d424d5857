"""Our own identity logs: their content, and what a human adds: rotations, revocations, export of the next root key."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from p2p_agents.core.agents import hosting
from p2p_agents.core.identity import family
from p2p_agents.core.kernel.clock import time_text
from p2p_agents.core.kernel.effects import PeersChanged
from p2p_agents.core.kernel.state import BridgedLink
from p2p_agents.crypto import identity as identities
from p2p_agents.crypto.fingerprint import id_text
from p2p_agents.crypto.signing import SigningKey
from p2p_agents.errors import (
    DeviceRevoked,
    DeviceUnknown,
    IdentityBehind,
    IdentityFull,
    KeysBroken,
    NextRootMissing,
    NextRootWrong,
    OwnDevice,
    RootElsewhere,
)
from p2p_agents.limits import IDENTITY_ENTRIES
from p2p_agents.store import agents, keyring
from p2p_agents.wire.frame import GHOST

if TYPE_CHECKING:
    from p2p_agents.core.kernel.core import Core
    from p2p_agents.core.kernel.state import Hosted
    from p2p_agents.crypto.identity import Identity, Said
    from p2p_agents.results import identity as results
    from p2p_agents.store.keyring import AgentSecrets

Json = dict[str, Any]

HERE, EXPORTED, ELSEWHERE = "here", "exported", "elsewhere"  # where the next root key is


# --- content ---


def show(core: Core, params: Json) -> results.IdentityLog:
    """The identity log, oldest entry first."""
    hosted = core.acting(params["agent"])
    return shown(core, hosted)


def shown(core: Core, hosted: Hosted) -> results.IdentityLog:
    """A log as people read it. Entries after the first have no time."""
    identity = hosted.speaker.identity
    created = time_text(identity.created_ms)
    return {
        "agent": {"id": id_text(identity.agent), "name": hosted.local.name},
        "next_root": _where_next(secrets_of(core, hosted)),
        "entries": [
            {
                "n": said.n,
                "kind": said.kind,
                "device": id_text(said.device) if said.device else None,
                "time": None if said.n else created,
            }
            for said in identities.read_out(identity)
        ],
    }


def devices(core: Core, params: Json) -> results.Devices:
    """Every installation that the agent has or had."""
    hosted = core.acting(params["agent"])
    root = bool(secrets_of(core, hosted).root)
    return {"devices": [_device(hosted, said, root) for said in _added(hosted.speaker.identity)]}


def device(core: Core, hosted: Hosted, key: bytes) -> results.Device:
    """One of them."""
    root = bool(secrets_of(core, hosted).root)
    return next(_device(hosted, said, root) for said in _added(hosted.speaker.identity) if said.device == key)


def _device(hosted: Hosted, said: Said, root: bool) -> results.Device:
    """Whether a device has the root key is known only for this installation."""
    return {
        "id": id_text(said.device),
        "name": said.name,
        "state": "live" if said.device in hosted.speaker.identity.devices else "revoked",
        "here": said.device == hosted.local.device,
        "root": root if said.device == hosted.local.device else None,
        "n": said.n,
    }


def _added(identity: Identity) -> list[Said]:
    return [said for said in identities.read_out(identity) if said.kind == identities.ADD_DEVICE]


def _where_next(kept: AgentSecrets) -> results.NextRoot:
    """An installation that another one linked never had it, and cannot tell."""
    return HERE if kept.next_root else EXPORTED if kept.root else ELSEWHERE


# --- changes by a human ---


def rotate(core: Core, params: Json) -> results.IdentityLog:
    """Put the committed root key into force and draw the next one. `seed` is that root key, if it was exported.

    Raises DeviceRevoked, IdentityBehind unless `anyway`, NextRootMissing, NextRootWrong or IdentityFull.
    """
    hosted = core.acting(params["agent"])
    kept = secrets_of(core, hosted)
    seed: bytes = params.get("seed") or kept.next_root
    if hosted.retired and not params.get("seed"):  # its signature would contradict what contacts know
        raise DeviceRevoked
    if hosted.behind and not (params.get("seed") or params.get("anyway")):  # two rotates freeze every contact for good
        raise IdentityBehind
    if not seed and not kept.root:
        raise RootElsewhere
    check_next_root(hosted.speaker.identity, seed)
    fresh = core.entropy.draw(keyring.SEED_BYTES)
    root, following = SigningKey.from_seed(seed), SigningKey.from_seed(fresh)
    check_room(hosted.speaker.identity, 1)
    agreed = SigningKey.from_seed(kept.root) if kept.root else None
    entry = identities.rotate(hosted.speaker.identity, root, following.public, agreed)
    grow(core, hosted, entry, replace(kept, root=seed, next_root=fresh))
    return shown(core, hosted)


def check_next_root(identity: Identity, seed: bytes) -> None:
    """Raises NextRootMissing or NextRootWrong unless the log commits to this key."""
    if not seed:
        raise NextRootMissing
    if hashlib.sha256(SigningKey.from_seed(seed).public).digest() != identity.next_root_hash:
        raise NextRootWrong


def revoke(core: Core, params: Json) -> results.Devices:
    """Revoke another installation of the agent, for good. Raises DeviceUnknown, OwnDevice or IdentityFull."""
    hosted = core.acting(params["agent"])
    device = _find(hosted, params["device"])
    kept = secrets_of(core, hosted)
    check_room(hosted.speaker.identity, 1)
    entry = identities.revoke_device(hosted.speaker.identity, root_key(kept), device)
    grow(core, hosted, entry, kept)
    return devices(core, params)


def _find(hosted: Hosted, word: str) -> bytes:
    identity, lowered = hosted.speaker.identity, word.lower()
    live = [said for said in _added(identity) if said.device in identity.devices]
    found = [s.device for s in live if s.name.lower() == lowered or id_text(s.device).startswith(lowered)]
    if len(found) != 1:
        many = f"{len(found)} live devices" if found else "no live device"
        raise DeviceUnknown(f"{many} of {hosted.local.name} {'are' if found else 'is'} called {word[:64]!r}")
    if found[0] == hosted.local.device:
        raise OwnDevice
    return found[0]


def next_root(core: Core, params: Json) -> tuple[bytes, bytes]:
    """(agent id, the next root's seed), to be written to a file. Raises NextRootMissing."""
    hosted = core.acting(params["agent"])
    kept = secrets_of(core, hosted)
    if not kept.next_root and not kept.root:
        raise RootElsewhere
    if not kept.next_root:
        raise NextRootMissing("the next root key was exported, and is no longer on this machine", hint="it exists once")
    return hosted.local.agent, kept.next_root


def forget_next_root(core: Core, params: Json, seed: bytes) -> results.IdentityLog:
    """It is in a file now; delete it here, so that whoever steals this disk cannot rotate."""
    hosted = core.acting(params["agent"])
    kept = secrets_of(core, hosted)
    if kept.next_root != seed:
        raise NextRootWrong("the agent rotated its root key in the meantime", hint="export the next one")
    hosting.write_keys(core, hosted.local.agent, replace(kept, next_root=b""))
    return shown(core, hosted)


# --- keys and log together ---


def secrets_of(core: Core, hosted: Hosted) -> AgentSecrets:
    """The agent's keys; brings its log in memory up to date with them. Raises KeysBroken, also for keys of an older
    log."""
    kept = keyring.read_agent_key(core.keys, hosted.local.agent)
    identity = hosting.newest(core, hosted.local, hosted.speaker.identity, kept)
    if identity is not hosted.speaker.identity:
        _speak_as(core, hosted, identity)
    if kept.root and SigningKey.from_seed(kept.root).public != identity.root:
        why = f"the key file of {hosted.local.name} is older than its identity log: its root key was replaced since"
        raise KeysBroken(why, hint="restore a backup that was made after the last rotation")
    return kept


def root_key(kept: AgentSecrets) -> SigningKey:
    """The root key in force. Raises RootElsewhere on an installation that another one linked."""
    if not kept.root:
        raise RootElsewhere
    return SigningKey.from_seed(kept.root)


def check_room(identity: Identity, entries: int) -> None:
    if len(identity.entries) + entries > IDENTITY_ENTRIES:
        raise IdentityFull


def grow(core: Core, hosted: Hosted, entry: bytes, secrets: AgentSecrets) -> None:
    """Append one entry: durable with its keys first, then in the store; contacts learn of it with their next HELLO,
    which is due now."""
    identity = identities.merge(hosted.speaker.identity, hosted.speaker.identity.n + 1, [entry])
    hosting.write_keys(core, identity.agent, replace(secrets, entries=identity.entries))
    agents.save_identity(core.db, identity)
    _speak_as(core, hosted, identity)
    family.gather(core, hosted)
    _show(core, hosted)
    core.effect(PeersChanged())


def _show(core: Core, hosted: Hosted) -> None:
    """Links that reopen send a new HELLO; over bridges the next SYNC, which follows a greeting, is due."""
    for found in list(core.links.values()):
        for link in list(found):
            if link.agent == hosted.local.id:
                core.close_link(link, GHOST)
    for link in core.ways.values():
        if link.agent == hosted.local.id and isinstance(link, BridgedLink):
            link.way.sync_at = link.way.patience = 0.0


def _speak_as(core: Core, hosted: Hosted, identity: Identity) -> None:
    core.undo.append(partial(setattr, hosted, "speaker", hosted.speaker))
    hosted.speaker = replace(hosted.speaker, identity=identity)
