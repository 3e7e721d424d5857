"""Weekly prekeys of our agents: made, renewed, destroyed (PROTOCOL D2)."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from p2p_agents.crypto.bundle import sign_bundle
from p2p_agents.crypto.kem import SEED_BYTES, KemKey
from p2p_agents.limits import BUNDLE_LIFE_MS, DAY_MS, PREKEY_DAYS
from p2p_agents.store import agents
from p2p_agents.store.agents import Prekey

if TYPE_CHECKING:
    from p2p_agents.core.kernel.core import Core
    from p2p_agents.core.kernel.state import Hosted


def renew(core: Core) -> None:
    for hosted in core.hosted.values():
        newest = agents.prekeys(core.db, hosted.local.device)[:1]
        if not newest or core.now_ms() - newest[0].created_ms > PREKEY_DAYS * DAY_MS:
            add(core, hosted)


def add(core: Core, hosted: Hosted) -> None:
    now_ms = core.now_ms()
    seed = core.entropy.draw(SEED_BYTES)
    expires_ms = now_ms + BUNDLE_LIFE_MS
    agents.add_prekey(core.db, hosted.local.device, Prekey(seed, now_ms, expires_ms))
    key = KemKey.from_seed(seed)
    hosted.prekeys.insert(0, key)
    speaker = hosted.speaker
    bundle = sign_bundle(speaker.key, speaker.identity.agent, key.public, expires_ms)
    hosted.speaker = replace(speaker, bundle=bundle)


def destroy_old(core: Core) -> None:
    """In the store and in memory, since a node may run for months. A prekey made under a clock that was ahead counts as
    made now: otherwise it would be neither renewed nor destroyed for as long as the clock was wrong."""
    agents.date_back_prekeys(core.db, core.now_ms(), core.now_ms() + DAY_MS)
    agents.destroy_prekeys(core.db, core.now_ms() - BUNDLE_LIFE_MS)
    for hosted in core.hosted.values():
        left = len(agents.prekeys(core.db, hosted.local.device))
        if left < len(hosted.prekeys):
            core.undo.append(partial(hosted.prekeys.extend, hosted.prekeys[left:]))
            del hosted.prekeys[left:]
