"""Attackers on the network: garbage, broken frames, floods, peers that never read. Others are still served."""

from __future__ import annotations

import os
import random
import signal
import socket
import threading
from typing import TYPE_CHECKING

import pytest

from p2p_agents import limits
from p2p_agents.quic import private
from p2p_agents.wire.cbor import encode
from p2p_agents.wire.frame import Credit, Data, Hello, Node, Open, Request, RosterAgent, encode_frame
from p2p_agents.wire.framing import frame_bytes
from tests.quic import sealed
from tests.system.attacker import Attacker, attack
from tests.system.harness import PATIENCE_S, Agent
from tests.system.relay import enter

if TYPE_CHECKING:
    from tests.net.namespaces import Lab
    from tests.system.harness import World

pytestmark = pytest.mark.netns

MEMORY_MB = 60  # what an attack may leave behind: buffers the allocator keeps, no more
DATAGRAMS = 5_000
FLOOD = 150
MASKS = 40  # identities of one attacker


@pytest.fixture
def friends(joined: tuple[World, Lab]) -> tuple[Agent, Agent]:
    """Alice and bob, contacts, on the first host; the second one is the attacker's."""
    world, lab = joined
    alice = world.agent("alice", netns=lab.hosts[0])
    bob = world.agent("bob", netns=lab.hosts[0])
    alice.meets(bob)
    return alice, bob


@pytest.fixture
def target(friends: tuple[Agent, Agent], joined: tuple[World, Lab]) -> tuple[str, int]:
    """Where alice's node listens."""
    return joined[1].address(0), friends[0].node.port


def are_well(friends: tuple[Agent, Agent], rss_before: float) -> None:
    """Both still talk, and alice's node is no larger than it was."""
    alice, bob = friends
    for author, reader in (friends, friends[::-1]):
        author.send(reader, "still here", wait="delivered", timeout=PATIENCE_S)
    assert alice.node.rss_mb() - rss_before < MEMORY_MB
    log = "\n".join(alice.node.process.lines if alice.node.process else [])
    assert "Traceback" not in log
    assert bob.everything()[-1] == "still here"


def test_garbage_datagrams(friends: tuple[Agent, Agent], target: tuple[str, int], joined: tuple[World, Lab]) -> None:
    before = friends[0].node.rss_mb()
    rng = random.Random(7)

    def shower() -> None:
        enter(joined[1].hosts[1])
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            for number in range(DATAGRAMS):
                first = bytes([rng.choice([0x00, 0x40, 0xC0, 0xC3, 0xE0, 0xFF])])
                version = rng.choice([b"\x00\x00\x00\x01", b"\x00\x00\x00\x00", rng.randbytes(4)])
                sock.sendto(first + version + rng.randbytes(rng.choice([0, 1, 20, 1195, 1400])), target)
                if number % 50 == 0:
                    sock.sendto(b"", target)

    thread = threading.Thread(target=shower)
    thread.start()
    thread.join()
    are_well(friends, before)


def test_initial_packets_of_one_byte_frames(
    friends: tuple[Agent, Agent], target: tuple[str, int], joined: tuple[World, Lab]
) -> None:
    """Without any handshake: 300 KB of one connection's stopped a node for 15 s; and as many of many connections."""
    before = friends[0].node.rss_mb()
    frames = [sealed.crypto(offset, b"x") for offset in range(10, 30_000, 2)]

    def flood() -> None:
        enter(joined[1].hosts[1])
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            for some in (frames, *(frames[:200] for _ in range(100))):
                dialer = private.BoundedQuicConnection(
                    private.configuration(is_client=True, alpn="x", certificate=None)
                )
                dialer.connect(target, now=0.0)
                for datagram in sealed.datagrams(dialer, sealed.INITIAL, some, size=500):
                    sock.sendto(datagram, target)

    thread = threading.Thread(target=flood)
    thread.start()
    thread.join()
    are_well(friends, before)


def broken() -> dict[str, bytes]:
    """Streams that break the protocol, each in its own way; all but the first begin with a proper NODE."""
    node = os.urandom(32)
    hello = frame_bytes(encode_frame(Node(node, 1, "9.9", os.urandom(32), ())))
    agent = os.urandom(32)
    link = frame_bytes(encode_frame(Open(2, agent, os.urandom(32), os.urandom(32), os.urandom(32), 0, b"proof")))
    return {
        "no frame": b"GET / HTTP/1.1\r\nHost: alice\r\n\r\n",
        "endless frame": hello + (2**32 - 1).to_bytes(4, "big"),
        "frame beyond the bound": hello + (limits.FRAME_BYTES + 1).to_bytes(4, "big"),
        "not CBOR": hello + frame_bytes(b"\xff" * 64),
        "deep CBOR": hello + frame_bytes(b"\x81" * 1000 + b"\x00"),
        "empty frame": hello + frame_bytes(b""),
        "wrong shape": hello + frame_bytes(encode([1, 2, 3])),
        "NODE of another version": frame_bytes(encode([0, 0, 2, node, 1, "9.9", bytes(32), []])),
        "NODE with a crowd": frame_bytes(
            encode([0, 0, 1, node, 1, "x", bytes(32), [[os.urandom(32), "a", "b", "c"]] * (limits.ROSTER_AGENTS + 1)])
        ),
        "OPEN of link 0": hello + frame_bytes(encode_frame(Open(0, agent, agent, agent, agent, 0, b""))),
        "OPEN of our numbers": hello + frame_bytes(encode_frame(Open(1, agent, agent, agent, agent, 0, b""))),
        "a flood of frames": hello + link * (limits.CONTROL_FRAMES_BURST * 3),
    }


def test_streams_that_break_the_protocol_end_their_own_connection(
    friends: tuple[Agent, Agent], target: tuple[str, int], joined: tuple[World, Lab]
) -> None:
    before = friends[0].node.rss_mb()

    async def script(attacker: Attacker) -> dict[str, str]:
        return {name: (await attacker.says(*target, data)).kind for name, data in broken().items()}

    ends = attack(joined[1].hosts[1], script)
    assert set(ends) == set(broken())
    are_well(friends, before)


def test_frames_of_links_that_do_not_stand_are_ignored_or_refused(
    friends: tuple[Agent, Agent], target: tuple[str, int], joined: tuple[World, Lab]
) -> None:
    """C2: nothing but a proven HELLO opens anything; alice's contacts and log do not change."""
    alice, _ = friends
    before = alice.node.rss_mb()
    known = alice.call("contacts")["contacts"]
    junk = os.urandom(200)
    frames = [
        Node(os.urandom(32), 1, "9.9", os.urandom(32), (RosterAgent(os.urandom(32), "bob", "human", "online"),)),
        Hello(2, junk, 0, (junk,), junk),
        Data(2, junk),
        Request(2, junk),
        Credit(2, limits.INT_MAX),
    ]

    async def script(attacker: Attacker) -> int:
        connection = await attacker.dial(*target)
        for frame in frames:
            connection.send(frame_bytes(encode_frame(frame)))
        await attacker.until(lambda: attacker.heard.get(connection, 0) > 0 or connection in attacker.ends)
        return attacker.heard.get(connection, 0)

    assert attack(joined[1].hosts[1], script) > 0
    assert alice.call("contacts")["contacts"] == known
    assert alice.call("requests.list")["requests"] == []
    are_well(friends, before)
    assert alice.node.cli("send", "bob", "which bob?").json["to"]["id"] == friends[1].id


def test_a_flood_of_connections(
    friends: tuple[Agent, Agent], target: tuple[str, int], joined: tuple[World, Lab]
) -> None:
    """One network may hold so many connections; those that say nothing are hung up on."""
    alice, _ = friends
    before = alice.node.rss_mb()

    async def script(attacker: Attacker) -> int:
        dials = [attacker.endpoint.dial(target) for _ in range(FLOOD)]
        await attacker.until(lambda: len(attacker.connected_ones) + len(attacker.ends) >= FLOOD)

        def standing() -> int:
            return sum(it in attacker.connected_ones and it not in attacker.ends for it in dials)

        held = alice.node.call("node.info")["connections"]
        await attacker.until(lambda: standing() <= limits.CONNECTIONS_PER_NETWORK)  # a goodbye may be under way
        are_well(friends, before)
        await attacker.until(lambda: standing() == 0)
        return int(held)

    assert attack(joined[1].hosts[1], script) <= limits.CONNECTIONS_PER_NETWORK + 8
    are_well(friends, before)


def test_a_flood_of_identities_that_ask(friends: tuple[Agent, Agent], joined: tuple[World, Lab]) -> None:
    """B11: forty valid strangers write at once; alice is asked by a few a minute, and her contacts notice nothing."""
    alice, _ = friends
    world, lab = joined
    before = alice.node.rss_mb()
    host = world.node("mallory", netns=lab.hosts[1], hints="hints-m")
    host.start()
    for number in range(MASKS):
        host.call("init", name=f"mask{number}")
    first = Agent(host, "mask0", "")
    first.until_peer(alice, reachable=True)
    with alice.watch("peers.watch") as stream:
        for number in range(MASKS):
            host.call("send", agent=f"mask{number}", to=alice.id, text="pay me" * 500)
        stream.until(lambda it: it.get("trust") == "requested")
    are_well(friends, before)
    asked = alice.call("requests.list")["requests"]
    assert 1 <= len(asked) <= limits.REQUESTS_PER_MINUTE + 2
    assert all(len(it["text"].encode()) <= limits.TEXT_PREVIEW_BYTES for it in asked)
    assert not any("pay me" in text for text in alice.everything())


@pytest.mark.timeout(90)
def test_a_contact_that_stops_reading(friends: tuple[Agent, Agent], joined: tuple[World, Lab]) -> None:
    """C1: what a frozen peer is owed waits in the log, not in memory; awake again it gets all of it, in order."""
    alice, _ = friends
    world, lab = joined
    carol = world.agent("carol", netns=lab.hosts[1], hints="hints-c")
    alice.meets(carol)
    before = alice.node.rss_mb()
    assert carol.node.process is not None
    carol.node.process.send_signal(signal.SIGSTOP)
    body = "x" * 100_000
    for number in range(150):
        alice.send(carol, f"{number} {body}")
    are_well(friends, before)
    carol.node.process.send_signal(signal.SIGCONT)
    alice.send(carol, "the end", wait="delivered", timeout=40)
    heads = [text.split(" ")[0] for text in carol.texts(152)[1:]]
    assert heads == [*map(str, range(150)), "the"]
