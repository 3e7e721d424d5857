"""The address of a bridge: copied, mistyped and invented."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p_agents.errors import BadBridge
from p2p_agents.wire.bridge_address import ADDRESS_CHARS, BridgeAddress, parse_bridge

KEY = bytes(range(32))


@pytest.mark.parametrize("host", ["bridge.example.org", "192.0.2.7", "2001:db8::1", "x" * 253])
def test_an_address_survives_being_passed_on(host: str) -> None:
    address = BridgeAddress(host, 65_535, KEY)
    assert parse_bridge(str(address)) == address
    assert parse_bridge(f" {address}\n") == address
    assert len(str(address)) <= ADDRESS_CHARS


def test_the_key_may_be_typed_in_capitals() -> None:
    text = str(BridgeAddress("b", 1, KEY))
    scheme, key = text.split("#")
    assert parse_bridge(f"{scheme}#{key.upper()}") == parse_bridge(text)


GOOD = str(BridgeAddress("b", 4433, KEY))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "https://b:4433",
        GOOD[:-1],
        GOOD[:-1] + "b",
        GOOD + "a",
        GOOD.replace(":4433", ""),
        GOOD.replace("4433", "0"),
        GOOD.replace("4433", "65536"),
        GOOD.replace("b:", "b b:"),
        GOOD.replace("b:", "user@b:"),
        GOOD.replace("b:", "::1:"),
        GOOD.replace("b:", "\u0431:"),
        GOOD * 1_000,
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(BadBridge):
        parse_bridge(text)


@given(st.text())
def test_any_text_is_an_address_or_refused(text: str) -> None:
    try:
        assert str(parse_bridge(text)).lower() == text.strip().lower()
    except BadBridge:
        return


@pytest.mark.parametrize(
    ("host", "port", "key"), [("", 1, KEY), ("b", 0, KEY), ("b", 1, b"short"), ("x" * 254, 1, KEY)]
)
def test_none_can_be_built_wrong(host: str, port: int, key: bytes) -> None:
    with pytest.raises(BadBridge):
        BridgeAddress(host, port, key)
