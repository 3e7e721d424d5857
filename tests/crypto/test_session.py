"""A session stored as one row."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2p_agents.crypto.session import NO_TURN, Session
from p2p_agents.errors import Malformed, UnknownVersion
from p2p_agents.wire.cbor import decode, encode
from tests.crypto.ends import connected, talk


def all_stages() -> list[Session]:
    """A session of either end before the first word, after it, and after some turns."""
    alice, bob = connected()
    stages = [alice.session, bob.session]
    bob.hear(alice.say(b"hello"))
    stages += [alice.session, bob.session]
    talk(alice, bob)
    return [*stages, alice.session, bob.session]


STAGES = all_stages()


@pytest.mark.parametrize("session", STAGES)
def test_what_was_dumped_is_loaded(session):
    loaded = Session.load(session.dump())
    assert loaded == session
    assert loaded.dump() == session.dump()
    assert (loaded.out.key is None) == (session.out.key is None)
    if session.out.key:
        assert loaded.out.key.seed == session.out.key.seed


def test_positions_before_the_first_word():
    alice, bob = STAGES[0], STAGES[1]
    assert (alice.own_turn, alice.peer_turn, bob.own_turn, bob.peer_turn) == (0, NO_TURN, NO_TURN, 0)
    for session in (alice, bob):
        assert (session.sent, session.received, session.own_n, session.peer_n) == (0, 0, 0, 0)
        assert session.sent_hash == session.received_hash == session.sid
        assert not session.confirmed


def test_no_secret_shows_in_repr():
    for session in STAGES:
        shown = repr(session)
        secrets = [session.root, session.out.chain, session.into.chain, *(s for _, s in session.heals)]
        secrets += [session.out.key.seed] if session.out.key else []
        for secret in filter(None, secrets):
            assert repr(secret) not in shown
            assert secret.hex() not in shown


def test_sessions_are_values():
    with pytest.raises(AttributeError):
        STAGES[0].gen = 2
    assert STAGES[0] != STAGES[1]


@given(st.binary(max_size=200))
def test_garbage_is_refused(data):
    with pytest.raises((Malformed, UnknownVersion)):
        Session.load(data)


garble = st.none() | st.integers(0, 2**33) | st.binary(max_size=40) | st.just([])


@settings(max_examples=150)
@given(st.sampled_from(STAGES), st.integers(0, 4), st.integers(0, 6), garble)
def test_a_row_with_one_field_garbled_is_refused_or_loads(session, part, place, value):
    row = decode(session.dump())
    if part == 0:
        row[0] = value
    else:
        row[part][place % len(row[part])] = value
    try:
        assert Session.load(encode(row)).dump() == encode(row)
    except (Malformed, UnknownVersion):
        return


def test_a_torn_row_is_refused():
    row = STAGES[-1].dump()
    for end in range(0, len(row), 97):
        with pytest.raises(Malformed):
            Session.load(row[:end])
