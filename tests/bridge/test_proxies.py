"""Where a client comes from, as trusted proxies report it: read from the end, and nothing else believed."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.exceptions import InvalidStatus

from bridge import bounds
from bridge.proxies import HEADER, HEADER_CHARS, HOPS, Proxies
from p2p_agents.errors import Usage
from p2p_agents.quic.address import canonical_host, network_of
from p2p_agents.wire.relay_answers import Done
from tests.bridge.client import Queue, by_quic, by_web, met
from tests.bridge.serving import in_loop, serving

INSIDE = Proxies.parse("10.0.0.0/24, fd00::/64,192.0.2.1")
PROXY = "10.0.0.1"


@pytest.mark.parametrize(
    ("forwarded", "client"),
    [
        (["203.0.113.9"], "203.0.113.9"),
        (["203.0.113.9:50123"], "203.0.113.9"),
        (["2001:DB8::7"], "2001:db8::7"),
        (["[2001:db8::7]:443"], "2001:db8::7"),
        (["::ffff:203.0.113.9"], "203.0.113.9"),
        (["198.51.100.1, 203.0.113.9"], "203.0.113.9"),  # what stands before may be anybody's
        (["198.51.100.1", "203.0.113.9"], "203.0.113.9"),
        (["203.0.113.9, 10.0.0.7, 192.0.2.1"], "203.0.113.9"),  # a chain of ours
        (["nonsense, 203.0.113.9"], "203.0.113.9"),
        (["203.0.113.9, nonsense"], PROXY),
        (["203.0.113.9, fe80::1%eth0"], PROXY),
        (["203.0.113.9,"], PROXY),
        (["unknown"], PROXY),
        (["10.0.0.9"], ""),  # one of the proxies itself
        (["192.0.2.1, 10.0.0.9"], ""),
        ([""], PROXY),
        ([], PROXY),
        ([", ".join(["203.0.113.9", *["10.0.0.2"] * HOPS])], PROXY),
        (["203.0.113.9" + " " * HEADER_CHARS], PROXY),
    ],
)
def test_the_first_address_from_the_end_that_is_no_proxys(forwarded: list[str], client: str) -> None:
    assert INSIDE.client(PROXY, forwarded) == client


def test_only_what_is_named_is_trusted() -> None:
    assert all(map(INSIDE.trusts, ("10.0.0.255", "::ffff:10.0.0.1", "fd00::9", "192.0.2.1")))
    assert not any(map(INSIDE.trusts, ("10.0.1.0", "::ffff:192.0.2.2", "fd00:0:0:1::", "fe80::1%eth0", "127.0.0.1")))
    assert not Proxies().trusts("127.0.0.1")


@pytest.mark.parametrize(
    "text", ["proxy.example.org", "10.0.0.1/8", "10.0.0.1/33", "0.0.0.0/0", "::/0", ",".join(["10.0.0.1"] * 65)]
)
def test_a_list_that_is_none_or_believes_everybody_is_refused(text: str) -> None:
    with pytest.raises(Usage):
        Proxies.parse(text)


@given(st.lists(st.text(max_size=60) | st.ip_addresses().map(str), max_size=12), st.sampled_from([",", ", ", " ,\t"]))
def test_whatever_a_header_holds_an_address_comes_of_it(words: list[str], comma: str) -> None:
    found = INSIDE.client(PROXY, [comma.join(words)])
    assert found in ("", PROXY) or (found == canonical_host(found) and not INSIDE.trusts(found))
    network_of(found)


# --- at a bridge ---


def from_(address: str) -> list[tuple[str, str]]:
    return [(HEADER, f"198.51.100.99, {address}")]


@in_loop
async def test_networks_behind_a_proxy_have_bounds_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All clients behind one proxy had one address, or none: one of them could take the places of all."""
    monkeypatch.setattr(bounds, "UPGRADES_OF_NETWORK", 1_000)
    monkeypatch.setattr("bridge.gate.PACE", bounds.Pace(1e-9, 3))
    trusted = {"tls": False, "proxies": Proxies.parse("127.0.0.1")}
    async with serving(tmp_path, **trusted) as (server, address):
        crowd = [await by_web(address, tls=False, headers=from_(f"2001:db8::{n}")) for n in range(3)]
        with pytest.raises(InvalidStatus, match="429"):
            await by_web(address, tls=False, headers=from_("2001:db8::ffff"))
        assert server.web.turned_away == 1
        other = await by_web(address, tls=False, headers=from_("203.0.113.9"))
        async with met(other, address, "bob") as bob:
            assert bob.welcome.observed == ""  # a proxy tells no port
            assert isinstance(await bob.create(Queue("for bob")), Done)
        assert {visit.network for visit in server.hub.visits} >= {"2001:db8::/64"}
        await asyncio.gather(*(client.close() for client in crowd))


@in_loop
async def test_nobody_else_says_where_he_comes_from(tmp_path: Path) -> None:
    """Attack: a client's own header, with no trusted proxy or from elsewhere, made it count under another's network."""
    for number, trusted in enumerate(("", "203.0.113.1")):
        proxies = Proxies.parse(trusted)
        async with serving(tmp_path / str(number), tls=False, proxies=proxies) as (server, address):
            client = await by_web(address, tls=False, headers=from_("203.0.113.9"))
            assert [visit.network for visit in server.hub.visits] == [""]
            await client.close()


@in_loop
async def test_who_comes_past_the_proxy_counts_as_before(tmp_path: Path) -> None:
    async with serving(tmp_path, tls=False, proxies=Proxies.parse("203.0.113.1")) as (_, address):
        async with met(await by_web(address, tls=False), address) as alice:
            assert alice.welcome.observed.startswith("127.0.0.1:")
        async with met(await by_quic(address), address) as bob:
            assert bob.welcome.observed.startswith("127.0.0.1:")
