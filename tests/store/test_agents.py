"""Local agents, identity logs, devices, prekeys."""

from __future__ import annotations

import pytest

from p2p_agents.crypto import identity as identities
from p2p_agents.crypto.identity import add_device, inception, merge, replay, rotate
from p2p_agents.crypto.signing import SigningKey
from p2p_agents.errors import BadIdentity
from p2p_agents.store import agents
from p2p_agents.store.agents import Prekey

ROOT, NEXT, DEVICE = (SigningKey.from_seed(letter * 32) for letter in (b"r", b"n", b"d"))


def identity(root=ROOT, device=DEVICE):
    first = replay([inception(root, NEXT.public, 1)])
    return replay([*first.entries, add_device(first, root, device, "device")])


def host(db, name, who):
    fields = {"kind": "other", "policy": "ask", "hidden": False, "now_ms": 1}
    return agents.add_agent(db, who, who.devices[0], name=name, **fields)


def test_an_identity_log_is_verified_once(db, monkeypatch):
    """E1: a stranger's stored log of 256 entries cost 30 ms each time it was read."""
    checked, verify = [], identities.verify
    monkeypatch.setattr(identities, "verify", lambda *said: checked.append(said) or verify(*said))
    root = SigningKey.from_seed(b"o" * 32)
    log = replay([inception(root, NEXT.public, 7)])
    for number in range(200):
        log = merge(log, log.n + 1, [add_device(log, root, SigningKey.from_seed(bytes([number]) * 32), "device")])
    agents.save_identity(db, log)
    del checked[:]
    assert agents.load_identity(db, log.agent) == log
    assert len(checked) == 401  # the inception, and two for each device
    for _ in range(100):
        assert agents.load_identity(db, log.agent) == log
    assert len(checked) == 401
    forged = [*log.entries[:-1], log.entries[-1][:-1] + b"\0"]
    with pytest.raises(BadIdentity):
        replay(forged)


def test_the_first_agent_is_the_default(db):
    alice = host(db, "alice", identity())
    carol = host(db, "carol", identity(NEXT, SigningKey.from_seed(b"x" * 32)))
    assert (alice.chosen, carol.chosen) == (True, False)
    agents.choose(db, carol.id)
    assert [agent.chosen for agent in agents.agents(db)] == [False, True]
    assert agents.agent_named(db, "ALICE").id == alice.id


def test_an_identity_is_kept_as_it_was_signed(db):
    """E1"""
    who = identity()
    agents.save_identity(db, who)
    agents.save_identity(db, who)
    assert agents.load_identity(db, who.agent) == who
    assert agents.load_identity(db, b"x" * 32) is None


def test_a_device_belongs_to_one_agent_for_ever(db):
    """E1: identity: a device key already bound to another agent is refused."""
    agents.save_identity(db, identity())
    with pytest.raises(BadIdentity):
        agents.save_identity(db, identity(NEXT, DEVICE))


def test_prekeys_come_newest_first_and_are_destroyed_by_age(db):
    """D1"""
    for at in (1, 3, 2):
        agents.add_prekey(db, DEVICE.public, Prekey(bytes([at]) * 96, at, at + 100))
    assert [prekey.created_ms for prekey in agents.prekeys(db, DEVICE.public)] == [3, 2, 1]
    agents.destroy_prekeys(db, 3)
    assert [prekey.created_ms for prekey in agents.prekeys(db, DEVICE.public)] == [3]


def test_a_superseded_tail_is_replaced_and_its_devices_stay_bound(db):
    """E1, E2"""
    first = replay([inception(ROOT, NEXT.public, 1)])
    thief = SigningKey.from_seed(b"t" * 32)
    stolen = replay([*first.entries, add_device(first, ROOT, DEVICE, "d")])
    stolen = replay([*stolen.entries, add_device(stolen, ROOT, thief, "thief")])
    agents.save_identity(db, stolen)
    rotated = merge(stolen, 0, [*first.entries, rotate(first, NEXT, thief.public, ROOT)])
    agents.save_identity(db, rotated)
    assert agents.load_identity(db, first.agent) == rotated
    assert agents.owner_of(db, thief.public) == first.agent
    agents.forget_identity(db, first.agent)
    assert agents.load_identity(db, first.agent) is None
    assert agents.owner_of(db, DEVICE.public) == first.agent
