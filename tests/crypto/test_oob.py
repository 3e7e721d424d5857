"""Codes for cameras: the content of a picture, and what knowing its secret proves."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p_agents.crypto.oob import PREFIX, Invitation, is_invitation, read, show
from p2p_agents.crypto.pake import Side
from p2p_agents.errors import BadCode, CodeDead, Malformed, P2PError, UnknownVersion
from p2p_agents.limits import OOB_ADDRESSES, OOB_CHARS, OOB_SKEW_MS
from p2p_agents.wire.cbor import encode
from tests.crypto.ends import Seeded

NOW = 1_800_000_000_000
SECRET = bytes(range(16))
ONE = Invitation(b"\xaa" * 32, SECRET, (("192.168.1.20", 4433),), NOW + 600_000)
FIELDS = [1, ONE.agent, SECRET, [[bytes([192, 168, 1, 20]), 4433]], NOW // 1000 + 600]

hosts = st.ip_addresses().map(str)
invitations = st.builds(
    Invitation,
    st.binary(min_size=32, max_size=32),
    st.binary(min_size=16, max_size=16),
    st.lists(st.tuples(hosts, st.integers(0, 65_535)), max_size=OOB_ADDRESSES).map(tuple),
    st.integers(NOW // 1000, 2**33).map(lambda s: s * 1000),
)


def text(fields: object) -> str:
    return PREFIX + base64.b32encode(encode(fields)).decode().rstrip("=")


def tags(side: Side, *, secret=SECRET, ci=b"contact", sid=b"sid", displayer=b"d", scanner=b"s"):
    own, peer = (displayer, scanner) if side is Side.INITIATOR else (scanner, displayer)
    run = Invitation(ONE.agent, secret, (), 0).begin(side, ci=ci, sid=sid, ad=own, entropy=Seeded("unused"))
    return run.finish(run.share, peer)


def test_the_text_of_a_picture_fits_a_small_terminal():
    assert show(ONE) == text(FIELDS)
    assert len(show(ONE)) == 116  # of the 122 that a picture of 37 modules holds
    assert set(show(ONE)) <= set("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:")


@given(invitations)
def test_what_is_shown_is_what_is_read(invitation):
    assert read(show(invitation), NOW) == invitation
    assert len(show(invitation)) <= OOB_CHARS


def test_pasted_text_is_forgiven_its_case_and_spaces():
    assert read(f"  {show(ONE).lower()}\n", NOW) == ONE
    assert is_invitation(f" {show(ONE).lower()}")
    assert not is_invitation("CORAL-FIDDLE-7Q2M0")


def test_an_expired_code_is_refused_clocks_may_differ_a_little():
    read(show(ONE), ONE.expires_ms + OOB_SKEW_MS - 1)
    with pytest.raises(CodeDead):
        read(show(ONE), ONE.expires_ms + OOB_SKEW_MS)


def test_another_version_is_refused():
    with pytest.raises(UnknownVersion):
        read(text([2, *FIELDS[1:]]), NOW)


@pytest.mark.parametrize(
    "fields",
    [
        [],
        {},
        [1],
        FIELDS[:4],
        [*FIELDS, 0],
        [1, bytes(31), *FIELDS[2:]],
        [1, ONE.agent, bytes(15), *FIELDS[3:]],
        [*FIELDS[:3], [[b"abc", 1]], FIELDS[4]],
        [*FIELDS[:3], [[bytes(4), 65_536]], FIELDS[4]],
        [*FIELDS[:3], [[bytes(4), 1]] * 5, FIELDS[4]],
        [*FIELDS[:4], -1],
        [*FIELDS[:4], 2**41],
    ],
)
def test_a_damaged_code_is_refused(fields):
    with pytest.raises((BadCode, UnknownVersion)):
        read(text(fields), NOW)


@pytest.mark.parametrize(
    "scanned", ["", PREFIX, "P2PA:Q/AAAA", "https://x", PREFIX + "A" * 600, PREFIX + "1", PREFIX + "\u00e9"]
)
def test_other_text_is_refused(scanned):
    with pytest.raises(P2PError) as caught:
        read(scanned, NOW)
    assert type(caught.value) in (BadCode, UnknownVersion)


@given(st.text(max_size=60))
def test_garbage_is_refused(garbage):
    with pytest.raises((BadCode, UnknownVersion)):
        read(PREFIX + garbage, NOW)


def test_one_value_has_one_text():
    data = base64.b32encode(encode(FIELDS)).decode().rstrip("=")
    assert len(data) % 8
    spare = data[:-1] + chr(ord(data[-1]) + 1)
    with pytest.raises(BadCode):
        read(PREFIX + spare, NOW)


@pytest.mark.parametrize("host", ["peer.local", "", "1.2.3"])
def test_an_address_is_an_ip_address(host):
    with pytest.raises(Malformed):
        Invitation(ONE.agent, SECRET, ((host, 1),), 0)


def test_the_secret_is_not_shown_and_the_place_does_not_give_it_away():
    assert SECRET.hex() not in repr(ONE)
    assert "secret" not in repr(ONE)
    assert ONE.place != Invitation(ONE.agent, bytes(16), (), 0).place
    assert len(ONE.place) == 20


def test_who_holds_the_secret_is_believed_by_the_other():
    shown, scanned = tags(Side.INITIATOR), tags(Side.RESPONDER)
    assert shown.key == scanned.key
    assert shown.confirms(scanned.own_tag)
    assert scanned.confirms(shown.own_tag)


@pytest.mark.parametrize(
    "other", [{"secret": bytes(16)}, {"ci": b"room"}, {"sid": b"dis"}, {"displayer": b"thief"}, {"scanner": b"thief"}]
)
def test_another_secret_purpose_run_or_identity_is_not(other):
    shown, scanned = tags(Side.INITIATOR), tags(Side.RESPONDER, **other)
    assert not shown.confirms(scanned.own_tag)
    assert not scanned.confirms(shown.own_tag)


def test_a_reflected_tag_is_not():
    shown = tags(Side.INITIATOR)
    assert not shown.confirms(shown.own_tag)


def test_a_scan_has_no_share():
    run = ONE.begin(Side.INITIATOR, ci=b"", sid=b"", ad=b"", entropy=Seeded("unused"))
    with pytest.raises(Malformed):
        run.finish(bytes(32), b"")
    assert SECRET.hex() not in repr(run)
    assert "secret" not in repr(run)
