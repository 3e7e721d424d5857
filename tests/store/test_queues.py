"""Queues at bridges: what is stored of ours and of peers'."""

from __future__ import annotations

import dataclasses

from p2p_agents.crypto.bundle import Bundle
from p2p_agents.crypto.kem import SEED_BYTES, KemKey
from p2p_agents.limits import INT_MAX
from p2p_agents.store import queues, sessions
from p2p_agents.store.database import Database
from p2p_agents.store.queues import DAY_MS, OwnQueue, Stored
from p2p_agents.wire.route import Route

ONE, TWO = "bridge://one.example:4433#" + "a" * 52, "bridge://two.example:4433#" + "a" * 52
OURS, THEIRS, PEER = b"o" * 32, b"t" * 32, b"p" * 32


def own(number: int, bridge: str = ONE, device: bytes = THEIRS) -> OwnQueue:
    each = bytes([number]) * 32
    return OwnQueue(each, bridge, OURS, device, PEER, each, each, each, 0)


def route(number: int, bridge: str = ONE) -> Route:
    return Route(bridge, *[bytes([number]) * 32] * 3)


def test_a_queue_of_ours_is_found_by_its_name_its_bridge_and_its_writer(db: Database) -> None:
    queues.make(db, own(1))
    queues.make(db, own(2, TWO))
    assert queues.own(db, b"\1" * 32) == own(1)
    assert queues.own(db, b"\7" * 32) is None
    assert queues.readable_at(db, TWO) == [own(2, TWO)]
    assert queues.own_for(db, OURS, THEIRS) == [own(1), own(2, TWO)]
    assert queues.bridges(db) == {ONE, TWO}
    assert queues.pairs(db) == [(OURS, THEIRS, PEER)]


def test_whether_a_queue_is_public_is_a_truth_value(db: Database) -> None:
    """A bridge accepts no number for it."""
    queues.make(db, own(1))
    queues.make(db, dataclasses.replace(own(2, TWO), public=True))
    assert [queues.readable_at(db, bridge)[0].public for bridge in (ONE, TWO)] == [False, True]
    assert all(type(found.public) is bool for found in queues.own_for(db, OURS, THEIRS))


def test_a_cursor_only_rises(db: Database) -> None:
    """B7: a bridge that goes back in time is not believed."""
    queues.make(db, own(1))
    queues.worked_off(db, b"\1" * 32, 7)
    queues.worked_off(db, b"\1" * 32, 3)
    found = queues.own(db, b"\1" * 32)
    assert found is not None
    assert found.cursor == 7


def test_what_a_pairing_prepared_is_read_once_it_is_known_who_writes(db: Database) -> None:
    queues.make(db, dataclasses.replace(own(1, device=b""), peer=b""))
    assert queues.readable_at(db, ONE) == []
    assert queues.pairs(db) == []
    queues.bind(db, b"\1" * 32, THEIRS, PEER)
    assert queues.readable_at(db, ONE) == [own(1)]


def test_a_pair_that_meets_again_has_one_queue_at_a_bridge(db: Database) -> None:
    queues.make(db, own(1))
    queues.make(db, dataclasses.replace(own(2, device=b""), peer=b""))
    queues.bind(db, b"\2" * 32, THEIRS, PEER)
    assert queues.own_for(db, OURS, THEIRS) == [own(2)]


def test_what_a_peer_told_last_is_all_it_has(db: Database) -> None:
    queues.learn(db, OURS, THEIRS, (route(1), route(2, TWO)))
    queues.note_stored(db, b"\1" * 32, b"s" * 32, 9)
    queues.learn(db, OURS, THEIRS, (route(1),))
    assert queues.routes(db, OURS, THEIRS) == (route(1),)
    assert queues.stored(db, b"\1" * 32) == Stored(b"s" * 32, 9), "the same queue still holds what it held"
    queues.learn(db, OURS, THEIRS, ())
    assert queues.routes(db, OURS, THEIRS) == ()


def test_a_new_queue_at_the_same_bridge_holds_nothing_yet(db: Database) -> None:
    queues.learn(db, OURS, THEIRS, (route(1),))
    queues.note_stored(db, b"\1" * 32, b"s" * 32, 9)
    queues.learn(db, OURS, THEIRS, (route(3),))
    assert queues.stored(db, b"\3" * 32) == Stored(b"", 0)


def test_what_is_stored_is_counted_by_session(db: Database) -> None:
    queues.learn(db, OURS, THEIRS, (route(1),))
    for sid, position in ((b"s", 4), (b"s", 2), (b"n", 1)):
        queues.note_stored(db, b"\1" * 32, sid * 32, position)
        expected = 4 if sid == b"s" else 1
        assert queues.stored(db, b"\1" * 32) == Stored(sid * 32, expected)


def test_the_newest_bundle_is_kept(db: Database) -> None:
    newer, older = (Bundle(PEER, THEIRS, KemKey.from_seed(bytes([n]) * SEED_BYTES).public, n * DAY_MS) for n in (20, 8))
    for bundle in (newer, older):
        queues.keep_bundle(db, bundle, 0)
    assert queues.bundle(db, PEER, THEIRS) == newer
    assert queues.bundle(db, PEER, OURS) is None


def test_a_bundle_that_is_signed_for_ever_gives_way(db: Database) -> None:
    """An attack: somebody who once had the device key must not be sealed to for ever."""
    stolen, honest = (Bundle(PEER, THEIRS, KemKey.from_seed(bytes([n]) * SEED_BYTES).public, 0) for n in (1, 2))
    queues.keep_bundle(db, dataclasses.replace(stolen, expires_ms=INT_MAX), 0)
    kept = queues.bundle(db, PEER, THEIRS)
    assert kept is not None
    assert kept.expires_ms < 40 * DAY_MS
    queues.keep_bundle(db, dataclasses.replace(honest, expires_ms=31 * DAY_MS), 0)
    assert queues.bundle(db, PEER, THEIRS) == dataclasses.replace(honest, expires_ms=31 * DAY_MS)


def test_a_device_that_is_revoked_leaves_nothing(db: Database) -> None:
    queues.make(db, own(1))
    queues.learn(db, OURS, THEIRS, (route(1),))
    queues.keep_bundle(db, Bundle(PEER, THEIRS, KemKey.from_seed(bytes(SEED_BYTES)).public, 9), 0)
    sessions.note_pair(db, OURS, THEIRS, PEER, heard_ms=1)
    queues.forget_pair(db, OURS, THEIRS)
    assert queues.pairs(db) == []
    assert queues.bundle(db, PEER, THEIRS) is None


def test_no_secret_is_shown() -> None:
    named = repr(b"\5" * 32)
    assert repr([own(5), route(5)]).count(named) == 2, "the names of the queues alone"
