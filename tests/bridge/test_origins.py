"""Where clients come from: what one host or home has counts as one."""

from __future__ import annotations

import pytest

from bridge.origins import Origins, network_of


@pytest.mark.parametrize(
    ("host", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("127.0.0.1", ""),
        ("::ffff:127.0.0.1", ""),
        ("::1", ""),
        ("", ""),
    ],
)
def test_the_network_of_an_address(host: str, network: str):
    assert network_of(host) == network


def test_tags_tell_networks_apart_and_no_address():
    one, two = Origins(b"k" * 32), Origins(b"l" * 32)
    assert one.tag("192.0.2.7", b"alice") == one.tag("192.0.2.7", b"bob")
    assert one.tag("192.0.2.7", b"alice") != one.tag("192.0.2.8", b"alice")
    assert one.tag("192.0.2.7", b"alice") != two.tag("192.0.2.7", b"alice")


def test_who_comes_from_nowhere_is_a_network_by_himself():
    origins = Origins(b"k" * 32)
    assert origins.tag("", b"alice") != origins.tag("", b"bob")
    assert origins.tag("", b"alice") == origins.tag("", b"alice")
