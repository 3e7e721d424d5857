"""The side that shows a code: what ends it, and who gets it."""

from dataclasses import replace

import pytest

from p2p_agents.errors import BadIdentity
from p2p_agents.limits import PAIRING_CODE_MS, PAIRING_RUN_MS, PAIRING_RUNS, PAIRING_WRONG
from p2p_agents.link.displaying import Displayer
from p2p_agents.link.pairing import Dead, Met, Over, Send, Wrong
from p2p_agents.wire.pairing import Ask, Done, Offer, Purpose, Reason, Refuse, decode_message, encode_message
from tests.crypto.ends import Seeded
from tests.link.pairs import CODE, NOW, OTHER_WORDS, PHONE, THIEF, Wire, agent, pair, shows, types


def ask(displayer, run: int, now_ms: int = NOW, *, place: str = CODE.place):
    return displayer.received(run, encode_message(Ask(place, Purpose.CONTACT, bytes(16))), now_ms)


def said(actions, run: int):
    return [decode_message(a.data) for a in actions if isinstance(a, Send) and a.run == run]


def test_three_strikes_kill_a_code():
    """F1: the displayer counts wrong tags from anybody."""
    displayer = shows()
    for strike in range(1, PAIRING_WRONG + 1):
        wire = pair(displayer, types(agent(f"guesser {strike}"), code=OTHER_WORDS), run=strike)
        assert Wrong(strike, PAIRING_WRONG - strike) in wire.wanted["displayer"]
    assert wire.ends("displayer") == [Reason.WRONG, Reason.WRONG]
    assert displayer.dead
    assert pair(displayer, types(), run=9).ends("joiner") == [Reason.DEAD]


def test_only_wrong_tags_count():
    """F1: a peer that asks and leaves, or sends nonsense, cannot use up a code."""
    displayer = shows()
    for run in range(1, 20):
        ask(displayer, run)
        displayer.closed(run) if run % 2 else displayer.received(run, b"nonsense", NOW)
    low_order = pair(displayer, types(THIEF), run=30, alter=lambda i, m: replace(m, share=bytes(32)) if i == 2 else m)
    assert low_order.ends("displayer") == [Reason.BROKEN]
    assert pair(displayer, types(), run=31).met("displayer")


def test_single_use():
    displayer = shows()
    assert pair(displayer, types()).met("displayer")
    again = pair(displayer, types(THIEF), run=2)
    assert again.met("displayer") is None
    assert again.ends("joiner") == [Reason.DEAD]


def test_two_joiners_at_once_one_wins_and_the_other_is_told():
    displayer = shows()
    first, second = Wire(displayer, types(), run=1).begin(), Wire(displayer, types(THIEF), run=2).begin()
    for wire in (first, second):
        wire.step()  # both were asked
        wire.step()  # both have an offer
    actions = displayer.received(1, next(a.data for a in reversed(first.wanted["joiner"]) if isinstance(a, Send)), NOW)
    assert said(actions, 2) == [Refuse(Reason.TAKEN)]
    assert Over(2, Reason.TAKEN) in actions
    third = pair(displayer, types(agent("carol")), run=3)
    assert third.ends("joiner") == [Reason.TAKEN]


def test_an_expired_code_is_dead():
    displayer = shows()
    late = NOW + PAIRING_CODE_MS
    assert displayer.tick(late - 1) == []
    assert displayer.tick(late) == [Dead(Reason.TIMEOUT)]
    assert said(ask(displayer, 1, late), 1) == [Refuse(Reason.DEAD)]


def test_a_code_expires_under_a_question_too():
    displayer = shows()
    actions = ask(displayer, 1, NOW + PAIRING_CODE_MS)
    assert Dead(Reason.TIMEOUT) in actions
    assert said(actions, 1) == [Refuse(Reason.DEAD)]


def test_who_was_in_time_is_not_cut_short():
    """A right tag before the end of the ten minutes is worth its run."""
    displayer = shows()
    wire = Wire(displayer, types()).begin()
    for _ in range(3):
        wire.step()
    wire.finish(NOW + PAIRING_RUN_MS - 1)
    assert wire.met("displayer")


def test_a_silent_run_ends():
    displayer = shows()
    ask(displayer, 1)
    actions = displayer.tick(NOW + PAIRING_RUN_MS)
    assert said(actions, 1) == [Refuse(Reason.TIMEOUT)]
    assert not displayer.dead


def test_who_took_the_code_and_goes_silent_has_used_it_up():
    for how in ("closed", "late", "nonsense"):
        displayer = shows()
        wire = Wire(displayer, types()).begin()
        for _ in range(3):
            wire.step()
        if how == "closed":
            actions = displayer.closed(1)
        elif how == "late":
            actions = displayer.tick(NOW + PAIRING_RUN_MS)
        else:
            actions = displayer.received(1, b"nonsense", NOW)
        assert isinstance(actions[-1], Dead)
        assert displayer.dead


def test_a_flood_of_questions_leaves_room_for_an_honest_one():
    displayer = shows()
    for run in range(10, 10 + 5 * PAIRING_RUNS):
        ask(displayer, run)
    assert len(displayer._runs) == PAIRING_RUNS
    assert pair(displayer, types(), run=1).met("displayer")


def test_another_place_is_not_here():
    assert said(ask(shows(), 1, place="7Q2M1"), 1) == [Refuse(Reason.DEAD)]


def test_a_message_out_of_turn_ends_the_run():
    displayer = shows()
    ask(displayer, 1)
    for message in (Done(b"x"), Offer(bytes(16), b"", bytes(32))):
        assert Over(1, Reason.BROKEN) in displayer.received(1, encode_message(message), NOW)
    ask(displayer, 2)
    assert said(ask(displayer, 2), 2) == [Refuse(Reason.BROKEN)]


def test_a_refusal_is_not_answered():
    """Two sides that refuse each other would never end."""
    displayer = shows()
    assert displayer.received(1, encode_message(Refuse(Reason.BROKEN)), NOW) == []
    ask(displayer, 1)
    assert displayer.received(1, encode_message(Refuse(Reason.BROKEN)), NOW) == [Over(1, Reason.BROKEN)]


def test_a_joiner_that_cannot_be_kept_is_told():
    displayer = shows()
    wire = Wire(displayer, types()).begin()
    displayer.kept = lambda run, gift: displayer.rejected(run)
    assert wire.finish().ends("joiner") == [Reason.IDENTITY, Reason.IDENTITY]
    assert displayer.dead


def test_a_met_peer_is_kept_even_when_it_is_gone():
    displayer = shows()
    wire = Wire(displayer, types()).begin()
    kept, displayer.kept = displayer.kept, lambda run, gift: []
    wire.finish()
    assert isinstance(wire.wanted["displayer"][-1], Met)
    assert displayer.closed(1) == []
    assert displayer.tick(NOW + PAIRING_RUN_MS) == []
    assert kept(1)[-1] == Dead(None)
    assert kept(1) == []


def test_a_code_that_is_taken_back_refuses_who_is_at_it():
    """F1: including a peer that had the code already but was not met."""
    for steps in (1, 3):
        displayer = shows()
        wire = Wire(displayer, types()).begin()
        for _ in range(steps):
            wire.step()
        assert displayer.taken is (steps == 3)
        ended = displayer.end()
        assert said(ended, 1) == [Refuse(Reason.DEAD)]
        assert ended[-1] == Dead(Reason.DEAD)
        assert displayer.dead
        assert displayer.end() == []
        assert pair(displayer, types(), run=9).ends("joiner") == [Reason.DEAD]


def test_an_installation_without_an_agent_shows_nothing():
    with pytest.raises(BadIdentity):
        Displayer(CODE, Purpose.LINK, PHONE, Seeded("x"), NOW)


def test_only_an_installation_is_linked():
    displayer = shows(purpose=Purpose.LINK)
    joiner = types(PHONE, purpose=Purpose.LINK)
    joiner._me = THIEF  # an agent that slips past its own check
    assert pair(displayer, joiner).ends("displayer") == [Reason.IDENTITY, Reason.IDENTITY]


def test_an_agent_is_no_installation():
    joiner = types()
    joiner._me = PHONE
    assert pair(shows(), joiner).ends("displayer") == [Reason.IDENTITY, Reason.IDENTITY]
