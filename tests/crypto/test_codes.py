"""Pairing codes: what a screen shows can be typed back."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2p_agents.crypto.codes import Code, check_place, draw, nearest, parse, slips
from p2p_agents.crypto.pake import Side
from p2p_agents.crypto.words import WORDS
from p2p_agents.errors import BadCode
from tests.crypto.ends import Seeded

CODE = Code("coral", "fiddle", "7Q2M0")

codes = st.builds(
    Code, st.sampled_from(WORDS), st.sampled_from(WORDS), st.from_regex("[0-9A-HJKMNP-TV-Z]{5}", fullmatch=True)
)


def near(word: str) -> set[str]:
    """Forms that two words share when they are one slip apart."""
    gaps = {word[:i] + "?" + word[i + 1 :] for i in range(len(word))}
    shorter = {word[:i] + word[i + 1 :] for i in range(len(word))}
    swapped = {word[:i] + word[i + 1] + word[i] + word[i + 2 :] for i in range(len(word) - 1)}
    return gaps | shorter | (swapped - {word})


def test_the_list_holds_short_words_only():
    assert len(WORDS) == len(set(WORDS)) == 1_950
    assert list(WORDS) == sorted(WORDS)
    assert all(re.fullmatch("[a-z]{4,6}", word) for word in WORDS)


def test_no_single_slip_makes_one_word_another():
    seen: dict[str, str] = {word: word for word in WORDS}
    for word in WORDS:
        for form in near(word):
            other = seen.setdefault(form, word)
            assert other == word or slips(word, other) > 1, (word, other)


def test_slips_are_counted_as_fingers_make_them():
    counts = {("coral", "coral"): 0, ("corla", "coral"): 1, ("cral", "coral"): 1, ("corall", "coral"): 1}
    counts |= {("korel", "coral"): 2, ("", "coral"): 5, ("ab", "ba"): 1}
    for (a, b), count in counts.items():
        assert slips(a, b) == slips(b, a) == count


def test_a_code_as_it_is_shown():
    assert CODE.shown() == "CORAL-FIDDLE-7Q2M0"
    assert CODE.secret == b"CORAL-FIDDLE"


@given(codes)
def test_what_is_shown_is_what_is_typed(code):
    assert parse(code.shown()) == code


@pytest.mark.parametrize(
    "typed",
    [
        "coral-fiddle-7q2m0",
        "  Coral Fiddle 7Q2M0\n",
        "CORAL - FIDDLE - 7q2 mo",
        "coral_fiddle_7Q2MO",
        "coral\u2013fiddle\u20147Q2M0",
        "coral, fiddle. 7Q2M0",
    ],
)
def test_typing_is_forgiven(typed):
    assert parse(typed) == CODE


def test_i_and_l_are_one():
    assert parse("coral fiddle iLoO1").place == "11001"


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "coral",
        "coral fiddle",
        "coral fiddle 7Q2M",
        "coral fiddle 7Q2M00",
        "coral fiddle 7Q2MU",
        "7Q2M0 coral fiddle",
        "coralfiddle 7Q2M0",
        "coral fiddle 7Q2M\u0660",
        "\ud800 fiddle 7Q2M0",
        "x" * 1_000_000,
    ],
)
def test_what_is_no_code_is_refused(typed):
    with pytest.raises(BadCode) as caught:
        parse(typed)
    assert len(caught.value.message) < 200


def test_a_nameplate_typo_or_a_slip_in_a_word_is_local():
    """F1: it is found before anything is sent, and names the words that were meant."""
    with pytest.raises(BadCode, match="coral") as caught:
        parse("CORLA-FIDDLE-7Q2M0")
    assert caught.value.details["nearest"][:2] == ("cola", "coral")
    with pytest.raises(BadCode, match="5 letters"):
        parse("CORAL-FIDDLE-7Q2")


@settings(max_examples=30)
@given(st.sampled_from(WORDS), st.data())
def test_every_single_slip_is_noticed(word, data):
    forms = sorted(form for form in near(word) if form.isalpha())
    typo = data.draw(st.sampled_from(forms))
    with pytest.raises(BadCode) as caught:
        parse(f"{typo} coral 7Q2M0")
    assert word in caught.value.details["nearest"] or slips(caught.value.details["nearest"][0], typo) == 1


def test_far_from_every_word_nothing_is_suggested():
    assert nearest("qqqqqq") == ()


def test_a_code_is_drawn_afresh():
    entropy = Seeded("codes")
    drawn = [draw(entropy) for _ in range(200)]
    assert len({code.place for code in drawn}) == 200
    assert len({code.secret for code in drawn}) == 200
    assert {char for code in drawn for char in code.place} == set("0123456789ABCDEFGHJKMNPQRSTVWXYZ")


def test_the_place_says_nothing_of_the_words():
    class Fixed(Seeded):
        draws = 0

        def draw(self, size: int) -> bytes:
            self.draws += 1
            return bytes(size) if self.draws == 3 else super().draw(size)

    assert draw(Fixed("a")).place == draw(Fixed("b")).place
    assert draw(Fixed("a")).secret != draw(Fixed("b")).secret


def test_no_word_is_shown_in_a_repr():
    assert repr(CODE) == "Code(place='7Q2M0')"


def test_a_place_is_checked():
    assert check_place("7Q2M0") == "7Q2M0"
    with pytest.raises(BadCode):
        check_place("7Q2MO")


def test_two_who_hold_a_code_agree_and_a_slip_is_told():
    entropy = Seeded("runs")
    sides = {"ci": b"contact", "sid": bytes(32), "entropy": entropy}
    one, two = (CODE.begin(side, ad=b"", **sides) for side in Side)
    other = Code("coral", "coral", CODE.place).begin(Side.RESPONDER, ad=b"", **sides)
    assert one.finish(two.share, b"").confirms(two.finish(one.share, b"").own_tag)
    assert not one.finish(other.share, b"").confirms(other.finish(one.share, b"").own_tag)
