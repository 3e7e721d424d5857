"""A newcomer finds the test of a module: it mirrors it, or is named here.

`core/links/dialing.py` is shown by `core/links/test_dialing.py`. What several modules do together is told as a
conversation of whole nodes in `sim/`; those modules stand in the table. It may only shrink: a module that gets a test
of its own leaves it.
"""

from __future__ import annotations

from pathlib import Path

import pytest

TESTS = Path(__file__).parent
SOURCES = TESTS.parent / "p2p_agents"
MODULES = sorted(
    str(path.relative_to(SOURCES).with_suffix(""))
    for top in ("core", "node")
    for path in (SOURCES / top).rglob("*.py")
    if path.stem not in ("__init__", "__main__")
)
MOST = 63  # entries there were when the table was made

SHOWN_BY = {
    "core/agents/hosting": "node/test_homes.py",
    "core/agents/ownership": "sim/test_identity.py",
    "core/agents/remains": "sim/test_agent_removal.py",
    "core/agents/restoration": "sim/test_backup.py",
    "core/api/addressing": "sim/test_knock.py",
    "core/api/allowlist": "sim/test_allow.py",
    "core/api/commands": "node/test_service.py",
    "core/api/introduction": "sim/test_introductions.py",
    "core/api/invitation": "sim/test_pairing.py",
    "core/api/removal": "sim/test_agent_removal.py",
    "core/api/trust": "sim/test_trust.py",
    "core/contact/callers": "sim/test_knock.py",
    "core/contact/cards": "sim/test_introductions.py",
    "core/contact/consent": "sim/test_consent.py",
    "core/contact/knocking": "sim/test_knock.py",
    "core/contact/petition": "sim/test_consent.py",
    "core/contact/reply": "sim/test_knock.py",
    "core/contact/sharing": "sim/test_linking.py",
    "core/delivery/failures": "sim/test_removal.py",
    "core/delivery/holdings": "sim/test_rollback.py",
    "core/delivery/inbound": "sim/test_messages.py",
    "core/delivery/integrity": "sim/test_damage.py",
    "core/delivery/outbound": "sim/test_messages.py",
    "core/delivery/quotas": "sim/test_contact_floods.py",
    "core/delivery/receipts": "sim/test_reading.py",
    "core/delivery/resets": "sim/test_messages.py",
    "core/delivery/sealing": "sim/test_stalled.py",
    "core/delivery/sync": "sim/test_patience.py",
    "core/delivery/vouchers": "sim/test_identity.py",
    "core/identity/adoption": "sim/test_identity.py",
    "core/identity/family": "sim/test_devices.py",
    "core/identity/prekeys": "sim/test_time.py",
    "core/identity/talks": "sim/test_conversations.py",
    "core/kernel/effects": "core/turn/test_router.py",
    "core/kernel/entropy": "node/test_homes.py",
    "core/kernel/sessions": "sim/test_messages.py",
    "core/kernel/state": "sim/test_phases.py",
    "core/links/crowds": "sim/test_work.py",
    "core/links/dialing": "sim/test_hostile.py",
    "core/links/memory": "sim/test_hostile.py",
    "core/links/opening": "sim/test_phases.py",
    "core/links/presence": "sim/test_messages.py",
    "core/links/proof": "sim/test_hostile.py",
    "core/links/releases": "sim/test_releases.py",
    "core/links/seeking": "sim/test_found_by_attack.py",
    "core/links/standing": "sim/test_consent.py",
    "core/pairing/desk": "sim/test_pairing.py",
    "core/pairing/exchange": "sim/test_pairing.py",
    "core/pairing/linking": "sim/test_linking.py",
    "core/pairing/meeting": "sim/test_pairing.py",
    "core/pairing/places": "sim/test_pairing_bridge.py",
    "core/relay/questions": "sim/test_bridge.py",
    "core/turn/batch": "sim/test_disk.py",
    "core/turn/dispatch": "sim/test_hostile.py",
    "core/turn/relays": "sim/test_bridge.py",
    "core/turn/restart": "sim/test_disk.py",
    "core/turn/schedule": "sim/test_time.py",
    "core/turn/wiring": "core/turn/test_kinds.py",
    "node/bridge_desk": "node/test_bridges.py",
    "node/keeping": "sim/test_backup.py",
    "node/machine": "core/kernel/test_clock.py",
    "node/node": "node/test_daemon.py",
    "node/parts": "node/test_lane.py",
}


def mirror(module: str) -> Path:
    path = TESTS / module
    return path.with_name(f"test_{path.name}.py")


@pytest.mark.parametrize("module", MODULES)
def test_every_module_of_the_decider_and_the_shell_has_a_test_that_one_finds(module: str) -> None:
    assert mirror(module).exists() != (module in SHOWN_BY), "a mirror or an entry, and not both"


@pytest.mark.parametrize(("module", "shown_by"), SHOWN_BY.items())
def test_the_table_is_true(module: str, shown_by: str) -> None:
    assert (SOURCES / f"{module}.py").exists()
    assert (TESTS / shown_by).exists()


def test_the_table_only_shrinks() -> None:
    assert len(SHOWN_BY) <= MOST
