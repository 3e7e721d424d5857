"""The work that strangers may cause in a node: counted in signatures and frames, never in seconds."""

from __future__ import annotations

import pytest

from p2p_agents.core.api import commands
from p2p_agents.core.links import opening
from p2p_agents.core.turn import dispatch
from p2p_agents.crypto import identity as identities
from p2p_agents.limits import CONTROL_FRAMES_BURST
from p2p_agents.link.admission import Bucket
from p2p_agents.wire import frame as frames
from p2p_agents.wire.claims import OPEN_LABEL, encode_open
from p2p_agents.wire.frame import encode_frame
from p2p_agents.wire.framing import frame_bytes
from tests.sim.owners import adds_device


@pytest.fixture
def verified(monkeypatch):
    """Signatures of identity logs that were verified."""
    seen, verify = [], identities.verify
    monkeypatch.setattr(identities, "verify", lambda *said: seen.append(said[2]) or verify(*said))
    return seen


def opens(bob, mallory, peering, number):
    """An OPEN of a link to bob that holds."""
    server = peering.server_key
    key = mallory.hosted.speaker.key
    said = encode_open(server, mallory.id, key.public, bob.id, bytes(32), peering.own_challenge, number)
    return frames.Open(number, mallory.id, key.public, bob.id, bytes(32), 0, key.sign(said, OPEN_LABEL))


def test_a_kept_request_with_a_long_log_is_verified_once_however_often_its_sender_opens(world, verified):
    """E1, C2: each OPEN of it cost 30 ms: 1.7 MB silenced a node for 93 s."""
    bob, mallory = world.agent("bob"), world.agent("mallory")
    for number in range(60):
        adds_device(mallory, f"device{number}")
    mallory.befriends(bob)
    mallory.sends(bob, "let me in")
    world.settle()
    assert bob.requests() == ["let me in"]
    peering = next(iter(bob.core.peerings.values()))
    first = 1001 if peering.dialed else 1000
    del verified[:]
    for number in range(40):
        asking = opens(bob, mallory, peering, first + 2 * number)
        bob.node.run(lambda core, frame=asking: opening.on_open(core, peering, frame))
    assert len(peering.links) > 10
    assert verified == []


def test_a_flood_of_opens_ends_at_its_connection_before_the_writer_hears_of_it(world, monkeypatch):
    """C1: counted as they arrive: what waits for the writer may wait long."""
    bob, friend, mallory = world.agent("bob"), world.agent("friend"), world.agent("mallory")
    bob.befriends(friend)
    friend.befriends(bob)
    world.settle()
    handled, handle = [], dispatch._handle
    monkeypatch.setattr(dispatch, "_handle", lambda *given: handled.append(given[2]) or handle(*given))
    end = mallory.node.lines.endpoint.dial(bob.node.address, pin=None)
    world.run(0.1)
    end.send(frame_bytes(encode_frame(frames.Node(mallory.node.certificate.public, 1, "x", bytes(32), ()))))
    world.run(0.1)
    peering = next(p for p in bob.core.peerings.values() if not p.links and not p.dialed)
    for number in range(2_000):
        end.send(frame_bytes(encode_frame(opens(bob, mallory, peering, 1000 + 2 * number))))
    world.run(5)
    assert sum(isinstance(frame, frames.Open) for frame in handled) <= CONTROL_FRAMES_BURST
    assert peering.id not in bob.core.peerings
    friend.sends(bob, "still here")
    world.settle()
    assert bob.heard(friend) == ["still here"]


def test_contacts_with_many_agents_come_in_while_strangers_use_up_what_they_share(world):
    """C1, C3: their first OPENs and HELLOs came in one burst, which was cut off as a flood of strangers, for ever."""
    office, home = world.node(), world.node()
    workers = [world.agent(f"worker{number}", office) for number in range(12)]
    boss = world.agent("boss", home)
    for worker in workers:
        worker.befriends(boss)
        boss.befriends(worker)
    world.settle()
    assert all(boss.links(worker) for worker in workers)
    for node in (office, home):
        node.restart()
        node.lines._strangers = Bucket(0, 0)  # strangers use up whatever there is
    world.run(30)
    assert [len(boss.links(worker)) for worker in workers] == [1] * len(workers)


@pytest.mark.parametrize("meeting", [True, False])
def test_a_crowd_of_contacts_on_one_node_comes_in_within_seconds(world, monkeypatch, meeting):
    """C1, C3: three links a second and 32 frames bounded it, so that 500 took minutes; what it asks bounds it now."""
    office, home = world.node(), world.node()
    workers = [world.agent(f"worker{number}", office) for number in range(150)]
    boss = world.agent("boss", home)
    for worker in workers:
        worker.befriends(boss)
        boss.befriends(worker)
    world.run(4 if meeting else 60)
    if not meeting:
        home.restart()
        world.run(4)
    assert sum(bool(boss.links(worker)) for worker in workers) == len(workers)
    assert {each["why"] for each in boss.call(commands.peers)["peers"] if "why" in each} <= {None}


def test_the_links_that_a_crowd_wants_are_looked_for_once_and_not_with_each_of_them(world, monkeypatch):
    """Each link that came up had all others looked for again: ten seconds of a core for 500."""
    office, home = world.node(), world.node()
    workers = [world.agent(f"worker{number}", office) for number in range(60)]
    boss = world.agent("boss", home)
    looks, look = [], opening._wanted
    monkeypatch.setattr(opening, "_wanted", lambda *given: looks.append(given) or look(*given))
    for worker in workers:
        worker.befriends(boss)
        boss.befriends(worker)
    del looks[:]
    world.run(4)
    assert all(boss.links(worker) for worker in workers)
    assert len(looks) <= 2 * 4 + 4  # a second of each node, and who they are


def test_contacts_that_flood_are_cut_off_when_all_of_them_asked_for_enough(world, monkeypatch):
    """C1: beyond its frames a contact's connection draws on work that all contacts share."""
    bob, mallory, friend = world.friends("bob", "mallory", "friend")
    shared = bob.node.lines._contacts
    shared.burst, shared.per_s = 1_000, 0.0
    handled, handle = [], dispatch._handle
    monkeypatch.setattr(dispatch, "_handle", lambda *given: handled.append(given[2]) or handle(*given))
    link = bob.links(mallory)[0]
    end = mallory.node.lines._connections[mallory.links(bob)[0].connection]
    stand = frame_bytes(encode_frame(frames.Stand(link.number, frames.Standing.ACCEPTS)))
    end.send(stand * 5_000)
    world.run(0.5)
    stood = sum(isinstance(frame, frames.Stand) for frame in handled)
    assert stood <= CONTROL_FRAMES_BURST + 1_000 + 10
    assert not bob.links(mallory)
    assert bob.links(friend)


def test_a_crowd_comes_in_slowly_where_others_use_up_what_contacts_may_ask(world):
    """C1, C3: it hurried, was cut off as a flood, and hurried again, for ever."""
    office, home = world.node(), world.node()
    workers = [world.agent(f"worker{number}", office) for number in range(80)]
    boss = world.agent("boss", home)
    for node in (office, home):
        shared = node.lines._contacts
        shared.burst = shared.level = shared.per_s = 0.0
    for worker in workers:
        worker.befriends(boss)
        boss.befriends(worker)
    world.run(90)
    assert all(boss.links(worker) for worker in workers)
