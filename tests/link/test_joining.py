"""The side that typed a code: how it limits its tries."""

import pytest

from p2p_agents.errors import BadIdentity, CodeDead
from p2p_agents.limits import PAIRING_CODE_MS, PAIRING_RUN_MS, PAIRING_WRONG
from p2p_agents.link.pairing import Dead, Over, Send, Spend
from p2p_agents.wire.pairing import Offer, Purpose, Reason, Refuse, decode_message, encode_message
from tests.link.pairs import ALICE, BOB, NOW, OTHER_WORDS, PHONE, THIEF, Wire, pair, shows, types


def fails(joiner, run: int) -> Wire:
    """A run with somebody who only guesses."""
    return pair(shows(THIEF, code=OTHER_WORDS), joiner, run=run)


def test_three_runs_over_all_responders():
    """F1: the joiner too makes at most three runs per typed code."""
    joiner = types()
    for run in range(1, PAIRING_WRONG + 1):
        assert Spend("7Q2M0", run) in fails(joiner, run).wanted["joiner"]
    assert joiner.dead
    with pytest.raises(CodeDead):
        joiner.start(9, NOW)


def test_runs_count_over_restarts():
    """F1: what was spent before the node fell over is spent."""
    joiner = types(spent=PAIRING_WRONG - 1)
    assert fails(joiner, 1).ends("joiner") == [Reason.WRONG, Reason.WRONG]
    with pytest.raises(CodeDead, match="3 times"):
        types(spent=PAIRING_WRONG).start(1, NOW)


def test_an_abort_counts():
    """F1: a peer that takes the tag and hangs up has had its guess."""
    joiner = types()
    for run in range(1, PAIRING_WRONG + 1):
        wire = Wire(shows(), joiner, run=run).begin()
        wire.step()
        wire.step()
        ended = joiner.closed(run)
    assert ended == [Over(3, Reason.BROKEN), Dead(Reason.WRONG)]


def test_who_never_saw_a_tag_costs_nothing():
    joiner = types()
    for run in range(1, 20):
        joiner.start(run, NOW)
        ended = joiner.received(run, encode_message(Refuse(Reason.DEAD)), NOW)
        assert ended == [Over(run, Reason.DEAD)]
    assert pair(shows(), joiner, run=30).met("joiner")


def test_a_low_order_share_costs_nothing():
    joiner = types()
    joiner.start(1, NOW)
    actions = joiner.received(1, encode_message(Offer(bytes(16), bytes(32), bytes(32))), NOW)
    assert Over(1, Reason.BROKEN) in actions
    assert not any(isinstance(a, Spend) for a in actions)


def test_an_answer_from_elsewhere_is_not_heard():
    joiner = types()
    joiner.start(1, NOW)
    assert joiner.received(2, encode_message(Refuse(Reason.WRONG)), NOW) == []
    assert joiner.closed(2) == []


def test_garbage_ends_a_run():
    joiner = types()
    joiner.start(1, NOW)
    actions = joiner.received(1, b"garbage", NOW)
    assert [decode_message(a.data) for a in actions if isinstance(a, Send)] == [Refuse(Reason.BROKEN)]
    assert not joiner.dead


def test_a_silent_responder_is_given_up():
    joiner = types()
    joiner.start(1, NOW)
    assert joiner.tick(NOW + PAIRING_RUN_MS - 1) == []
    assert Over(1, Reason.TIMEOUT) in joiner.tick(NOW + PAIRING_RUN_MS)
    assert not joiner.dead


def test_a_typed_code_expires():
    joiner = types()
    with pytest.raises(CodeDead):
        joiner.start(1, NOW + PAIRING_CODE_MS)
    assert joiner.tick(NOW + PAIRING_CODE_MS) == [Dead(Reason.TIMEOUT)]
    assert joiner.tick(NOW + PAIRING_CODE_MS) == []


def test_the_next_responder_is_asked_when_one_is_given_up():
    joiner = types()
    joiner.start(1, NOW)
    actions = joiner.start(2, NOW)
    assert Over(1, Reason.BROKEN) in actions
    assert [a.run for a in actions if isinstance(a, Send)] == [1, 2]


def test_a_code_that_was_right_serves_once():
    """Whatever goes wrong behind a right tag: the words are known to that peer now."""
    joiner = types()
    wire = Wire(shows(), joiner).begin()
    for _ in range(4):
        wire.step()
    assert joiner.closed(1) == [Over(1, Reason.BROKEN), Dead(Reason.BROKEN)]


def test_a_pairing_ends_the_code():
    joiner = types()
    pair(shows(), joiner)
    assert joiner.dead
    with pytest.raises(CodeDead):
        joiner.start(2, NOW)


@pytest.mark.parametrize(("me", "purpose"), [(PHONE, Purpose.CONTACT), (PHONE, Purpose.ROOM), (BOB, Purpose.LINK)])
def test_agents_pair_and_installations_are_linked(me, purpose):
    with pytest.raises(BadIdentity):
        types(me, purpose=purpose)


def test_an_installation_is_linked_to_an_agent_only():
    displayer = shows(purpose=Purpose.LINK)
    displayer._me = PHONE
    joiner = types(PHONE, purpose=Purpose.LINK)
    assert pair(displayer, joiner).ends("joiner") == [Reason.IDENTITY, Reason.IDENTITY]
    assert ALICE.identity is not None
