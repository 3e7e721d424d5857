"""Discovery by multicast DNS, over this machine's real interfaces and between network namespaces."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys

import pytest
from zeroconf import ServiceStateChange
from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

from p2p_agents.net import mdns as mdns_module
from p2p_agents.net.mdns import Mdns
from p2p_agents.wire.advert import Advert, encode_txt, instance_label
from tests.net.stories import ALICE, BOB, Watcher, agent, run


@pytest.fixture(autouse=True)
def service_of_this_test(monkeypatch, request):
    """Other nodes of this machine, and other tests, must not be heard."""
    unique = f"_t{abs(hash(request.node.nodeid)) % 10**10}"
    monkeypatch.setattr(mdns_module, "SERVICE", f"{unique}._udp.local.")


def test_two_nodes_find_each_other_and_say_goodbye():
    async def story() -> None:
        alices, bobs = Watcher(), Watcher()
        alice, bob = Mdns(alices.found, alices.lost), Mdns(bobs.found, bobs.lost)
        await alice.advertise([ALICE])
        await alice.start()
        await bob.start()
        assert (alice.problem, bob.problem) == (None, None)
        await bob.advertise([BOB])
        await bobs.until(lambda: bobs.present == {ALICE.agent: ALICE})
        await alices.until(lambda: alices.present == {BOB.agent: BOB})
        assert {port for _, port in bobs.addresses[ALICE.agent]} == {ALICE.port}
        await alice.stop()
        await bobs.until(lambda: bobs.gone == [(ALICE.agent, ALICE.incarnation)])
        await bob.stop()

    run(story())


def test_what_is_advertised_changes_in_place():
    async def story() -> None:
        bobs = Watcher()
        alice, bob = Mdns(Watcher().found, Watcher().lost), Mdns(bobs.found, bobs.lost)
        await bob.start()
        await alice.start()
        await alice.advertise([ALICE, agent(1)])
        await bobs.until(lambda: set(bobs.present) == {ALICE.agent, agent(1).agent})
        busy = dataclasses.replace(ALICE, status="busy", incarnation=ALICE.incarnation + 1)
        await alice.advertise([busy, agent(1)])
        await bobs.until(lambda: bobs.present[ALICE.agent] == busy)
        assert bobs.gone == []
        await alice.advertise([busy])
        await bobs.until(lambda: bobs.gone == [(agent(1).agent, ALICE.incarnation)])
        await alice.stop()
        await bob.stop()

    run(story())


def test_own_adverts_are_not_reported():
    async def story() -> None:
        alices, bobs = Watcher(), Watcher()
        alice, bob = Mdns(alices.found, alices.lost, node=ALICE.node), Mdns(bobs.found, bobs.lost)
        await alice.start()
        await bob.start()
        await alice.advertise([ALICE])
        await bobs.until(lambda: bobs.present)
        await bob.advertise([BOB])
        await alices.until(lambda: alices.present)
        assert set(alices.present) == {BOB.agent}
        assert set(bobs.present) == {ALICE.agent}
        await alice.stop()
        await bob.stop()

    run(story())


def test_without_interfaces_there_is_a_problem_until_there_are(monkeypatch):
    real = mdns_module._open_zeroconf
    failures = iter([RuntimeError("No interfaces to listen on"), OSError("no such device")])

    def flaky() -> AsyncZeroconf:
        for failure in failures:
            raise failure
        return real()

    monkeypatch.setattr(mdns_module, "_open_zeroconf", flaky)

    async def story() -> None:
        bobs = Watcher()
        alice = Mdns(Watcher().found, Watcher().lost, poll_s=0.01)
        await alice.start()
        assert alice.problem is not None
        assert "No interfaces" in alice.problem
        await alice.advertise([ALICE])
        bob = Mdns(bobs.found, bobs.lost, poll_s=0.01)
        await bob.start()
        await bobs.until(lambda: ALICE.agent in bobs.present)
        assert alice.problem is None
        await alice.stop()
        await bob.stop()
        assert alice.problem == "stopped"

    run(story())


def test_a_withdrawal_right_before_stop_is_heard():
    async def story() -> None:
        bobs = Watcher()
        alice, bob = Mdns(Watcher().found, Watcher().lost), Mdns(bobs.found, bobs.lost)
        await bob.start()
        await alice.start()
        await alice.advertise([ALICE])
        await bobs.until(lambda: bobs.present)
        await alice.advertise([])
        await alice.stop()
        await bobs.until(lambda: bobs.gone)
        await bob.stop()

    run(story())


def test_stop_before_start_is_quiet():
    async def story() -> None:
        node = Mdns(Watcher().found, Watcher().lost)
        await node.advertise([ALICE])
        await node.stop()
        assert node.problem == "stopped"

    run(story())


class Browsed:
    """A node's browser, fed by hand as by a hostile network."""

    def __init__(self, watcher: Watcher) -> None:
        self.mdns = Mdns(watcher.found, watcher.lost)

    def announce(self, name: str, properties: dict, port: int = 9, hosts: tuple[str, ...] = ("192.0.2.1",)) -> None:
        info = AsyncServiceInfo(
            mdns_module.SERVICE,
            f"{name}.{mdns_module.SERVICE}",
            port=port,
            properties=properties,
            parsed_addresses=list(hosts),
        )
        self.mdns._learn(f"{name}.{mdns_module.SERVICE}", info)

    def honest(self, advert: Advert, hosts: tuple[str, ...] = ("192.0.2.1",)) -> None:
        self.announce(instance_label(advert.agent, advert.node), encode_txt(advert), advert.port, hosts)

    def goodbye(self, advert: Advert) -> None:
        name = f"{instance_label(advert.agent, advert.node)}.{mdns_module.SERVICE}"
        self.mdns._on_change(None, mdns_module.SERVICE, name, ServiceStateChange.Removed)


def test_records_that_are_no_adverts_are_ignored():
    async def story() -> None:
        watcher = Watcher()
        browsed = Browsed(watcher)
        label = instance_label(ALICE.agent, ALICE.node)
        browsed.announce(label, {})
        browsed.announce(label, {"v": b"2"})
        browsed.announce(label, {**encode_txt(ALICE), "n": b"\x1b[2J"})
        browsed.announce(label, encode_txt(ALICE), port=0)
        browsed.announce("somebody-else", encode_txt(ALICE))
        browsed.announce(instance_label(BOB.agent, ALICE.node), encode_txt(ALICE))
        assert watcher.found_calls == 0
        browsed.honest(ALICE)
        browsed.honest(ALICE)
        assert watcher.found_calls == 1

    run(story())


def test_addresses_are_bounded_and_diallable():
    async def story() -> None:
        watcher = Watcher()
        browsed = Browsed(watcher)
        browsed.honest(ALICE, hosts=tuple(f"192.0.2.{number}" for number in range(1, 100)))
        assert len(watcher.addresses[ALICE.agent]) == mdns_module.ADDRESSES_PER_ADVERT
        browsed.honest(
            BOB, hosts=("2001:db8::1", "fe80::1", "ff02::1", "::", "0.0.0.0", "224.0.0.1", "255.255.255.255")
        )
        assert watcher.addresses[BOB.agent] == (("2001:db8::1", BOB.port),)

    run(story())


def test_a_flood_of_agents_is_bounded(monkeypatch):
    monkeypatch.setattr(mdns_module, "DISCOVERED_AGENTS", 5)

    async def story() -> None:
        watcher = Watcher()
        browsed = Browsed(watcher)
        for number in range(12):
            browsed.honest(agent(number))
        assert list(watcher.present) == [agent(number).agent for number in range(7, 12)]
        browsed.goodbye(agent(0))
        browsed.goodbye(agent(11))
        assert len(watcher.gone) == 8

    run(story())


# --- between hosts ---

NODE = """
import asyncio, json, sys
from p2p_agents.net.mdns import Mdns
from p2p_agents.wire.advert import Advert

def say(**news):
    print(json.dumps(news), flush=True)

async def main(name, seconds):
    node = Mdns(
        lambda advert, addresses: say(found=advert.name, addresses=addresses),
        lambda agent, incarnation: say(lost=agent.decode().rstrip(".")),
        poll_s=0.2,
    )
    key = name.encode().ljust(32, b".")
    await node.start()
    await node.advertise([Advert(key, name, "human", "online", key, 1, 4433)])
    say(started=name, problem=node.problem)
    await asyncio.to_thread(sys.stdin.readline)
    await node.stop()
    say(stopped=name)

asyncio.run(main(sys.argv[1], 1))
"""


class Node:
    """A process on a lab's host that announces one agent and prints what it finds."""

    def __init__(self, hosts, host: int, name: str) -> None:
        self.process: subprocess.Popen[str] = hosts.run(
            host, [sys.executable, "-c", NODE, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.started = self.until("started")

    def until(self, key: str) -> dict:
        """The next news of that kind; the test's timeout is the bound."""
        for line in self.process.stdout:
            news = json.loads(line)
            if key in news:
                return news
        raise AssertionError(f"the node ended before it said {key}")

    def stop(self) -> None:
        self.process.stdin.write("\n")
        self.process.stdin.flush()


@pytest.mark.netns
def test_hosts_on_one_link_find_each_other(lab):
    with lab(2) as hosts:
        alice, bob = Node(hosts, 0, "alice"), Node(hosts, 1, "bob")
        found = bob.until("found")
        assert found["found"] == "alice"
        assert [hosts.address(0), 4433] in found["addresses"]
        assert alice.until("found")["found"] == "bob"
        alice.stop()
        assert bob.until("lost") == {"lost": "alice"}


@pytest.mark.netns
def test_three_hosts_behind_a_switch_find_each_other(lab):
    with lab(3) as hosts:
        nodes = [Node(hosts, number, f"node-{number}") for number in range(3)]
        for number, node in enumerate(nodes):
            found = {node.until("found")["found"] for _ in range(2)}
            assert found == {f"node-{other}" for other in range(3) if other != number}


@pytest.mark.netns
def test_an_interface_that_appears_later_is_followed(lab):
    with lab(2, connected=False) as hosts:
        alice, bob = Node(hosts, 0, "alice"), Node(hosts, 1, "bob")
        assert alice.started["problem"] is None
        hosts.attach(0)
        hosts.attach(1)
        found = bob.until("found")
        while [hosts.address(0), 4433] not in found["addresses"]:
            found = bob.until("found")
        assert found["found"] == "alice"
        assert alice.until("found")["found"] == "bob"


@pytest.mark.netns
def test_nodes_of_a_host_with_loopback_only_find_each_other(lab):
    with lab(2, connected=False) as hosts:
        alice, bob = Node(hosts, 0, "alice"), Node(hosts, 0, "bob")
        assert alice.started["problem"] is None
        found = bob.until("found")
        assert found["found"] == "alice"
        assert found["addresses"][0] == ["127.0.0.1", 4433]
        assert alice.until("found")["found"] == "bob"
