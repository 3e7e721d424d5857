"""Addresses as text, and as sockets take them."""

from __future__ import annotations

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p_agents.errors import Usage
from p2p_agents.quic.address import (
    canonical_host,
    format_address,
    from_sockaddr,
    network_of,
    parse_address,
    to_sockaddr,
)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("192.0.2.1:4433", ("192.0.2.1", 4433)),
        ("[2001:db8::1]:1", ("2001:db8::1", 1)),
        ("[2001:DB8:0::1]:1", ("2001:db8::1", 1)),
        ("[fe80::1%2]:65535", ("fe80::1%2", 65535)),
        ("[::ffff:192.0.2.1]:80", ("192.0.2.1", 80)),
    ],
)
def test_an_address_is_read(text, address):
    assert parse_address(text) == address
    assert parse_address(format_address(address)) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "192.0.2.1",
        "192.0.2.1:0",
        "192.0.2.1:65536",
        "192.0.2.1:-1",
        "192.0.2.1: 80",
        "192.0.2.1:٣",
        "2001:db8::1:80",
        "[2001:db8::1]",
        "[192.0.2.1]:80",
        "example.org:80",
        "[fe80::1%no-such-interface]:80",
        "192.0.2.1%1:80",
        "[::1]:80:90",
        "999.0.0.1:80",
    ],
)
def test_what_is_no_address_is_a_usage_error(text):
    with pytest.raises(Usage):
        parse_address(text)


@given(st.text(max_size=60))
def test_any_text_is_an_address_or_a_usage_error(text):
    try:
        address = parse_address(text)
    except Usage:
        return
    assert parse_address(format_address(address)) == address


def test_a_scope_may_be_an_interface_name():
    name = socket.if_nameindex()[0][1]
    assert parse_address(f"[fe80::1%{name}]:9") == (f"fe80::1%{socket.if_nametoindex(name)}", 9)


def test_a_scope_means_nothing_on_a_global_address():
    assert canonical_host("2001:db8::1%7") == "2001:db8::1"


@pytest.mark.parametrize(
    ("address", "family", "sockaddr"),
    [
        (("192.0.2.1", 9), socket.AF_INET, ("192.0.2.1", 9)),
        (("192.0.2.1", 9), socket.AF_INET6, ("::ffff:192.0.2.1", 9, 0, 0)),
        (("2001:db8::1", 9), socket.AF_INET6, ("2001:db8::1", 9, 0, 0)),
        (("fe80::1%3", 9), socket.AF_INET6, ("fe80::1", 9, 0, 3)),
    ],
)
def test_an_address_survives_the_socket(address, family, sockaddr):
    assert to_sockaddr(address, family) == sockaddr
    assert from_sockaddr(sockaddr) == address


@pytest.mark.parametrize("address", [("::1", 9), ("192.0.2.1", 0), ("<broadcast>", 9), ("", 9), ("localhost", 9)])
def test_an_ipv4_socket_takes_ipv4_literals_only(address):
    with pytest.raises(Usage):
        to_sockaddr(address, socket.AF_INET)


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
