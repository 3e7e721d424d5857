"""Pairing between whole nodes: by typed words, by a scanned text, and under attack."""

from __future__ import annotations

from dataclasses import replace

import pytest

from p2p_agents.core.api import commands, invitation
from p2p_agents.core.api import trust as trusting
from p2p_agents.core.pairing.desk import Desk
from p2p_agents.crypto import codes
from p2p_agents.crypto.fingerprint import id_text
from p2p_agents.errors import (
    BadCode,
    BadName,
    Busy,
    CodeDead,
    CodeExpired,
    CodeUsed,
    CodeWrong,
    NobodyFound,
    P2PError,
    PairCancelled,
    PairFailed,
    PairUnknown,
)
from p2p_agents.limits import PAIRING_CODE_MS, PAIRING_PLACES, PAIRING_RUN_MS, PAIRING_SHOWN
from p2p_agents.quic.address import format_address
from p2p_agents.store import contacts, pairings
from p2p_agents.store.contacts import Trust
from p2p_agents.store.database import Database
from p2p_agents.wire.frame import Node, Pair
from p2p_agents.wire.pairing import (
    Answer,
    Ask,
    Confirm,
    Done,
    Offer,
    Reason,
    Refuse,
    Reveal,
    decode_message,
    encode_message,
)
from tests.sim.wire import frames_in, rewriting

LIFE_S = PAIRING_CODE_MS / 1000
RUN_S = PAIRING_RUN_MS / 1000


def strangers(world, *names):
    met = [world.agent(name) for name in names or ("alice", "bob")]
    world.settle()
    return met


def shows(agent, name=None, addresses=(), link=False, history="30"):
    return agent.call(invitation.start, petname=name, addresses=addresses, device=link, history=history)


def tries(agent, code, name=None):
    """Begin; the attempt's id."""
    return agent.call(invitation.begin_join, code=code, petname=name)


def ends(agent, attempt):
    """What the attempt came to, its error raised."""
    result = agent.node.run(lambda core: invitation.end_join(core, attempt))
    if isinstance(result, P2PError):
        raise result
    return result


def joins(world, agent, code, name=None, wait=3.0):
    attempt = tries(agent, code, name)
    world.run(wait)
    return ends(agent, attempt)


def answered_at_once(world, agent, code):
    """Whatever it is: nobody is looked for any longer."""
    attempt = tries(agent, code)
    world.run(3.0)
    assert agent.node.run(lambda core: invitation.is_over(core, attempt))
    return ends(agent, attempt)


def status(agent, code=None):
    return agent.call(invitation.status, code=code)


def trust(agent, peer):
    found = contacts.contact(agent.core.db, agent.hosted.local.id, peer.id)
    return found.trust if found else None


def other_words(code):
    """A valid code of the same place."""
    first, _, place = code.split("-")
    return f"{first}-{'fiddle' if 'FIDDLE' not in code else 'copper'}-{place}"


@pytest.mark.parametrize("what", ["code", "uri"])
def test_two_agents_pair(world, what):
    """E4, F1: both keep each other as paired, under the names they chose, and messages need no request."""
    alice, bob = strangers(world)
    shown = shows(alice, "robert")
    met = joins(world, bob, shown[what], "al")
    assert (met["contact"]["id"], met["trust"]) == (id_text(alice.id), "paired")
    assert met["contact"]["petname"] == "al"
    assert (trust(alice, bob), trust(bob, alice)) == (Trust.PAIRED, Trust.PAIRED)
    now = status(alice)
    assert (now["state"], now["contact"]["petname"]) == ("paired", "robert")
    assert now["contact"]["safety_number"] == met["contact"]["safety_number"]
    bob.sends(alice, "hello")
    alice.sends(bob, "hello you")
    world.settle()
    assert (alice.inbox(), bob.inbox()) == (["hello"], ["hello you"])


def test_two_agents_of_one_node_pair(world):
    """E4"""
    alice = world.agent("alice")
    carol = world.agent("carol", alice.node)
    code = shows(alice)["code"]
    assert joins(world, carol, code, wait=0.0)["trust"] == "paired"
    assert trust(alice, carol) is Trust.PAIRED
    with pytest.raises(BadCode):
        tries(alice, shows(alice)["code"])


def test_hidden_agents_pair_and_talk(world):
    """E4: no record and no roster names them; the connection they met on carries their link."""
    alice, bob = (world.agent(name, hidden=True) for name in ("alice", "bob"))
    helper = [world.agent(f"helper{i}", agent.node) for i, agent in enumerate((alice, bob))]
    world.settle()
    assert joins(world, bob, shows(alice)["code"])["trust"] == "paired"
    world.settle()
    assert alice.links(bob)
    bob.sends(alice, "psst")
    world.settle()
    assert alice.inbox() == ["psst"]
    assert helper[0].inbox() == []


def test_a_scanned_code_leads_to_a_node_that_announces_nothing(world):
    alice, bob = (world.agent(name, hidden=True) for name in ("alice", "bob"))
    shown = shows(alice, addresses=[alice.node.address])
    with pytest.raises(NobodyFound):
        joins(world, bob, shown["code"])
    assert joins(world, bob, shown["uri"])["trust"] == "paired"


def test_a_wrong_word_is_refused_counted_and_told(world):
    """F1: on both sides; the right words still serve."""
    alice, bob = strangers(world)
    code = shows(alice)["code"]
    with pytest.raises(CodeWrong) as wrong:
        joins(world, bob, other_words(code))
    assert wrong.value.details["left"] == 2
    assert (status(alice)["state"], status(alice)["tries"]) == ("waiting", 2)
    assert alice.node.events("pairing_wrong")
    assert bob.node.events("pairing_wrong")
    assert trust(alice, bob) is None
    assert joins(world, bob, code)["trust"] == "paired"


def test_a_displayer_that_waits_hears_of_each_wrong_try_and_where_from(world):
    """F1: once each, the last one before the end; two agents of one node are told apart from others."""
    alice, bob = strangers(world)
    carol = world.agent("carol", alice.node)
    code = shows(alice)["code"]
    look = lambda seen: alice.call(invitation.outcome, code=code, seen=seen)  # noqa: E731
    assert look(0) is None
    origins = []
    for seen, (agent, left) in enumerate([(bob, 2), (carol, 1), (bob, 0)]):
        with pytest.raises(CodeWrong):
            joins(world, agent, other_words(code))
        told = look(seen)
        assert [it["left"] for it in told["wrong"]] == [2, 1, 0][: seen + 1]
        assert told["state"] == ("waiting" if left else "dead")
        origins.append(told["wrong"][-1]["from"])
        if left:
            assert look(seen + 1) is None
    assert origins[0] == origins[2] == format_address(bob.node.address)
    assert origins[1] == "this node"
    with pytest.raises(CodeDead) as dead:
        look(3)
    assert [it["from"] for it in dead.value.details["wrong"]] == origins


def test_who_was_met_is_told_together_with_the_wrong_tries_before(world):
    alice, bob = strangers(world)
    code = shows(alice)["code"]
    with pytest.raises(CodeWrong):
        joins(world, bob, other_words(code))
    joins(world, bob, code)
    for seen in (None, 0, 1):
        told = alice.call(invitation.outcome, code=code, seen=seen)
        assert (told["state"], told["contact"]["id"], len(told["wrong"])) == ("paired", id_text(bob.id), 1)


def test_three_wrong_tags_kill_a_code(world):
    """F1: at the displayer, and the joiner's count outlives its node."""
    alice, bob = strangers(world)
    code = shows(alice)["code"]
    for left in (2, 1, 0):
        with pytest.raises(CodeWrong) as wrong:
            joins(world, bob, other_words(code))
        assert wrong.value.details["left"] == left
    assert (status(alice)["state"], status(alice)["tries"]) == ("dead", 0)
    with pytest.raises(CodeDead):
        alice.call(invitation.outcome, code=code)
    bob.node.restart()
    with pytest.raises(CodeDead):
        tries(bob, code)


def test_tries_are_on_disk_before_the_tag_leaves(world):
    """F1, A6"""
    alice, bob = strangers(world)
    code = shows(alice)["code"]
    kept = []

    def look(_, data):
        for frame in frames_in(data):
            if isinstance(frame, Pair) and isinstance(decode_message(frame.message), Answer):
                disk = Database.read(bob.node.store)
                kept.append(pairings.tries(disk, codes.parse(code).place))
                disk.close()
        return data

    world.net.tamper = look
    joins(world, bob, code)
    assert kept == [(1, False)]


def test_a_code_serves_once(world):
    """F1: for nobody else, and not for the same agent again."""
    alice, bob, carol = strangers(world, "alice", "bob", "carol")
    shown = shows(alice)
    joins(world, bob, shown["code"])
    for what in ("code", "uri"):
        with pytest.raises(CodeUsed):
            answered_at_once(world, carol, shown[what])
    bob.node.restart()
    with pytest.raises(CodeUsed):
        tries(bob, shown["code"])
    assert trust(alice, carol) is None


@pytest.mark.parametrize("second", ["code", "uri"])
def test_of_two_joiners_at_once_one_wins(world, second):
    """F1: the first right tag takes the code, however the other one came by it."""
    alice, bob, carol = strangers(world, "alice", "bob", "carol")
    shown = shows(alice)
    attempts = [(bob, tries(bob, shown["code"])), (carol, tries(carol, shown[second]))]
    world.run(3.0)
    results = []
    for agent, attempt in attempts:
        try:
            results.append(ends(agent, attempt)["trust"])
        except (CodeUsed, CodeDead) as error:
            results.append(error.code)
    assert sorted(results) in (["code_used", "paired"], ["code_dead", "paired"])
    assert len([agent for agent in (bob, carol) if trust(alice, agent)]) == 1


def test_a_code_expires(world):
    """F1: after ten minutes it is met nowhere; who comes late is told for ten more."""
    alice, bob = strangers(world)
    shown = shows(alice)
    world.run(LIFE_S + 2)
    assert status(alice)["state"] == "expired"
    with pytest.raises(CodeExpired):
        alice.call(invitation.outcome, code=None)
    with pytest.raises(CodeDead):
        answered_at_once(world, bob, shown["code"])
    world.run(300)
    with pytest.raises(CodeExpired):
        tries(bob, shown["uri"])


def test_a_code_is_taken_back(world):
    alice, bob = strangers(world)
    code = shows(alice)["code"]
    assert alice.call(invitation.cancel, code=code)["state"] == "cancelled"
    with pytest.raises(PairCancelled):
        alice.call(invitation.outcome, code=code)
    world.run(2.0)
    with pytest.raises(CodeDead, match="taken back"):
        answered_at_once(world, bob, code)
    with pytest.raises(CodeDead, match="taken back"):
        answered_at_once(world, world.agent("carol", alice.node), code)


def test_a_second_code_says_that_it_takes_the_first_back(world):
    alice = world.agent("alice")
    first = shows(alice)
    assert first["withdrew"] is None
    second = shows(alice)
    assert second["withdrew"] == first["code"].rpartition("-")[2]
    assert alice.call(invitation.cancel, code=None)["state"] == "cancelled"
    with pytest.raises(PairUnknown, match="nothing to withdraw"):
        alice.call(invitation.cancel, code=None)
    assert shows(alice)["withdrew"] is None


def test_codes_that_are_shown_come_before_those_that_ended(world):
    """A NODE names few places."""
    alice, bob = strangers(world)
    for _ in range(2 * PAIRING_SHOWN):
        code = shows(alice)["code"]
    assert len(alice.core.of(Desk).places(alice.core.now_ms())) == PAIRING_PLACES
    world.settle()
    assert joins(world, bob, code)["trust"] == "paired"


def test_a_link_is_a_code_whatever_bridge_it_names(world):
    alice, bob = strangers(world)
    words, _, place = shows(alice)["code"].rpartition("-")
    assert joins(world, bob, f"https://bridge.example:4433/p/{place}#{words}-{'a' * 52}")["trust"] == "paired"


def test_an_agent_shows_one_code_and_a_node_few(world):
    alice = world.agent("alice")
    first = shows(alice)
    second = shows(alice)
    assert status(alice, first["id"])["state"] == "cancelled"
    assert status(alice, second["code"].lower())["state"] == "waiting"
    for number in range(PAIRING_SHOWN - 1):
        shows(world.agent(f"agent{number}", alice.node))
    with pytest.raises(Busy):
        shows(world.agent("late", alice.node))
    with pytest.raises(PairUnknown):
        status(alice, "coral-fiddle-00000")
    with pytest.raises(BadName):
        shows(alice, "no name")


def test_codes_that_come_and_go_are_told_at_once_and_a_flood_of_them_once_a_second(world):
    """Every connection hears of each of the first few; of the many after them, of the last one in time."""
    alice, bob = strangers(world)
    for _ in range(3):
        code = shows(alice)["code"]
        assert joins(world, bob, code, wait=0.5)["trust"] == "paired"
    told = []

    def look(_, data):
        told.extend(frame for frame in frames_in(data) if isinstance(frame, Node))
        return data

    world.net.tamper = look
    codes_shown = [shows(alice)["code"] for _ in range(100)]
    world.run(5.0)
    assert len(told) < 20
    assert joins(world, bob, codes_shown[-1])["trust"] == "paired"


def test_a_restart_ends_codes(world):
    alice, bob = strangers(world)
    code = shows(alice)["code"]
    alice.node.restart()
    with pytest.raises(PairUnknown):
        status(alice, code)
    with pytest.raises(NobodyFound):
        joins(world, bob, code)


def test_a_joiner_may_come_before_the_displayers_node_is_found(world):
    alice, bob = strangers(world)
    world.part(alice, bob)
    world.run(20.0)
    code = shows(alice)["code"]
    attempt = tries(bob, code)
    world.run(2.0)
    world.join(alice, bob)
    world.run(40.0)
    assert ends(bob, attempt)["trust"] == "paired"


def test_a_line_that_breaks_ends_the_run_and_a_new_one_pairs(world):
    """F1: an abort counts."""
    alice, bob = strangers(world)
    code = shows(alice)["code"]
    cuts = [1]

    def cut(_, data):
        for frame in frames_in(data):
            if isinstance(frame, Pair) and isinstance(decode_message(frame.message), Answer) and cuts:
                cuts.pop()
                return None
        return data

    world.net.tamper = cut
    attempt = tries(bob, code)
    world.run(40.0)
    assert ends(bob, attempt)["trust"] == "paired"
    assert pairings.tries(bob.core.db, codes.parse(code).place) == (2, True)


def test_who_is_blocked_is_not_let_in_by_a_code(world):
    """E4: a human's decision is not undone by a program that shows a code."""
    alice, bob = world.friends("alice", "bob")
    alice.blocks(bob)
    world.settle()
    code = shows(alice)["code"]
    with pytest.raises(PairFailed):
        joins(world, bob, code)
    assert trust(alice, bob) is Trust.BLOCKED
    assert status(alice, code)["state"] == "dead"
    assert alice.call(trusting.unblock, peer="bob")["contact"]["trust"] == "unknown"
    assert joins(world, bob, shows(alice)["code"])["trust"] == "paired"


def test_pairing_lowers_no_trust(world):
    """E4"""
    alice, bob = strangers(world)
    joins(world, bob, shows(alice)["code"])
    digits = bob.call(trusting.show, peer="alice")["safety_number"]
    assert bob.call(trusting.verify, peer="alice", digits=digits)["contact"]["trust"] == "verified"
    assert joins(world, bob, shows(alice)["code"])["trust"] == "verified"


@pytest.mark.parametrize("statement", [1, 4, 8, 12])
def test_a_store_that_fails_ends_the_code_and_tells_nobody_anything(world, statement):
    """A6: what was not kept did not happen."""
    alice, bob = strangers(world)
    shown = shows(alice)

    def fill_the_disk(_, data):
        for frame in frames_in(data):
            if isinstance(frame, Pair) and isinstance(decode_message(frame.message), Reveal):
                alice.node.db.full_at = alice.node.db.statements + statement
        return data

    world.net.tamper = fill_the_disk
    with pytest.raises(PairFailed):
        joins(world, bob, shown["code"])
    assert status(alice)["state"] == "dead"
    assert (trust(alice, bob), trust(bob, alice)) == (None, None)


# --- in the way ---


def altered(message):
    """The same message with every byte string in it changed in one bit."""
    changes = {
        name: bytes([value[0] ^ 1]) + value[1:]
        for name in message.__slots__
        if isinstance(value := getattr(message, name), bytes) and value
    }
    return replace(message, **changes)


def tampering(kinds):
    def change(frame):
        if not isinstance(frame, Pair):
            return frame
        message = decode_message(frame.message)
        return replace(frame, message=encode_message(altered(message))) if isinstance(message, kinds) else frame

    return rewriting(change)


@pytest.mark.parametrize("what", ["code", "uri"])
def test_a_man_in_the_middle_who_alters_every_message_leaves_nobody_trusted(world, what):
    """F1, E4"""
    alice, bob = strangers(world)
    shown = shows(alice)
    world.net.tamper = tampering(object)
    with pytest.raises((CodeWrong, PairFailed, CodeDead)):
        joins(world, bob, shown[what], wait=2 * RUN_S)
    assert (trust(alice, bob), trust(bob, alice)) == (None, None)


@pytest.mark.parametrize("kind", [Ask, Offer, Answer, Confirm, Reveal, Done])
@pytest.mark.parametrize("what", ["code", "uri"])
def test_a_man_in_the_middle_who_alters_one_message_is_never_pinned(world, kind, what):
    """F1, E4: the joiner keeps nobody; the displayer at most the true joiner, when only DONE did not arrive."""
    alice, bob = strangers(world)
    shown = shows(alice)
    world.net.tamper = tampering(kind)
    with pytest.raises((CodeWrong, PairFailed, CodeDead)):
        joins(world, bob, shown[what], wait=2 * RUN_S)
    assert trust(bob, alice) is None
    assert trust(alice, bob) is (Trust.PAIRED if kind is Done else None)
    assert len(contacts.contacts(alice.core.db, alice.hosted.local.id)) == (kind is Done)


def test_a_squatter_on_the_place_costs_a_try_and_wins_nothing(world, monkeypatch):
    """F1: who announces the same place without the words is one wrong tag."""
    mallory, alice, bob = strangers(world, "mallory", "alice", "bob")
    code = shows(alice)["code"]
    monkeypatch.setattr(codes, "draw", lambda entropy: codes.parse(other_words(code)))
    shows(mallory)
    attempt = tries(bob, code)
    world.run(5.0)
    assert ends(bob, attempt)["contact"]["id"] == id_text(alice.id)
    assert trust(bob, mallory) is None
    spent, used = pairings.tries(bob.core.db, codes.parse(code).place)
    assert (spent <= 2, used) == (True, True)


@pytest.mark.parametrize("right", [0, 1, 2, None])
def test_who_guesses_on_the_network_has_three_guesses(world, right):
    """F1: the right words among them win, which is the whole chance; each wrong one is told with its address."""
    mallory, alice = strangers(world, "mallory", "alice")
    code = shows(alice)["code"]
    _, _, place = code.split("-")
    guesses = [f"acid-{word}-{place}" for word in ("coral", "copper", "fiddle")]
    if right is not None:
        guesses[right] = code
    results = []
    for guess in guesses:
        try:
            results.append(joins(world, mallory, guess)["trust"])
        except (CodeWrong, CodeUsed, CodeDead) as error:
            results.append(error.code)
    wrong = 3 if right is None else right
    assert results == (["code_wrong"] * wrong + ["paired"] + ["code_used"] * 2)[:3]
    assert (trust(alice, mallory) is Trust.PAIRED) is (right is not None)
    told = status(alice)
    assert [it["from"] for it in told["wrong"]] == [format_address(mallory.node.address)] * wrong
    assert told["state"] == ("dead" if right is None else "paired")


def test_a_flood_of_pairing_messages_ends_the_connection(world):
    """C1: they are metered like every frame outside credit."""
    alice, bob = strangers(world)
    shows(alice)

    def flood(core):
        for connection in core.peerings:
            for run in range(400):
                core.send(connection, Pair(run, True, b"x"))

    before = set(bob.core.peerings)
    bob.node.run(flood)
    world.run(1.0)
    assert not before & set(bob.core.peerings)


def test_places_are_named_and_nothing_else(world):
    """F1: what is on the wire of a typed code is its place, never its words."""
    alice, bob = strangers(world)
    seen = []

    def look(_, data):
        seen.append(data)
        return data

    world.net.tamper = look
    code = shows(alice)["code"]
    world.run(1.0)
    first, second, place = code.split("-")
    told = [frame.places for data in seen for frame in frames_in(data) if isinstance(frame, Node)]
    assert any(place in places for places in told)
    joins(world, bob, code)
    everything = b"".join(seen).upper()
    assert f"{first}-{second}".encode() not in everything


def test_messages_of_no_run_are_refused_once(world):
    """F1: a refusal is never answered, so two nodes never talk for ever."""
    alice, bob = strangers(world)
    for joiner in (True, False):
        for data in (b"\xff", encode_message(Refuse(Reason.DEAD)), encode_message(Done(b"x"))):
            frame = Pair(7, joiner, data)
            bob.node.run(lambda core, f=frame: [core.send(c, f) for c in core.peerings])
    world.run(5.0)
    assert alice.core.of(Desk).runs == bob.core.of(Desk).runs == {}
    assert bob.core.peerings


def test_a_slip_costs_one_try_over_two_connections(world):
    """F1: a node is asked once, however many lines lead to it."""
    alice, bob = strangers(world)
    address = format_address(alice.node.address)
    bob.node.run(lambda core: commands.add_places(core, [address]))
    alice.node.run(lambda core: commands.add_places(core, [format_address(bob.node.address)]))
    world.settle()
    code = shows(alice)["code"]
    with pytest.raises(CodeWrong) as wrong:
        joins(world, bob, other_words(code))
    assert wrong.value.details["left"] == 2


def test_an_attempt_that_is_left_says_so_and_is_forgotten(world):
    alice, bob = strangers(world)
    code = shows(alice)["code"]
    world.run(1.0)
    attempt = tries(bob, code)
    with pytest.raises(Busy):
        tries(bob, code)
    with pytest.raises(PairFailed):
        ends(bob, attempt)
    with pytest.raises(PairCancelled):
        ends(bob, attempt)
    world.run(2.0)
    assert bob.core.of(Desk).runs == alice.core.of(Desk).runs == {}
    assert joins(world, bob, code)["trust"] == "paired"
