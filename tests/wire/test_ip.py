"""Addresses in structures."""

from __future__ import annotations

import pytest

from p2p_agents.errors import Malformed
from p2p_agents.wire.ip import may_be_dialled, pack_address, unpack_address


@pytest.mark.parametrize("address", [("192.0.2.7", 4433), ("2001:db8::7", 1), ("127.0.0.1", 65_535)])
def test_an_address_survives(address):
    assert unpack_address(pack_address(address)) == address
    assert may_be_dialled(address)


@pytest.mark.parametrize("address", [("localhost", 1), ("192.0.2.7", 65_536), ("fe80::1%2", 1), ("192.0.2.7", -1)])
def test_what_is_no_address(address):
    with pytest.raises(Malformed):
        pack_address(address)


@pytest.mark.parametrize("value", [[b"\x01" * 5, 1], [b"\x01" * 4], ["192.0.2.7", 1], [b"\x01" * 4, True], 7])
def test_what_is_none_on_the_wire(value):
    with pytest.raises(Malformed):
        unpack_address(value)
