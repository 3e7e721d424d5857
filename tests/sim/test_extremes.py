"""Integers from strangers and contacts, drawn from the limits of what the wire can carry: no reader breaks."""

from __future__ import annotations

import json

import pytest

from p2p_agents import output
from p2p_agents.conversation.record import write_void
from p2p_agents.core.agents import ownership
from p2p_agents.core.api import allowlist, commands, reading, trust
from p2p_agents.core.delivery import resets
from p2p_agents.crypto.signing import SigningKey
from p2p_agents.limits import DATE_MS_MAX, INT_MAX
from p2p_agents.node import doctor
from p2p_agents.store import entries
from p2p_agents.wire.cbor import decode, encode
from p2p_agents.wire.entry import ENTRY_LABEL
from p2p_agents.wire.framing import Framer, frame_bytes
from p2p_agents.wire.payload import Ack, Item, Payload, ReadMark, Verdict, encode_payload
from tests.sim.hostile import Forger

ENDS = (0, 2**31, DATE_MS_MAX + 1, INT_MAX)


@pytest.fixture(autouse=True)
def as_the_page_says():
    """Here nodes lie on purpose: what they say need not be as the page says."""


# --- what is drawn ---


def leaves(value, path=()):
    """The places of all integers in a decoded structure."""
    if type(value) is int:
        yield path
    elif isinstance(value, list):
        for at, item in enumerate(value):
            yield from leaves(item, (*path, at))
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, (*path, key))


def put(value, path, number):
    """The structure with another integer at one place."""
    if not path:
        return number
    changed = value.copy()
    changed[path[0]] = put(value[path[0]], path[1:], number)
    return changed


def variants(encoded):
    """The structure with each of its integers at each end."""
    value = decode(encoded)
    return [encode(put(value, path, end)) for path in leaves(value) for end in ENDS]


# --- what reads ---


def reads_everything(world, agent):
    """Every method that reads, and what a terminal shows of its answer. A bug inside the node fails the world."""
    ask = agent.call
    page = {"reader": "default", "after": None, "limit": 1000, "from": None}
    shown = [
        output.peers(ask(commands.peers)),
        output.contacts(ask(commands.contacts)),
        output.requests(ask(commands.requests)),
        output.agents(ask(commands.agents)),
        output.agent(ask(commands.whoami)),
        output.allowlist(ask(allowlist.list_)),
        output.identity(ask(ownership.show)),
        output.devices(ask(ownership.devices)),
        output.messages(ask(reading.unread, **page)),
        output.checks({"checks": agent.node.run(doctor.what_the_store_tells)}),
    ]
    local = agent.hosted.local.id
    told, _ = agent.node.run(lambda core: reading.tail(core, local, 0, 1000, None))
    shown += [output.message(message) for message in told]
    begun = agent.node.run(lambda core: commands.begin_wait(core, page | {"agent": agent.name}, 77))
    agent.node.run(lambda core: commands.end_wait(core, local, 77))
    moved = {row[0] for row in agent.core.db.all("SELECT entry FROM log")}
    asked = {row[0] for row in agent.core.db.all("SELECT peer FROM requests")}
    news = agent.node.run(lambda core: commands.news(core, local, moved, asked))
    while not agent.node.run(reading.index):
        pass
    found = ask(reading.search, text="said", limit=1000)
    for message in told:
        shown.append(output.shown(ask(reading.show, id=message["id"])))
    for peer in world.agents:
        if peer is not agent and any(each["id"] for each in ask(commands.peers)["peers"] if each["name"] == peer.name):
            shown.append(output.trust(ask(trust.show, peer=peer.name)))
            shown.append(output.messages(ask(reading.history, to=peer.name, after=None, before=None, limit=1000)))
    json.dumps([told, begun, news, found])
    assert all(isinstance(text, str) for text in shown)


# --- frames ---


class Liar:
    """Changes one integer of the next frame of a type that a node sends."""

    def __init__(self, world, node):
        self.host = world.net.hosts[node.address]
        self.seen, self.lie, self.told = {}, None, 0
        world.net.tamper = self

    def __call__(self, end, data):
        if end.host is not self.host:
            return data
        return b"".join(frame_bytes(self._changed(payload)) for payload in Framer().feed(data))

    def _changed(self, payload):
        fields = decode(payload)
        self.seen.setdefault(fields[0], fields)
        if self.lie is None or fields[0] != self.lie[0]:
            return payload
        (_, path, end), self.lie = self.lie, None
        self.told += 1
        return encode(put(fields, path, end))


def lives(world, mallory, bob, number):
    """All that a contact does with an agent: it connects, links, speaks, reads, and says what it does."""
    world.net.cut()
    world.run(2)
    mallory.sends(bob, f"said {number}")
    world.run(1)
    mallory.reads()
    mallory.call(commands.set_status, status="busy")
    world.run(1)


def test_every_integer_of_every_frame_at_its_ends(world):
    """A2, A7: from a contact: whatever a frame says, what the victim reads can be read."""
    bob, mallory = world.friends("bob", "mallory")
    liar = Liar(world, mallory.node)
    bob.sends(mallory, "said first")
    lives(world, mallory, bob, 0)
    kinds = dict(liar.seen)
    assert {0, 5, 6, 8, 12} <= kinds.keys()  # NODE, CREDIT, SYNC, DATA, PRESENCE, and whoever opened
    lies = [(kind, path, end) for kind, fields in kinds.items() for path in leaves(fields) for end in ENDS]
    for number, lie in enumerate(lies):
        liar.lie = lie
        lives(world, mallory, bob, number)
        reads_everything(world, bob)
    assert liar.told > len(lies) * 3 // 4
    world.run(60)
    world.settle()
    mallory.sends(bob, "said at last")
    world.settle()
    assert "said at last" in bob.heard(mallory)


def test_presence_of_a_stranger_at_its_ends_breaks_no_list_of_peers(world):
    """A2: the last read of somebody who proved no more than who it is."""
    bob, mallory = world.agent("bob"), world.agent("mallory")
    mallory.befriends(bob)
    mallory.sends(bob, "said by a stranger")
    world.settle()
    liar = Liar(world, mallory.node)
    for end in ENDS:
        liar.lie = (12, (4,), end)
        world.net.cut()
        world.run(35)
        assert liar.lie is None
        assert bob.links(mallory) or end > DATE_MS_MAX
        reads_everything(world, bob)


# --- what is signed ---


@pytest.mark.parametrize(
    "label", ["entry", "void", "open", "hello", "sync", "reset", "request", "init", "bundle", "id", "id device"]
)
def test_every_integer_that_is_signed_at_its_ends(world, monkeypatch, label):
    """A2: signed by its author's device, or by the root key of one that is created so."""
    bob, mallory = world.friends("bob", "mallory")
    stranger = world.agent("stranger")
    stranger.befriends(bob)
    stranger.sends(bob, "said by a stranger")
    bob.sends(mallory, "said first")
    world.settle()
    keys = {mallory.device, stranger.device}
    honest, said = SigningKey.sign, []

    def sign(key, payload, under):
        if key.public in keys and under == f"p2pa/1 {label}":
            said.append(payload)
            if lie and len(list(leaves(decode(payload)))) > lie[0][0]:
                at, end = lie.pop()
                payload = encode(put(decode(payload), list(leaves(decode(payload)))[at], end))
        return honest(key, payload, under)

    def acts(number):
        mallory.node.run(lambda core: [resets._ask_for_init(core, link) for link in mallory.links(bob)])
        lives(world, mallory, bob, number)
        if number % len(ENDS) == 0:
            stranger.sends(bob, f"said by a stranger {number}")
            world.run(3600)
        reads_everything(world, bob)

    lie = []
    monkeypatch.setattr(SigningKey, "sign", sign)
    acts(0)
    count = max((len(list(leaves(decode(payload)))) for payload in said), default=0)
    for number, (at, end) in enumerate((at, end) for at in range(count) for end in ENDS):
        lie[:] = [(at, end)]
        acts(number)


def test_an_entry_of_the_year_10000_is_refused_and_told(world):
    """A2: one signed entry made every reading command fail, for ever."""
    bob, mallory = world.friends("bob", "mallory")
    mallory.sends(bob, "said first")
    world.settle()
    forger = Forger(mallory, bob)
    for moment in (DATE_MS_MAX + 1, INT_MAX):
        honest = decode(decode(forger.writes("said too late").signed)[2])
        lie = honest.copy()
        lie[8] = moment
        forger.sends(Item(mallory.hosted.speaker.key.sign(encode(lie), ENTRY_LABEL), None))
        reads_everything(world, bob)
    assert bob.heard(mallory) == ["said first"]
    latest = forger.writes("said just in time", lamport=forger.place().lamport)
    claims = decode(decode(latest.signed)[2])
    claims[8] = DATE_MS_MAX
    forger.sends(Item(mallory.hosted.speaker.key.sign(encode(claims), ENTRY_LABEL), latest.body))
    assert bob.heard(mallory) == ["said first", "said just in time"]
    (_, last) = bob.page()["messages"]
    assert last["time"] == "9999-12-31T23:59:59.999Z"


def test_every_integer_of_entries_voids_and_payloads_at_its_ends(world):
    """A2, B4, D5: what one opened frame may carry."""
    bob, mallory = world.friends("bob", "mallory")
    bob.sends(mallory, "said first")
    mallory.sends(bob, "said second")
    world.settle()
    forger = Forger(mallory, bob)
    key = mallory.hosted.speaker.key
    honest = forger.writes("said", kind="message")
    body = honest.body
    for claims in variants(decode(honest.signed)[2]):
        forger.sends(Item(key.sign(claims, ENTRY_LABEL), body))
    place = forger.place()
    void = write_void(key, forger.writes("said"), "expired")
    for claims in variants(decode(void)[2]):
        forger.sends(Item(key.sign(claims, "p2pa/1 void"), None, void=True))
    mark = ReadMark(place.conversation, bob.device, bob.core.db.epoch, 1)
    held = mallory.core.pair_sessions((mallory.device, bob.device))[0].session
    ack = Ack(held.peer_turn, held.peer_n, held.received_hash, (Verdict.STORED,))
    for said in variants(encode_payload(Payload(ack, (), (mark,), (bytes(16),), (bytes(16),)))):
        forger.says(said)
    reads_everything(world, bob)
    world.run(5)
    assert bob.links(mallory)


# --- a store that is poisoned already ---

FOREIGN = (  # columns, beside all times, that hold what a peer or a bridge said
    *("seq", "lamport", "first", "last", "stamp", "gen", "cursor"),
    *("gen_sent", "gen_seen", "stamp_sent", "stamp_seen"),
)


def poisonable(db):
    """(table, column) of every integer that may have come from elsewhere."""
    for (table,) in db.all("SELECT name FROM sqlite_master WHERE type = 'table' AND sql LIKE '%STRICT%'"):
        for _, column, kind, *_ in db.all(f"PRAGMA table_info({table})"):
            if (
                kind == "INTEGER"
                and (column.endswith("_ms") or column in FOREIGN)
                and (table, column) != ("log", "cursor")
            ):
                yield table, column


def test_a_store_that_is_poisoned_already_is_read(world):
    """A2, A5: by an older version, which took what this one refuses."""
    bob, mallory = world.friends("bob", "mallory")
    stranger = world.agent("stranger")
    stranger.befriends(bob)
    stranger.sends(bob, "said by a stranger")
    mallory.sends(bob, "said first")
    bob.sends(mallory, "said second")
    world.settle()
    world.part(bob, mallory)
    bob.sends(mallory, "said in vain")
    world.run(10)
    copy = bob.node.snapshot()
    columns = list(poisonable(bob.core.db))
    assert {("entries", "time_ms"), ("requests", "time_ms"), ("pairs", "stamp_seen")} <= set(columns)
    for table, column in columns:
        bob.node.restore(copy)
        for (name,) in bob.core.db.all("SELECT name FROM sqlite_master WHERE type = 'trigger'"):
            bob.core.db.run(f"DROP TRIGGER {name}")
        for end in (0, DATE_MS_MAX + 1, INT_MAX):
            bob.core.db.run(f"UPDATE OR IGNORE {table} SET {column} = ?", (end,))
            reads_everything(world, bob)


def test_a_second_run_of_an_epoch_or_an_entry_before_the_first_is_malformed(world):
    """A2, A3: each made the end of a chain unknown, and the entry after next an error inside the node."""
    bob, mallory = world.friends("bob", "mallory")
    mallory.sends(bob, "said first")
    world.settle()
    forger = Forger(mallory, bob)
    key = mallory.hosted.speaker.key
    claims = decode(decode(forger.writes("said").signed)[2])
    claims[5], claims[6] = 0, bytes([7]) * 32
    forger.sends(Item(key.sign(encode(claims), ENTRY_LABEL), None))
    other = forger.place(epoch=bytes(8))
    second = forger.writes("said second", epoch=bytes(8))
    forger.sends(second.item)
    third = forger.writes("said third", epoch=other.epoch, seq=3, prev=second.hash, lamport=other.lamport + 1)
    forger.sends(third.item)
    back = {"seq": 4, "prev": third.hash, "lamport": other.lamport + 2}
    forger.sends(forger.writes("said in the epoch before", epoch=mallory.core.db.epoch, **back).item)
    assert bob.heard(mallory) == ["said first", "said second", "said third"]
    ends = {run.epoch: run.last for run in entries.runs(bob.core.db, other.conversation, mallory.device)}
    assert ends == {mallory.core.db.epoch: 1, bytes(8): 3}


def test_entries_are_found_again_at_any_lamport(world):
    """A2: a lamport at the end of the integers is refused, so that the next one still fits."""
    bob, mallory = world.friends("bob", "mallory")
    mallory.sends(bob, "said first")
    world.settle()
    forger = Forger(mallory, bob)
    forger.sends(forger.writes("said far ahead", lamport=INT_MAX).item)
    assert entries.next_place(bob.core.db, bob.conversation(mallory), bob.device).lamport < 2**21
    bob.sends(mallory, "said after")
    world.settle()
    assert mallory.heard(bob) == ["said after"]
