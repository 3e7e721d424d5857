"""What a restart must not forget about pairing codes."""

from __future__ import annotations

from p2p_agents.store import pairings


def test_tries_only_rise(db):
    """F1: the count of a code never falls."""
    assert pairings.tries(db, "7Q2MX") == (0, False)
    pairings.spend(db, "7Q2MX", 2, 1000)
    pairings.spend(db, "7Q2MX", 1, 2000)
    assert pairings.tries(db, "7Q2MX") == (2, False)
    assert pairings.tries(db, "00000") == (0, False)


def test_what_has_served_has_served(db):
    """F1"""
    pairings.use(db, "7Q2MX", 1000)
    pairings.spend(db, "7Q2MX", 1, 1000)
    pairings.use(db, "7Q2MX", 1000)
    assert pairings.tries(db, "7Q2MX") == (1, True)


def test_old_codes_are_forgotten_and_places_are_not_kept_as_such(db):
    pairings.use(db, "7Q2MX", 1000)
    pairings.spend(db, "00000", 1, 3000)
    kept = db.all("SELECT place FROM pairing_codes")
    assert b"7Q2MX" not in b"".join(row[0] for row in kept)
    pairings.forget(db, 2000)
    assert pairings.tries(db, "7Q2MX") == (0, False)
    assert pairings.tries(db, "00000") == (1, False)
