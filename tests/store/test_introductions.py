"""Introductions and leads."""

from __future__ import annotations

import dataclasses

from p2p_agents.store import agents, introductions
from p2p_agents.store.introductions import Introduction
from tests.store.log_of import ALICE, BOB, CAROL

DAVE = b"d" * 32
MADE = Introduction(BOB, CAROL, "bob", "other", b"card", 5)


def test_one_of_each_introducer_is_kept(db):
    """E4"""
    other = dataclasses.replace(MADE, introducer=DAVE, time_ms=3)
    for made in (MADE, other, dataclasses.replace(MADE, name="robert")):
        introductions.save(db, 1, made)
    assert [made.name for made in introductions.pending(db, 1)] == ["bob", "robert"]
    assert introductions.pending(db, 1, ALICE) == introductions.pending(db, 2) == []
    assert introductions.count_pending(db, 1) == 2


def test_a_decision_is_for_all_introducers(db):
    """E4"""
    introductions.save(db, 1, MADE)
    introductions.save(db, 2, MADE)
    introductions.settle(db, 1, BOB, "rejected")
    assert introductions.state_of(db, 1, BOB, CAROL) == "rejected"
    assert introductions.state_of(db, 1, BOB, DAVE) is None
    assert introductions.count_pending(db, 1) == 0
    assert introductions.count_pending(db, 2) == 1


def test_what_an_introducer_made_is_counted_whatever_became_of_it(db):
    """E4"""
    introductions.save(db, 1, MADE)
    introductions.save(db, 1, dataclasses.replace(MADE, peer=DAVE, time_ms=9, state="accepted"))
    assert introductions.count_since(db, 1, CAROL, 4) == 2
    assert introductions.count_since(db, 1, CAROL, 5) == 1
    assert introductions.count_since(db, 1, BOB, 0) == 0


def test_a_no_is_not_forgotten(db):
    """B11"""
    for peer, state in ((BOB, "pending"), (CAROL, "accepted"), (DAVE, "rejected")):
        introductions.save(db, 1, dataclasses.replace(MADE, peer=peer, introducer=ALICE, state=state))
    introductions.forget(db, 6)
    states = [introductions.state_of(db, 1, peer, ALICE) for peer in (BOB, CAROL, DAVE)]
    assert states == [None, None, "rejected"]


def test_leads_go_when_a_place_is_proven(db):
    """E4"""
    for node, address in ((b"n" * 32, "192.0.2.1:1"), (b"n" * 32, "192.0.2.1:1"), (b"m" * 32, "192.0.2.2:1")):
        introductions.add_lead(db, BOB, node, address)
    assert len(introductions.leads(db, BOB)) == 2
    assert introductions.led_to(db, b"n" * 32) == [BOB]
    introductions.forget_leads(db, BOB)
    assert introductions.led_to(db, b"n" * 32) == []


def test_what_becomes_of_introductions_is_each_agents(db):
    """E4"""
    db.run(
        "INSERT INTO agents (id, agent, device, name, kind, created_ms) VALUES (1, x'01', x'02', 'alice', 'other', 1)"
    )
    assert agents.agent_named(db, "alice").introductions == "ask"
    agents.set_introductions(db, 1, "ignore")
    assert agents.agent_named(db, "alice").introductions == "ignore"
