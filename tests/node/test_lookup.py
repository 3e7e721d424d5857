"""What people type after `peers add`, resolved to addresses."""

from __future__ import annotations

import asyncio
import socket

import pytest

from p2p_agents.errors import NotReachable, Usage
from p2p_agents.node.lookup import addresses_of

ANSWERS = {
    "build-host.local": [
        ("192.0.2.7", 4433),
        ("fe80::1", 4433, 0, 3),
        ("2001:db8::7", 4433, 0, 0),
        ("192.0.2.7", 4433),
    ],
    "crowd.example": [(f"192.0.2.{number}", 4433) for number in range(1, 100)],
}


@pytest.fixture(autouse=True)
def resolver(monkeypatch: pytest.MonkeyPatch) -> None:
    def look_up(host: str, port: int, *_: object, **__: object) -> list[tuple[object, ...]]:
        if host not in ANSWERS:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(0, 0, 0, "", sockaddr) for sockaddr in ANSWERS[host]]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)


def found(text: str) -> list[str]:
    return asyncio.run(addresses_of(text))


@pytest.mark.parametrize("text", ["192.0.2.7:4433", "[2001:db8::7]:4433", "[fe80::1%2]:4433"])
def test_an_address_is_taken_as_it_is(text: str) -> None:
    assert found(text) == [text]


def test_a_host_name_is_all_its_addresses() -> None:
    assert found("build-host.local:4433") == ["192.0.2.7:4433", "[fe80::1%3]:4433", "[2001:db8::7]:4433"]


def test_a_name_of_a_crowd_is_dialled_in_part() -> None:
    assert len(found("crowd.example:4433")) == 8


@pytest.mark.parametrize("text", ["nowhere.example:4433", "\x00a:4433", "a..b:1"])
def test_a_name_without_address_says_so(text: str) -> None:
    with pytest.raises(NotReachable, match="no address is known"):
        found(text)


@pytest.mark.parametrize("text", ["192.0.2.7", "build-host.local", ""])
def test_a_missing_port_is_asked_for(text: str) -> None:
    with pytest.raises(Usage, match="no port") as told:
        found(text)
    assert "4433" in told.value.hint


@pytest.mark.parametrize("text", ["999.0.0.1:80", "2001:db8::1:80", "build-host.local:http", "[build-host]:80"])
def test_what_cannot_be_an_address_is_a_usage_error(text: str) -> None:
    with pytest.raises(Usage):
        found(text)
