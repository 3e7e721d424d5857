"""Every type of frame in every phase of a link, from a stranger and from a contact: no table keeps a ghost."""

from __future__ import annotations

import pytest

from p2p_agents.core.api import commands
from p2p_agents.core.kernel.state import Phase
from p2p_agents.core.turn import dispatch
from p2p_agents.wire import frame as frames
from p2p_agents.wire.cbor import decode, encode
from p2p_agents.wire.framing import Framer, frame_bytes
from p2p_agents.wire.greeting import Greeting
from p2p_agents.wire.knock import Knock

HELLO, SYNC = frames.Hello.TYPE, frames.Sync.TYPE
KINDS = [kind.TYPE for kind in (*frames.OfLink.__args__, *frames.OfNode.__args__)]


def check_tables(core):
    """What holds between what the core holds in memory, whatever came."""
    for key, found in core.links.items():
        assert found, "an empty list of links"
        for link in found:
            assert link.up
            assert core.pair_key(link) == key
            assert core.peerings[link.connection].links[link.number] is link
    for peering in core.peerings.values():
        for number, link in peering.links.items():
            assert (link.connection, link.number) == (peering.id, number)
            assert not link.up or link in core.links[core.pair_key(link)]
    for target, state in core.router._targets.items():
        assert state.connections | state.claims <= core.peerings.keys(), target
    held = {row[0] for row in core.db.all("SELECT sid FROM sessions")}
    assert core.init_links.keys() | core.heard.keys() | core.gaps.keys() <= held


class Wire:
    """What mallory sends: remembered by type, and held back from a type on while `mute` names it."""

    def __init__(self, world, node):
        self.host, self.mute, self.seen = world.net.hosts[node.address], None, {}
        self.silent = set()  # connections on which it was held back
        world.net.tamper = self

    def __call__(self, end, data):
        if end.host is not self.host:
            return data
        passed = b""
        for payload in Framer().feed(data):
            kind = decode(payload)[0]
            if self.mute is not None and (kind == self.mute or end in self.silent):
                self.silent.add(end)
                break
            self.seen.setdefault(kind, payload)
            passed += frame_bytes(payload)
        return passed


def samples(wire, core, peering):
    """A frame of each type: as mallory once sent it, or else made up."""
    made = {
        frames.Refuse.TYPE: [3, 0, "no_such_agent"],
        frames.Close.TYPE: [4, 0, "ghost"],
        frames.Credit.TYPE: [5, 0, 1],
        **{kind: [kind, 0, b"neither sealed nor signed"] for kind in (6, 7, 8, 9)},
        frames.Request.TYPE: [10, 0, b"not sealed"],
        frames.Stand.TYPE: [11, 0, 0],
        frames.Presence.TYPE: [12, 0, "busy", True, 0],
        frames.Pair.TYPE: [13, 0, 7, 1, b"no message"],
        frames.Open.TYPE: [1, 0, bytes(32), bytes(32), bytes(32), bytes(32), 0, b"no proof", b""],
        Greeting.TYPE: [14, 0, b"", [], bytes(32), []],
        Knock.TYPE: [15, 0, b"not sealed"],
        99: [99, 0, "later"],
    }
    return {kind: decode(wire.seen[kind]) if kind in wire.seen else made[kind] for kind in [*KINDS, 99]}


def link_in(phase, bob):
    """(connection, number) of bob's link to mallory in this phase, or its connection; None while none is."""
    if phase is None:
        return next(((peering, 40 + peering.dialed) for peering in bob.core.peerings.values()), None)
    links = [(peering, link) for peering in bob.core.peerings.values() for link in peering.links.values()]
    return next(((peering, link.number) for peering, link in links if link.phase is phase), None)


PHASES = {  # phase of bob's link -> (whom mallory is to bob, what of mallory's is held back)
    "no link": (None, True, None),
    "opening": (Phase.OPENING, True, HELLO),
    "answered": (Phase.ANSWERED, False, HELLO),
    "up, a contact": (Phase.UP, True, SYNC),
    "up, a stranger": (Phase.UP, False, None),
    "synced": (Phase.SYNCED, True, None),
}


@pytest.mark.parametrize("name", PHASES)
def test_every_frame_in_every_phase_of_a_link(world, name):
    """C2, C3: REFUSE of a link that was up left a ghost, which broke `peers` and grew with every connection."""
    phase, friendly, mute = PHASES[name]
    bob, mallory = world.agent("bob"), world.agent("mallory")
    wire = Wire(world, mallory.node)
    mallory.befriends(bob)
    if friendly:
        bob.befriends(mallory)
    mallory.sends(bob, "before")
    world.settle()
    for kind in [*KINDS, 99]:
        wire.mute = mute
        world.net.cut()
        while (found := link_in(phase, bob)) is None:
            world.run(0.5)
        peering, number = found
        fields = samples(wire, bob.core, peering)[kind]
        if kind not in (frames.Node.TYPE, frames.Pair.TYPE, Greeting.TYPE, Knock.TYPE):
            fields[1] = number
        bob.node.run(lambda core, f=fields, p=peering: dispatch.received(core, p.id, frame_bytes(encode(f))))
        check_tables(bob.core)
        bob.call(commands.peers)
        world.run(1)
        check_tables(bob.core)
        bob.call(commands.peers)
        wire.mute = None
        world.run(45)
        world.settle()
        check_tables(bob.core)
        check_tables(mallory.core)
        assert sum(map(len, bob.core.links.values())) <= 2, kind  # both may have dialled
    if friendly:
        mallory.sends(bob, "after")
        world.settle()
        assert bob.heard(mallory) == ["before", "after"]
