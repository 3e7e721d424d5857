"""Messages between two nodes: once, in their author's order, with honest states, whatever the network does."""

from __future__ import annotations

import sqlite3

import pytest

from p2p_agents.core.delivery import outbound
from p2p_agents.errors import IdConflict, OutboxFull, PeerBlocked
from p2p_agents.limits import BODY_BYTES, LINK_CREDIT_LEAST_BYTES, UNACKED_FRAMES
from p2p_agents.link.credit import window_for
from p2p_agents.store import sessions
from tests.sim.world import World, settled


def test_a_message_arrives_and_its_states_tell_the_truth(world):
    """A6, B3, B8: queued, delivered, read, each only when it is so."""
    alice, bob = world.friends("alice", "bob")
    hello = alice.sends(bob, "hello")
    assert alice.state(hello) == "queued"
    world.settle()
    assert alice.state(hello) == "delivered"
    assert bob.inbox() == ["hello"]
    assert alice.state(hello) == "delivered"
    assert bob.acks() == 1
    world.settle()
    assert alice.state(hello) == "read"


def test_what_is_sent_to_the_absent_waits_and_arrives_in_order(world):
    """A3, B1, B2: sealed only when there is a path."""
    alice, bob = world.friends("alice", "bob")
    bob.node.crash()
    world.run(20)
    for number in range(40):
        alice.sends(bob, f"message {number}")
    assert alice.states(bob) == ["asked"] * 40
    bob.node.start()
    world.settle()
    assert bob.inbox() == [f"message {number}" for number in range(40)]
    assert settled(alice.states(bob))


def test_a_partition_of_ten_minutes_loses_nothing(world):
    """B1: both sides go on writing meanwhile."""
    alice, bob = world.friends("alice", "bob")
    world.part(alice, bob)
    for number in range(10):
        alice.sends(bob, f"a{number}")
        bob.sends(alice, f"b{number}")
        world.run(60)
    assert bob.heard(alice) == []
    world.join(alice, bob)
    world.settle()
    assert bob.heard(alice) == [f"a{number}" for number in range(10)]
    assert alice.heard(bob) == [f"b{number}" for number in range(10)]
    assert settled(alice.states(bob) + bob.states(alice))


def exchange(world, alice, bob):
    """A few messages each way at once, and the reading of them."""
    for number in range(3):
        alice.sends(bob, f"a{number}")
        bob.sends(alice, f"b{number}")
    world.run(0.1)
    if bob.node.running:
        bob.reads()


def proves_itself(world, alice, bob):
    """After any trouble: everything once, in order, delivered."""
    world.run(12)
    world.settle()
    assert bob.heard(alice) == ["a0", "a1", "a2"]
    assert alice.heard(bob) == ["b0", "b1", "b2"]
    assert settled(alice.states(bob) + bob.states(alice))
    assert alice.owes(bob) == bob.owes(alice) == 0


def places_to_cut(tmp_path, cuts):
    """Offsets spread over all bytes of an undisturbed exchange, its opening included."""
    world = World(tmp_path / "whole")
    alice, bob = strangers(world)
    exchange(world, alice, bob)
    world.settle()
    return [world.net.carried * place // cuts for place in range(cuts)]


def strangers(world):
    """Friends whose nodes have never met."""
    alice, bob = world.agent("alice"), world.agent("bob")
    alice.befriends(bob)
    bob.befriends(alice)
    return alice, bob


@pytest.fixture
def tmp_path(tmp_path):
    (tmp_path / "whole").mkdir()
    return tmp_path


def test_a_connection_may_be_cut_at_any_byte(tmp_path):
    """B1, B2, B5: from the first byte of the first frame on."""
    for place in places_to_cut(tmp_path, 60):
        home = tmp_path / f"cut{place}"
        home.mkdir()
        world = World(home)
        alice, bob = strangers(world)
        world.net.cut_at = place
        exchange(world, alice, bob)
        proves_itself(world, alice, bob)


def test_a_connection_may_be_cut_before_and_inside_every_frame(tmp_path):
    """B1, B2: every piece that the core hands over, whole, missing, or in half."""
    pieces = []

    def listen(_, data):
        pieces.append(len(data))
        return data

    world = World(tmp_path / "whole")
    alice, bob = world.friends("alice", "bob")
    before = world.net.carried
    world.net.tamper = listen
    exchange(world, alice, bob)
    world.settle()
    ends = [sum(pieces[:count]) for count in range(len(pieces))]
    for place in {at for end, size in zip(ends, pieces, strict=True) for at in (end, end + 1, end + size // 2)}:
        home = tmp_path / f"cut{place}"
        home.mkdir()
        world = World(home)
        alice, bob = world.friends("alice", "bob")
        assert world.net.carried == before
        world.net.cut_at = before + place
        exchange(world, alice, bob)
        proves_itself(world, alice, bob)


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("victim", [0, 1])
def test_a_node_may_die_at_every_commit(tmp_path, victim, moment):
    """A6, B2: nothing leaves before its commit, and what a commit promised is kept."""
    for commit in range(1, 16):
        home = tmp_path / f"{commit}"
        home.mkdir()
        world = World(home)
        both = world.friends("alice", "bob")
        alice, bob = both
        for number in range(3):
            alice.sends(bob, f"a{number}")
            bob.sends(alice, f"b{number}")
        disk = both[victim].node.db
        setattr(disk, f"die_{moment}", disk.commits + commit)
        world.run(3)
        if bob.node.running:
            bob.reads_or_dies()
        proves_itself(world, alice, bob)


def test_both_sides_begin_a_session_at_once(world):
    """D3, D4: crossing inits; one of them wins, both messages arrive, no session is left over."""
    alice, bob = world.friends("alice", "bob")
    alice.sends(bob, "from alice")
    bob.sends(alice, "from bob")
    world.settle()
    assert bob.heard(alice) == ["from alice"]
    assert alice.heard(bob) == ["from bob"]
    ours, theirs = (one.core.pair_sessions((one.device, other.device)) for one, other in ((alice, bob), (bob, alice)))
    assert ours[0].session.sid == theirs[0].session.sid


def test_a_pair_has_two_sessions_at_most(world):
    """D4: whatever is cut while sessions begin."""
    alice, bob = strangers(world)
    for round_ in range(12):
        alice.sends(bob, f"a{round_}")
        bob.sends(alice, f"b{round_}")
        world.run(0.002 * round_)
        world.net.cut()
        world.run(1.5)
        for one, other in ((alice, bob), (bob, alice)):
            assert len(sessions.load(one.core.db, one.device, other.device)) <= 2
    world.settle()
    assert bob.heard(alice) == [f"a{round_}" for round_ in range(12)]


def test_an_acknowledgement_says_what_was_received_and_not_what_was_sent(world):
    """B3: while nothing comes back nothing is delivered, however long ago it left."""
    alice, bob = world.friends("alice", "bob")
    world.net.tamper = lambda end, data: data if end.host is alice.node.lines.endpoint else b""
    hello = alice.sends(bob, "hello")
    world.run(5)
    assert bob.heard(alice) == ["hello"]
    assert alice.state(hello) == "queued"
    world.net.tamper = lambda _, data: data
    world.net.cut()
    world.settle()
    assert alice.state(hello) == "delivered"
    assert bob.heard(alice) == ["hello"]


def test_frames_that_are_sent_again_are_the_same_bytes(world):
    """B2: a frame that was lost with its connection is not sealed anew."""
    alice, bob = world.friends("alice", "bob")
    alice.sends(bob, "so that there is a session")
    world.settle()
    world.net.tamper = lambda _, data: None  # cut as soon as anything is sent
    alice.sends(bob, "lost on the way")
    kept = alice.core.db.all("SELECT sid, pos, frame FROM frames")
    assert kept
    carried = []
    world.net.tamper = lambda _, data: carried.append(data) or data
    world.settle()
    assert bob.heard(alice)[1:] == ["lost on the way"]
    assert all(any(frame in data for data in carried) for _, _, frame in kept)


def test_the_window_of_unacknowledged_frames_is_never_exceeded(world):
    """B3: the peer acknowledges nothing; what does not fit the window waits unsealed."""
    alice, bob = world.friends("alice", "bob")
    world.net.tamper = lambda end, data: data if end.host is alice.node.lines.endpoint else b""
    for number in range(UNACKED_FRAMES + 40):
        alice.sends(bob, f"{number}")
    world.run(1)
    (held,) = alice.core.pair_sessions((alice.device, bob.device))
    assert held.frames <= UNACKED_FRAMES
    world.net.tamper = lambda _, data: data
    world.net.cut()
    world.settle()
    assert bob.heard(alice) == [f"{number}" for number in range(UNACKED_FRAMES + 40)]
    assert settled(alice.states(bob))


def test_two_full_windows_do_not_deadlock(world):
    """B3: both sides write until neither may, and hear nothing of each other meanwhile."""
    alice, bob = world.friends("alice", "bob")
    alice.sends(bob, "-")
    world.settle()
    world.part(alice, bob)
    for number in range(UNACKED_FRAMES + 5):
        alice.sends(bob, f"{number}")
        bob.sends(alice, f"{number}")
    world.join(alice, bob)
    world.settle()
    assert bob.heard(alice)[1:] == alice.heard(bob) == [f"{number}" for number in range(UNACKED_FRAMES + 5)]


def test_acknowledgements_alone_do_not_close_the_window(world):
    """B3: bob has acknowledged a thousand frames one by one, and may still write."""
    alice, bob = world.friends("alice", "bob")
    for number in range(1_200):
        alice.sends(bob, f"{number}")
        if number % 3 == 0:
            world.run(0.011)
    world.settle()
    word = bob.sends(alice, "at last")
    world.settle()
    assert bob.state(word) == "delivered"


def test_the_largest_message_passes(world):
    """C1: alone and among others."""
    alice, bob = world.friends("alice", "bob")
    large = "x" * BODY_BYTES
    for text in ("small", large, "small again", large, large, large, large, "end"):
        alice.sends(bob, text)
    world.settle()
    assert bob.heard(alice) == ["small", large, "small again", large, large, large, large, "end"]


def test_a_key_makes_a_send_happen_once(world):
    """B10: the same key answers the same message, in its present state; with other content it is a conflict."""
    alice, bob = world.friends("alice", "bob")
    first = alice.answer(bob, "hello", id="k1")
    assert not first["duplicate"]
    world.settle()
    again = alice.answer(bob, "hello", id="k1")
    assert again["duplicate"]
    assert (again["id"], again["state"]) == (first["id"], "delivered")
    with pytest.raises(IdConflict):
        alice.sends(bob, "something else", id="k1")
    world.settle()
    assert bob.heard(alice) == ["hello"]


def test_a_key_is_kept_over_a_crash(world):
    """B10: a client that never got its answer asks again, and sends once."""
    alice, bob = world.friends("alice", "bob")
    alice.node.db.die_after = alice.node.db.commits + 1
    alice.sends_or_dies(bob, "only once", id="k")
    world.run(2)
    assert alice.answer(bob, "only once", id="k")["duplicate"]
    world.settle()
    assert bob.heard(alice) == ["only once"]


def test_an_outbox_is_bounded(world, monkeypatch):
    """B1: the limit is told, and what was accepted stays accepted."""
    alice, bob = world.friends("alice", "bob")
    monkeypatch.setattr(outbound, "OUTBOX_ENTRIES", 3)
    world.part(alice, bob)
    for number in range(3):
        alice.sends(bob, f"{number}")
    with pytest.raises(OutboxFull):
        alice.sends(bob, "too many")
    world.join(alice, bob)
    world.settle()
    assert bob.heard(alice) == ["0", "1", "2"]
    alice.sends(bob, "room again")


def test_two_agents_of_one_node_need_no_network(world):
    """A4, A6: one transaction, delivered when `send` answers."""
    alice = world.agent("alice")
    carol = world.agent("carol", alice.node)
    message = alice.answer(carol, "hello")
    assert message["state"] == "delivered"
    assert carol.reads() == ["hello"]
    assert alice.state(message["id"]) == "read"
    carol.blocks(alice)
    with pytest.raises(PeerBlocked):
        alice.sends(carol, "again")
    assert carol.heard(alice) == ["hello"]


def test_the_largest_messages_pass_the_smallest_grants(world, monkeypatch):
    """C1: bodies of the largest size, both ways at once, on a node with thousands of links."""
    monkeypatch.setattr("p2p_agents.core.kernel.core.window_for", lambda links: window_for(10_000))
    alice, bob = world.friends("alice", "bob")
    said = [f"{number}".ljust(BODY_BYTES, "x") for number in range(8)]
    for text in said:
        alice.sends(bob, text)
        bob.sends(alice, text)
    world.settle()
    assert alice.links(bob)[0].meter.window == bob.links(alice)[0].meter.window == LINK_CREDIT_LEAST_BYTES
    assert bob.heard(alice) == alice.heard(bob) == said
    assert settled(alice.states(bob) + bob.states(alice))


def test_the_simulation_lets_no_message_go_where_its_state_does_not_lead(world):
    """Every test here is one of the legal moves too: `states.MOVES` is what the store's updates are held to."""
    alice, bob = world.friends("alice", "bob")
    alice.sends(bob, "hello")
    world.settle()
    with pytest.raises(sqlite3.IntegrityError, match="may not follow"):
        alice.core.db.run("UPDATE outbox SET state = 'failed'")
    alice.core.db.run("UPDATE outbox SET state = 'read'")
