"""Addresses that anybody may pass on: verified when read, and altered by nobody."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p_agents.crypto.bundle import sign_bundle
from p2p_agents.crypto.identity import Identity, add_device, inception, replay, revoke_device
from p2p_agents.crypto.kem import KemKey
from p2p_agents.crypto.request_address import (
    ADDRESS_LABEL,
    PREFIX,
    PublicQueue,
    is_address,
    read,
    show,
)
from p2p_agents.crypto.signing import SigningKey
from p2p_agents.errors import AddressExpired, BadAddress, Malformed, P2PError, UnknownVersion
from p2p_agents.limits import REQUEST_ADDRESS_BYTES, REQUEST_ADDRESS_CHARS
from p2p_agents.wire.bridge_address import BridgeAddress
from p2p_agents.wire.cbor import decode, encode

NOW = 1_800_000_000_000
EXPIRES = NOW + 37 * 86_400_000
BRIDGE = str(BridgeAddress("bridge.example", 4433, b"b" * 32))
AT = PublicQueue(BRIDGE, b"q" * 32, b"k" * 32, "bob", "codex")


def key(name: str) -> SigningKey:
    return SigningKey.from_seed(name.encode().ljust(32, b"."))


def identity(name: str) -> Identity:
    root = key(f"{name} root")
    first = replay([inception(root, key(f"{name} next").public, NOW)])
    return replay([*first.entries, add_device(first, root, key(name), "device")])


def bundle(name: str, agent: Identity, expires: int = EXPIRES) -> bytes:
    return sign_bundle(key(name), agent.agent, KemKey.from_seed(name.encode().ljust(96, b".")).public, expires)


BOB, EVE = identity("bob"), identity("eve")
TEXT = show(key("bob"), BOB, bundle("bob", BOB), AT)


def packed(text: str = TEXT) -> list:
    data = text.removeprefix(PREFIX)
    return decode(base64.b32decode(data + "=" * (-len(data) % 8)))


def unpacked(fields: object) -> str:
    return PREFIX + base64.b32encode(encode(fields)).decode().rstrip("=")


def signed(signer: str, *said: object) -> bytes:
    return key(signer).sign(encode(list(said)), ADDRESS_LABEL)


def test_what_is_shown_is_what_is_read():
    found = read(TEXT, NOW)
    assert (found.agent, found.device, found.at) == (BOB.agent, key("bob").public, AT)
    assert (found.identity.head, found.bundle.expires_ms) == (BOB.head, EXPIRES)
    assert unpacked(packed()) == TEXT


def test_it_can_be_passed_on_by_chat():
    """Letters and digits alone: nothing that a chat program takes for markup."""
    assert len(TEXT) < 4_000
    assert set(TEXT.removeprefix(PREFIX)) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")


def test_lines_may_be_broken_and_letters_small():
    broken = "\n  ".join(TEXT[at : at + 60] for at in range(0, len(TEXT), 60)).lower()
    assert read(f" {broken}\r\n", NOW).at == AT


def test_an_address_is_no_name():
    assert is_address(TEXT)
    assert is_address(" p2pa:a/whatever")
    for word in ("bob", "P2PA:P/AAAA", "192.0.2.1:4433", "P2PA:", ""):
        assert not is_address(word)


def test_an_expired_one_says_what_to_do():
    read(TEXT, EXPIRES - 1)
    with pytest.raises(AddressExpired) as caught:
        read(TEXT, EXPIRES)
    assert "new one" in caught.value.hint


FORGED = {
    "signed by another": [1, signed("eve", 1, BOB.agent, key("bob").public, BRIDGE, AT.queue, AT.key, "bob", "")],
    "another device": [1, signed("eve", 1, BOB.agent, key("eve").public, BRIDGE, AT.queue, AT.key, "bob", "")],
    "another agent": [1, signed("bob", 1, EVE.agent, key("bob").public, BRIDGE, AT.queue, AT.key, "bob", "")],
    "no bridge": [1, signed("bob", 1, BOB.agent, key("bob").public, "bridge://x", AT.queue, AT.key, "bob", "")],
    "a bridge in capitals": [
        1,
        signed(
            "bob", 1, BOB.agent, key("bob").public, BRIDGE[:-52] + BRIDGE[-52:].upper(), AT.queue, AT.key, "bob", ""
        ),
    ],
    "a short queue": [1, signed("bob", 1, BOB.agent, key("bob").public, BRIDGE, b"q", AT.key, "bob", "")],
    "a long name": [1, signed("bob", 1, BOB.agent, key("bob").public, BRIDGE, AT.queue, AT.key, "b" * 33, "")],
    "a field more": [1, signed("bob", 1, BOB.agent, key("bob").public, BRIDGE, AT.queue, AT.key, "bob", "", 0)],
    "no array": [1, key("bob").sign(encode(7), ADDRESS_LABEL)],
    "another label": [1, key("bob").sign(encode([1]), "p2pa/1 entry")],
}


@pytest.mark.parametrize("fields", FORGED.values(), ids=FORGED.keys())
def test_who_forges_one_is_found_out(fields):
    _, _, entries, prekey = packed()
    with pytest.raises((BadAddress, UnknownVersion)):
        read(unpacked([*fields, entries, prekey]), NOW)


def test_parts_of_two_addresses_make_none():
    """Attack: somebody's queue under another's name, another's key, another's log."""
    ours, theirs = packed(), packed(show(key("eve"), EVE, bundle("eve", EVE), AT))
    for place in (1, 2, 3):
        with pytest.raises(BadAddress):
            read(unpacked([*ours[:place], theirs[place], *ours[place + 1 :]]), NOW)


def test_a_bundle_for_another_agent_is_refused():
    with pytest.raises(BadAddress, match="bundle"):
        read(show(key("bob"), BOB, bundle("bob", EVE), AT), NOW)


def test_a_revoked_device_has_no_address():
    log = replay([*BOB.entries, revoke_device(BOB, key("bob root"), key("bob").public)])
    with pytest.raises(BadAddress):
        read(show(key("bob"), log, bundle("bob", BOB), AT), NOW)


def test_another_version_is_refused():
    with pytest.raises(UnknownVersion):
        read(unpacked([2, *packed()[1:]]), NOW)
    with pytest.raises(UnknownVersion):
        read(unpacked([1, signed("bob", 2, BOB.agent), *packed()[2:]]), NOW)


def test_a_log_that_is_too_long_has_none():
    log, root = BOB, key("bob root")
    while len(encode(list(log.entries))) < REQUEST_ADDRESS_BYTES:
        log = replay([*log.entries, add_device(log, root, key(f"d{log.n}"), "x" * 32)])
    assert show(key("bob"), log, bundle("bob", log), AT) == ""


@pytest.mark.parametrize(
    "word", ["", "P2PA:A/", "P2PA:A/1", "P2PA:A/AAAA", "P2PA:P/" + TEXT[7:], TEXT + "A", "P2PA:A/é", TEXT[:-8], "bob"]
)
def test_what_is_no_address_says_so(word):
    with pytest.raises(BadAddress):
        read(word, NOW)


def test_nothing_is_read_beyond_the_bound():
    with pytest.raises(BadAddress, match="at most"):
        read(TEXT + " " * REQUEST_ADDRESS_CHARS, NOW)


@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda data: base64.b32encode(data).decode().rstrip("=")))
def test_any_text_is_refused_with_one_error(text):
    """Fuzz: what people paste."""
    with pytest.raises((BadAddress, UnknownVersion)):
        read(PREFIX + text, NOW)


@given(st.integers(len(PREFIX), len(TEXT) - 1), st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"))
def test_one_letter_off_is_refused(at, letter):
    changed = TEXT[:at] + letter + TEXT[at + 1 :]
    if changed != TEXT:
        with pytest.raises(P2PError):
            read(changed, NOW)


def test_a_queue_that_is_out_of_bounds_is_not_built():
    for wrong in ((BRIDGE, b"q", b"k" * 32, "", ""), (7, b"q" * 32, b"k" * 32, "", ""), ("", AT.queue, AT.key, "", "")):
        with pytest.raises(Malformed):
            PublicQueue(*wrong)
