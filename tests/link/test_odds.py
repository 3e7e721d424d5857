"""Guessing a code: one guess in each run, three runs, and nothing to try offline."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import pytest

from p2p_agents.crypto import pake
from p2p_agents.crypto.codes import Code
from p2p_agents.crypto.introduction import context, session_id
from p2p_agents.crypto.words import WORDS
from p2p_agents.errors import CodeDead
from p2p_agents.limits import PAIRING_WRONG
from p2p_agents.link.pairing import Send
from p2p_agents.wire.pairing import NONCE_BYTES, Answer, Ask, Offer, Purpose, Reason, decode_message, encode_message
from tests.link.pairs import NOW, THIEF, pair, shows, types

PLACE = "7Q2M0"
CODES = [Code(first, second, PLACE) for first, second in permutations(("coral", "fiddle", "copper", "acid"), 2)]
NONCE, SCALAR, AD = bytes(NONCE_BYTES), bytes([7]) * pake.SCALAR_BYTES, bytes(32)


def guessing_at_the_displayer(true: Code, guesses: list[Code]) -> tuple[bool, int]:
    """Whether the thief, joining with one guess after another, is met; and how many runs he had."""
    displayer = shows(code=true)
    for number, guess in enumerate(guesses, 1):
        wire = pair(displayer, types(THIEF, code=guess), run=number)
        if wire.met("displayer"):
            return True, number
        if wire.ends("joiner")[0] is Reason.DEAD:
            return False, number - 1
    return False, len(guesses)


def guessing_at_the_joiner(true: Code, guesses: list[Code]) -> tuple[bool, int]:
    """The same, with the thief posing as the side that shows the code."""
    joiner = types(code=true)
    for number, guess in enumerate(guesses, 1):
        try:
            wire = pair(shows(THIEF, code=guess), joiner, run=number)
        except CodeDead:
            return False, number - 1
        if wire.met("joiner"):
            return True, number
    return False, len(guesses)


@pytest.mark.parametrize("attack", [guessing_at_the_displayer, guessing_at_the_joiner])
def test_whoever_guesses_at_one_side_wins_three_codes_of_all_there_are(attack) -> None:
    """F1: of all possible codes, exactly those guessed first, however many guesses are prepared."""
    outcomes = [attack(true, CODES) for true in CODES]
    assert len(CODES) == 12
    assert [won for won, _ in outcomes] == [True] * PAIRING_WRONG + [False] * (len(CODES) - PAIRING_WRONG)
    assert {runs for won, runs in outcomes if not won} == {PAIRING_WRONG}


def test_a_man_in_the_middle_has_the_guesses_of_both_sides_and_no_more() -> None:
    """F1: other words on each side, so six codes of all; with a whole list that is 6 / 1950^2."""
    won = [guessing_at_the_displayer(true, CODES)[0] or guessing_at_the_joiner(true, CODES[3:])[0] for true in CODES]
    assert won.count(True) == 2 * PAIRING_WRONG
    assert 2 * PAIRING_WRONG / len(WORDS) ** 2 < 1.6e-6


@pytest.mark.parametrize("guess", CODES[:2], ids=["right", "wrong"])
def test_a_run_tells_of_one_guess_and_what_was_recorded_of_no_other(guess: Code) -> None:
    """F1: the share that was sent fixes the guess; the tag that came fits no other code, whatever is computed later."""
    joiner, true = types(code=CODES[0]), CODES[0]
    ask = sent(joiner.start(1, NOW))
    assert isinstance(ask, Ask)
    sid, ci = session_id(PLACE, NONCE, ask.nonce), context(Purpose.CONTACT)
    runs = {
        code: pake.begin(pake.Side.INITIATOR, prs=code.secret, ci=ci, sid=sid, ad=AD, scalar=SCALAR) for code in CODES
    }
    answer = sent(joiner.received(1, encode_message(Offer(NONCE, runs[guess].share, AD)), NOW))
    assert isinstance(answer, Answer)

    as_sent = {code: replace(run, share=runs[guess].share) for code, run in runs.items()}
    for tried in (runs, as_sent):
        fits = {code for code, run in tried.items() if run.finish(answer.share, answer.ad).confirms(answer.tag)}
        assert fits <= (set(CODES) if guess == true and tried is as_sent else {guess})
        assert bool(fits) is (guess == true)


def test_a_displayer_gives_a_guesser_no_tag_to_try_words_on() -> None:
    """F1: a joiner with wrong words gets its share, and a refusal."""
    wire = pair(shows(code=CODES[0]), types(THIEF, code=CODES[1]))
    assert [type(message).__name__ for message in wire.messages] == ["Ask", "Offer", "Answer", "Refuse"]


def sent(actions: list) -> object:
    """The last message among them."""
    return decode_message([action for action in actions if isinstance(action, Send)][-1].data)
