"""The TXT record of an agent: hostile until parsed."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p_agents.errors import Malformed, UnknownVersion
from p2p_agents.limits import INT_MAX, NAME_CHARS
from p2p_agents.wire.advert import STATUSES, Advert, decode_txt, encode_txt, instance_label

ALICE = Advert(
    agent=b"\x00=" * 16,
    name="alice",
    kind="claude-code",
    status="online",
    node=b"\xff" * 32,
    incarnation=1_800_000_000_000,
    port=4433,
)

adverts = st.builds(
    Advert,
    agent=st.binary(min_size=32, max_size=32),
    name=st.from_regex(r"[A-Za-z][A-Za-z0-9._-]{0,31}", fullmatch=True),
    kind=st.from_regex(r"[a-z][a-z0-9-]{0,31}", fullmatch=True),
    status=st.sampled_from(STATUSES),
    node=st.binary(min_size=32, max_size=32),
    incarnation=st.integers(0, INT_MAX),
    port=st.integers(1, 65_535),
)


@given(adverts)
def test_an_advert_survives_the_record(advert):
    assert decode_txt(encode_txt(advert), advert.port) == advert


def test_the_longest_advert_fits_one_packet():
    """Each key=value is at most 255 bytes, all of them together under 400."""
    longest = dataclasses.replace(ALICE, name="a" * NAME_CHARS, kind="k" * NAME_CHARS, incarnation=INT_MAX)
    sizes = [len(key) + 1 + len(value) for key, value in encode_txt(longest).items()]
    assert max(sizes) <= 255
    assert sum(sizes) + len(sizes) < 300


def test_keys_may_be_bytes_and_unknown_keys_are_skipped():
    record = {key.encode(): value for key, value in encode_txt(ALICE).items()}
    assert decode_txt({**record, b"future": b"1", b"flag": None, b"\xff": b"x"}, ALICE.port) == ALICE


@pytest.mark.parametrize("version", [None, b"", b"0", b"2", b"1\0"])
def test_another_version_is_refused(version):
    with pytest.raises(UnknownVersion):
        decode_txt({**encode_txt(ALICE), "v": version}, ALICE.port)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("a", None),
        ("a", b"short"),
        ("a", b"x" * 33),
        ("t", b"x" * 31),
        ("n", None),
        ("n", b""),
        ("n", b"../etc"),
        ("n", b"\x1b[2J"),
        ("n", "\u0430lice".encode()),
        ("n", b"a" * 33),
        ("k", b"Claude"),
        ("k", b"k" * 65),
        ("s", b"dancing"),
        ("s", None),
        ("i", None),
        ("i", b""),
        ("i", b"-1"),
        ("i", b"01"),
        ("i", b"1_0"),
        ("i", b" 1"),
        ("i", b"9" * 16),
        ("i", b"9" * 5_000),
    ],
)
def test_a_record_that_is_not_an_advert_is_malformed(key, value):
    with pytest.raises(Malformed):
        decode_txt({**encode_txt(ALICE), key: value}, ALICE.port)


@pytest.mark.parametrize("port", [0, -1, 65_536])
def test_a_port_is_a_port(port):
    with pytest.raises(Malformed):
        decode_txt(encode_txt(ALICE), port)


@given(
    st.dictionaries(
        st.sampled_from([b"v", b"a", b"n", b"k", b"s", b"t", b"i", b"x", b"\xff"]),
        st.none() | st.binary(max_size=40) | st.just(b"1"),
    )
)
def test_any_record_is_an_advert_or_refused(properties):
    try:
        advert = decode_txt(properties, 1)
    except (Malformed, UnknownVersion):
        return
    assert decode_txt(encode_txt(advert), 1) == advert


def test_a_label_is_unique_and_fits_dns():
    label = instance_label(ALICE.agent, ALICE.node)
    assert len(label) == 63
    assert label == label.lower()
    assert label != instance_label(b"\x01" * 32, ALICE.node)
    assert label != instance_label(ALICE.agent, b"\x01" * 32)
