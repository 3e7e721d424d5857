"""Meeting places: two sides, held by their tokens, for as long as a code lives."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge import bounds
from bridge.places import Places, Standing
from bridge.store import Refused
from p2p_agents.wire.relay_answers import Refusal, Told
from p2p_agents.wire.relay_requests import Side

HERE, THERE = "7Q2MX", "AB2CD"
SHOW, JOIN = Side.DISPLAYER, Side.JOINER
T1, T2, T3 = b"1" * 32, b"2" * 32, b"3" * 32
ALICE, BOB, EVE = 1, 2, 3
KNOWN = Standing(b"known", known=True)
THERE_IS = Told(HERE, b"")
GONE = Told(HERE, b"", gone=True)


@pytest.fixture
def places() -> Places:
    return Places()


def refused(ask) -> Refusal:
    with pytest.raises(Refused) as found:
        ask()
    return found.value.refusal


def test_two_sides_hear_of_each_other_and_talk(places: Places):
    assert places.meet(HERE, SHOW, T1, ALICE, 0) == []
    assert places.meet(HERE, JOIN, T2, BOB, 1) == [(BOB, THERE_IS), (ALICE, THERE_IS)]
    assert places.tell(HERE, b"ask", BOB, 2) == [(ALICE, Told(HERE, b"ask"))]
    assert places.tell(HERE, b"offer", ALICE, 3) == [(BOB, Told(HERE, b"offer"))]


def test_either_may_come_first_and_what_was_said_waits(places: Places):
    places.meet(HERE, JOIN, T2, BOB, 0)
    assert places.tell(HERE, b"ask", BOB, 1) == []
    assert places.meet(HERE, SHOW, T1, ALICE, 2) == [(ALICE, THERE_IS), (BOB, THERE_IS), (ALICE, Told(HERE, b"ask"))]
    assert places.meet(HERE, SHOW, T1, ALICE, 3) == [(ALICE, THERE_IS), (BOB, THERE_IS)]


def test_nobody_takes_a_side_that_has_a_token(places: Places):
    places.meet(HERE, SHOW, T1, ALICE, 0)
    places.meet(HERE, JOIN, T2, BOB, 0)
    assert refused(lambda: places.meet(HERE, JOIN, T3, EVE, 1)) is Refusal.CROWDED
    assert refused(lambda: places.meet(HERE, SHOW, T3, EVE, 1)) is Refusal.CROWDED
    places.lost(BOB, 1)
    assert refused(lambda: places.meet(HERE, JOIN, T3, EVE, 2)) is Refusal.CROWDED


def test_who_comes_back_with_its_token_finds_what_was_said_meanwhile(places: Places):
    places.meet(HERE, SHOW, T1, ALICE, 0)
    places.meet(HERE, JOIN, T2, BOB, 0)
    places.lost(BOB, 1)
    assert places.tell(HERE, b"one", ALICE, 1) == []
    assert places.tell(HERE, b"two", ALICE, 1) == []
    back = 9
    news = places.meet(HERE, JOIN, T2, back, 2)
    assert [told.message for visitor, told in news if visitor == back] == [b"", b"one", b"two"]


def test_a_new_connection_replaces_a_ghost(places: Places):
    places.meet(HERE, SHOW, T1, ALICE, 0)
    places.meet(HERE, JOIN, T2, BOB, 0)
    places.meet(HERE, JOIN, T2, EVE, 1)
    assert places.tell(HERE, b"x", ALICE, 1) == [(EVE, Told(HERE, b"x"))]
    assert refused(lambda: places.tell(HERE, b"y", BOB, 1)) is Refusal.AWAY
    places.lost(BOB, 1)
    assert places.tell(HERE, b"z", ALICE, 1) == [(EVE, Told(HERE, b"z"))]


def test_only_sides_talk(places: Places):
    places.meet(HERE, SHOW, T1, ALICE, 0)
    assert refused(lambda: places.tell(HERE, b"x", EVE, 1)) is Refusal.AWAY
    assert refused(lambda: places.tell(THERE, b"x", ALICE, 1)) is Refusal.AWAY
    assert refused(lambda: places.leave(HERE, EVE, 1)) is Refusal.AWAY


def test_nobody_has_both_sides(places: Places):
    places.meet(HERE, SHOW, T1, ALICE, 0)
    assert refused(lambda: places.meet(HERE, JOIN, T2, ALICE, 0)) is Refusal.BAD
    assert places.meet(THERE, JOIN, T2, ALICE, 0) == []


def test_leaving_ends_the_place_for_both(places: Places):
    places.meet(HERE, SHOW, T1, ALICE, 0)
    places.meet(HERE, JOIN, T2, BOB, 0)
    assert places.leave(HERE, ALICE, 1) == [(BOB, GONE)]
    assert refused(lambda: places.tell(HERE, b"x", BOB, 1)) is Refusal.AWAY
    assert len(places) == 0
    assert places.meet(HERE, SHOW, T3, EVE, 2) == []


def test_a_place_lives_ten_minutes_from_its_showing(places: Places):
    places.meet(HERE, JOIN, T2, BOB, 0)
    places.meet(HERE, SHOW, T1, ALICE, 50_000)
    assert places.expire(50_000 + bounds.PLACE_MS - 1) == []
    assert sorted(places.expire(50_000 + bounds.PLACE_MS), key=lambda news: news[0]) == [(ALICE, GONE), (BOB, GONE)]
    assert len(places) == 0


def test_a_guessed_place_is_held_for_a_minute_only(places: Places):
    """Somebody who takes a place before its code is shown must not keep the real joiner out."""
    places.meet(HERE, JOIN, T3, EVE, 0)
    assert places.expire(bounds.LONELY_PLACE_MS - 1) == []
    assert places.expire(bounds.LONELY_PLACE_MS) == [(EVE, GONE)]


def test_a_place_whose_time_is_over_is_gone_before_it_is_swept(places: Places):
    places.meet(HERE, SHOW, T1, ALICE, 0)
    late = bounds.PLACE_MS
    assert refused(lambda: places.tell(HERE, b"x", ALICE, late)) is Refusal.AWAY
    assert places.meet(HERE, SHOW, T3, EVE, late) == [(ALICE, GONE)]
    places.lost(ALICE, 1)
    assert places.meet(HERE, JOIN, T2, BOB, late) == [(BOB, THERE_IS), (EVE, THERE_IS)]


def test_what_waits_is_bounded(places: Places):
    places.meet(HERE, SHOW, T1, ALICE, 0)
    for _ in range(bounds.PLACE_MESSAGES):
        places.tell(HERE, b"x", ALICE, 1)
    assert refused(lambda: places.tell(HERE, b"x", ALICE, 1)) is Refusal.QUOTA
    places.meet(THERE, SHOW, T1, ALICE, 0)
    places.tell(THERE, bytes(bounds.PLACE_BYTES), ALICE, 1)
    assert refused(lambda: places.tell(THERE, b"x", ALICE, 1)) is Refusal.QUOTA


def show(places: Places, name: str, standing: Standing, visitor: int = ALICE, now_ms: int = 0):
    return places.meet(name, SHOW, T1, visitor, now_ms, standing)


def test_places_are_bounded(places: Places, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(bounds, "PLACES", 2)
    show(places, "AAAAA", KNOWN)
    show(places, "BBBBB", KNOWN)
    assert refused(lambda: show(places, "CCCCC", KNOWN)) is Refusal.FULL
    assert places.meet("BBBBB", JOIN, T2, BOB, 0)
    places.leave("AAAAA", ALICE, 0)
    assert show(places, "CCCCC", KNOWN) == []


def test_one_network_does_not_take_every_place(places: Places):
    """10,000 were taken in 4 s from one /64."""
    for number in range(bounds.PLACES_OF_NETWORK):
        show(places, f"{number:05}", Standing(b"eve's"), EVE)
    assert refused(lambda: show(places, "ZZZZZ", Standing(b"eve's", known=True, worked=True), EVE)) is Refusal.RATE
    assert show(places, HERE, Standing(b"alice's")) == []
    places.leave("00000", EVE, 0)
    assert show(places, THERE, Standing(b"eve's"), EVE) == []


def test_joiners_without_a_displayer_take_places_of_their_own(places: Places, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(bounds, "LONELY_PLACES", 20)
    guess = Standing(b"eve's")
    for number in range(bounds.LONELY_PLACES_OF_NETWORK):
        places.meet(f"{number:05}", JOIN, T3, EVE, 0, guess)
    assert refused(lambda: places.meet("ZZZZZ", JOIN, T3, EVE, 0, guess)) is Refusal.RATE
    for number in range(4):
        places.meet(f"1000{number}", JOIN, T3, EVE, 0, Standing(b"%d" % number))
    assert refused(lambda: places.meet("ZZZZZ", JOIN, T3, EVE, 0, Standing(b"more"))) is Refusal.FULL
    show(places, "10000", Standing(b"alice's"))  # a displayer came: it waits no more
    places.meet("ZZZZZ", JOIN, T3, EVE, 0, Standing(b"more"))
    places.expire(bounds.LONELY_PLACE_MS)
    assert len(places) == 1


def test_where_places_grow_scarce_a_newcomer_works_and_the_last_are_for_those_who_are_here(
    places: Places, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(bounds, "PLACES", 8)
    for number in range(4):
        show(places, f"{number:05}", Standing(b"%d" % number))
    assert refused(lambda: show(places, "WORKS", Standing(b"new"))) is Refusal.WORK
    show(places, "WORKS", Standing(b"new", worked=True))
    show(places, "KNOWN", Standing(b"known", known=True))
    assert refused(lambda: show(places, "LATER", Standing(b"new", worked=True))) is Refusal.FULL
    show(places, "FRIEN", Standing(b"known", known=True))


def test_who_hangs_up_and_does_not_come_back_frees_its_place(places: Places):
    show(places, HERE, KNOWN)
    places.meet(HERE, JOIN, T2, BOB, 1)
    places.lost(ALICE, 1_000)
    assert places.expire(1_000 + bounds.ABANDONED_PLACE_MS - 1) == []
    assert places.expire(1_000 + bounds.ABANDONED_PLACE_MS) == [(BOB, GONE)]
    assert len(places) == 0


def test_who_comes_back_in_time_has_all_of_its_time(places: Places):
    show(places, HERE, KNOWN)
    places.lost(ALICE, 1_000)
    show(places, HERE, KNOWN, now_ms=50_000)
    assert places.expire(bounds.PLACE_MS - 1) == []
    places.lost(ALICE, bounds.PLACE_MS - 1)
    assert places.expire(bounds.PLACE_MS) == []
    assert len(places) == 0


def test_what_waits_in_all_places_is_bounded(places: Places, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(bounds, "ALL_PLACE_BYTES", 1_000)
    show(places, HERE, KNOWN)
    show(places, THERE, KNOWN)
    places.tell(HERE, bytes(600), ALICE, 0)
    assert refused(lambda: places.tell(THERE, bytes(600), ALICE, 0)) is Refusal.FULL
    places.meet(HERE, JOIN, T2, BOB, 0)
    places.tell(THERE, bytes(600), ALICE, 0)
    places.leave(THERE, ALICE, 0)
    places.meet(HERE, SHOW, T1, ALICE, 0)
    places.lost(BOB, 0)
    places.tell(HERE, bytes(1_000), ALICE, 0)


def test_what_waits_in_the_places_of_one_network_is_bounded(places: Places, monkeypatch: pytest.MonkeyPatch):
    """Else one that fills them keeps everybody from pairing."""
    monkeypatch.setattr(bounds, "PLACE_BYTES_OF_NETWORK", 1_000)
    show(places, HERE, Standing(b"eve's"))
    show(places, THERE, Standing(b"bob's"), BOB)
    places.tell(HERE, bytes(600), ALICE, 0)
    assert refused(lambda: places.tell(HERE, bytes(600), ALICE, 0)) is Refusal.RATE
    places.tell(THERE, bytes(600), BOB, 0)
    places.meet(HERE, JOIN, T2, EVE, 0)
    places.lost(EVE, 0)
    places.tell(HERE, bytes(1_000), ALICE, 0)


@given(st.lists(st.tuples(st.sampled_from(["meet", "lost", "leave", "expire"]), st.integers(0, 3), st.integers(0, 5))))
def test_counts_stay_true_through_everything(steps: list[tuple[str, int, int]]):
    places, now_ms = Places(), 0
    for what, visitor, number in steps:
        now_ms += 10_000
        name, side = f"{number:05}", Side(visitor % 2)
        try:
            match what:
                case "meet":
                    places.meet(name, side, b"%d" % visitor * 32, visitor, now_ms, Standing(b"%d" % visitor))
                case "leave":
                    places.leave(name, visitor, now_ms)
                case "lost":
                    places.lost(visitor, now_ms)
                case "expire":
                    places.expire(now_ms)
        except Refused:
            continue
    assert sum(counts.total() for counts in places._counts.values()) == len(places)
    places.expire(now_ms + bounds.PLACE_MS)
    assert places._counts == {side: {} for side in Side}
    assert places._bytes == {}


def test_nothing_is_left_of_visitors_that_went(places: Places):
    for name in ("AAAAA", "BBBBB"):
        places.meet(name, SHOW, T1, ALICE, 0)
        places.meet(name, JOIN, T2, BOB, 0)
    places.lost(ALICE, 1)
    places.lost(ALICE, 1)
    places.lost(BOB, 1)
    places.expire(bounds.PLACE_MS)
    assert len(places) == 0
    assert places._visits == {}
