"""Where clients come from: everything of one host or home counts as one."""

from __future__ import annotations

from bridge.origins import Origins


def test_tags_tell_networks_apart_and_no_address():
    one, two = Origins(b"k" * 32), Origins(b"l" * 32)
    assert one.tag("192.0.2.7", b"alice") == one.tag("192.0.2.7", b"bob")
    assert one.tag("192.0.2.7", b"alice") != one.tag("192.0.2.8", b"alice")
    assert one.tag("192.0.2.7", b"alice") != two.tag("192.0.2.7", b"alice")


def test_who_comes_from_nowhere_is_a_network_by_himself():
    origins = Origins(b"k" * 32)
    assert origins.tag("", b"alice") != origins.tag("", b"bob")
    assert origins.tag("", b"alice") == origins.tag("", b"alice")
