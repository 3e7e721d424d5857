"""CPace: the draft's own test vectors, and attacks."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p_agents.crypto.pake import Agreed, Run, Side, begin, generator, lv
from p2p_agents.errors import BadSeal, Malformed
from tests.crypto.ends import Seeded

FROM_DRAFT = json.loads((Path(__file__).parent.parent / "vectors" / "cpace.json").read_text())
DRAFT = {name: bytes.fromhex(value) for name, value in FROM_DRAFT.items() if name not in ("source", "low_order")}
WORDS, CONTEXT, SID = b"CORAL-FIDDLE", b"context", bytes(32)
entropy = Seeded("pake")


def side(role: Side, *, words: bytes = WORDS, context: bytes = CONTEXT, sid: bytes = SID, ad: bytes = b"") -> Run:
    return begin(role, prs=words, ci=context, sid=sid, ad=ad or role.name.encode(), scalar=entropy.draw(32))


def meet(one: Run, two: Run) -> tuple[Agreed, Agreed]:
    return one.finish(two.share, two.ad), two.finish(one.share, one.ad)


def test_the_generator_of_the_draft():
    assert generator(DRAFT["prs"], DRAFT["ci"], DRAFT["sid"]) == DRAFT["generator"]


def test_a_run_of_the_draft():
    common = {name: DRAFT[name] for name in ("prs", "ci", "sid")}
    roles = [(role, role.name.lower()) for role in Side]
    one, two = (begin(r, **common, ad=DRAFT[f"{n}_ad"], scalar=DRAFT[f"{n}_scalar"]) for r, n in roles)
    assert (one.share, two.share) == (DRAFT["initiator_share"], DRAFT["responder_share"])
    assert [agreed.key for agreed in meet(one, two)] == [DRAFT["key"]] * 2


@pytest.mark.parametrize("point", FROM_DRAFT["low_order"])
def test_a_low_order_point_is_refused(point):
    with pytest.raises(BadSeal, match="low order"):
        side(Side.INITIATOR).finish(bytes.fromhex(point), b"")


@pytest.mark.parametrize("share", [b"", bytes(31), bytes(33), "text", None])
def test_a_share_is_32_bytes(share):
    with pytest.raises(Malformed):
        side(Side.INITIATOR).finish(share, b"")


def test_the_same_words_give_one_key_and_each_confirms_the_other():
    one, two = meet(side(Side.INITIATOR), side(Side.RESPONDER))
    assert one.key == two.key
    assert one.confirms(two.own_tag)
    assert two.confirms(one.own_tag)


def test_the_same_words_give_another_key_in_another_run():
    keys = {meet(side(Side.INITIATOR), side(Side.RESPONDER))[0].key for _ in range(3)}
    assert len(keys) == 3


@pytest.mark.parametrize("other", [{"words": b"CORAL-FIDDLF"}, {"context": b"room"}, {"sid": bytes(31) + b"\1"}])
def test_a_wrong_word_another_purpose_or_another_run_confirms_nothing(other):
    one, two = meet(side(Side.INITIATOR), side(Side.RESPONDER, **other))
    assert one.key != two.key
    assert not one.confirms(two.own_tag)
    assert not two.confirms(one.own_tag)


def test_a_swapped_identity_in_the_ad_confirms_nothing():
    one, two = side(Side.INITIATOR), side(Side.RESPONDER)
    deceived, other = one.finish(two.share, b"the thief's identity"), two.finish(one.share, one.ad)
    assert not deceived.confirms(other.own_tag)
    assert not other.confirms(deceived.own_tag)


def test_a_reflected_share_is_refused():
    run = side(Side.INITIATOR)
    with pytest.raises(BadSeal, match="our own"):
        run.finish(run.share, run.ad)


def test_a_reflected_tag_confirms_nothing():
    one, _ = meet(side(Side.INITIATOR), side(Side.RESPONDER))
    assert not one.confirms(one.own_tag)


def test_two_of_one_role_do_not_meet():
    one, two = meet(side(Side.INITIATOR), side(Side.INITIATOR, ad=b"other"))
    assert not one.confirms(two.own_tag)


def test_no_secret_is_shown():
    run = side(Side.INITIATOR)
    agreed, _ = meet(run, side(Side.RESPONDER))
    assert repr(agreed) == "Agreed()"
    assert "scalar" not in repr(run)


@given(st.lists(st.binary(max_size=300), max_size=4), st.lists(st.binary(max_size=300), max_size=4))
def test_parts_cannot_run_into_each_other(one, two):
    assert (lv(*one) == lv(*two)) == (one == two)


def test_lengths_are_leb128():
    assert lv(b"a" * 127)[:1] == b"\x7f"
    assert lv(b"a" * 128)[:2] == b"\x80\x01"
    assert lv(b"a" * 300)[:2] == b"\xac\x02"
