"""This machine's addresses."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from p2p_agents.net import interfaces
from p2p_agents.net.interfaces import InterfaceWatch, local_addresses, loopback_addresses
from tests.net.stories import run


def adapter(name: str, *ips: object) -> SimpleNamespace:
    return SimpleNamespace(nice_name=name, ips=[SimpleNamespace(ip=ip) for ip in ips])


MACHINE = [
    adapter("lo", "127.0.0.1", ("::1", 0, 0)),
    adapter("docker0", "172.17.0.1"),
    adapter("wlan0", ("fe80::1", 0, 3), ("2001:db8::5", 0, 0), "192.0.2.5"),
    adapter("br-1234", "172.18.0.1", ("fe80::2", 0, 9)),
    adapter("eth0", "198.51.100.5", "192.0.2.5"),
]


@pytest.fixture
def machine(monkeypatch):
    adapters = list(MACHINE)
    monkeypatch.setattr(interfaces.ifaddr, "get_adapters", lambda: adapters)
    return adapters


def test_addresses_stand_in_the_order_peers_should_try_them(machine):
    assert local_addresses() == (
        "192.0.2.5",
        "198.51.100.5",
        "2001:db8::5",
        "fe80::1%3",
        "172.17.0.1",
        "172.18.0.1",
        "fe80::2%9",
    )
    assert loopback_addresses() == ("127.0.0.1", "::1")


def test_the_watch_tells_of_a_change_and_only_of_that(machine):
    async def story() -> None:
        changes: asyncio.Queue[tuple[str, ...]] = asyncio.Queue()
        watch = InterfaceWatch(lambda: changes.put_nowait(local_addresses()), every_s=0.001)
        await watch.start()
        machine.append(adapter("eth1", "203.0.113.9"))
        assert "203.0.113.9" in await asyncio.wait_for(changes.get(), 10)
        machine.reverse()
        machine.remove(adapter("lo", "127.0.0.1", ("::1", 0, 0)))
        assert "203.0.113.9" in await asyncio.wait_for(changes.get(), 10)
        await watch.stop()
        await watch.stop()
        assert changes.empty()

    run(story())


def test_the_watch_survives_a_fault(machine, monkeypatch):
    async def story() -> None:
        changed = asyncio.Event()
        watch = InterfaceWatch(changed.set, every_s=0.001)
        await watch.start()
        answers = iter([OSError("netlink is busy"), [*MACHINE, adapter("eth1", "203.0.113.9")]])

        def flaky() -> object:
            answer = next(answers, MACHINE)
            if isinstance(answer, OSError):
                raise answer
            return answer

        monkeypatch.setattr(interfaces.ifaddr, "get_adapters", flaky)
        await asyncio.wait_for(changed.wait(), 10)
        await watch.stop()

    run(story())
