"""States of a message, and which may follow which."""

from __future__ import annotations

from p2p_agents.conversation.states import State, best, folded, leading_to, least


def test_nothing_leads_from_failed_but_an_arrival():
    """B6"""
    assert [state for state in State if State.FAILED in leading_to(state)] == [State.DELIVERED]


def test_an_arrival_is_taken_back_only_by_a_loss():
    """B1: never to failed, never to relayed."""
    assert {state for state in State if State.READ in leading_to(state)} == {State.QUEUED}
    assert leading_to(State.FAILED) == leading_to(State.DELIVERED)[:2] == [State.QUEUED, State.RELAYED]


def test_the_best_state_of_all_devices_is_shown():
    """B9"""
    assert best([State.QUEUED, State.READ, State.FAILED]) is State.READ
    assert best([State.FAILED, State.QUEUED]) is State.QUEUED
    assert best([]) is State.QUEUED


def test_a_message_to_many_is_as_far_as_the_last_of_them():
    """B9: the best over the devices of each recipient, and the least over the recipients."""
    reached = [(b"a", State.DELIVERED), (b"b", State.QUEUED), (b"b", State.READ), (b"c", State.DELIVERED)]
    assert folded(reached) == {b"a": State.DELIVERED, b"b": State.READ, b"c": State.DELIVERED}
    assert least(folded(reached).values()) is State.DELIVERED
    assert least(folded([*reached, (b"d", State.QUEUED)]).values()) is State.QUEUED
    assert least([]) is State.QUEUED
