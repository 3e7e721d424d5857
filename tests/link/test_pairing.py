"""Whole pairings, honest and attacked: whoever has the words is met, and nobody else."""

import contextlib
import dataclasses
import random
from collections import Counter

import pytest

from p2p_agents.crypto.identity import add_device, admit_device, consent, merge, replay
from p2p_agents.crypto.introduction import Peer, Self
from p2p_agents.crypto.oob import Invitation
from p2p_agents.crypto.signing import SigningKey
from p2p_agents.errors import BadIdentity, CodeDead, PeerFault
from p2p_agents.limits import IDENTITY_ENTRIES, PAIRING_RUN_MS, PAIRING_WRONG
from p2p_agents.link.pairing import Dead, Met, Send, Spend, Wrong, check_joiner
from p2p_agents.wire.pairing import Answer, Ask, Confirm, Done, Offer, Purpose, Reason, Reveal
from tests.crypto.ends import Seeded
from tests.link.pairs import ALICE, BOB, CODE, NOW, OTHER_WORDS, PHONE, THIEF, Wire, agent, pair, shows, types

PICTURE = Invitation(ALICE.identity.agent, bytes(16), (), NOW + 600_000)


def test_two_who_hold_a_code_meet():
    wire = pair(shows(), types())
    assert [type(message) for message in wire.messages] == [Ask, Offer, Answer, Confirm, Reveal, Done]
    at_alice, at_bob = wire.met("displayer").peer, wire.met("joiner").peer
    assert (at_alice.identity, at_alice.device, at_alice.bundle) == (BOB.identity, BOB.key.public, BOB.bundle)
    assert (at_bob.identity, at_bob.device, at_bob.name, at_bob.kind) == (
        ALICE.identity,
        ALICE.key.public,
        "alice",
        "human",
    )
    assert wire.ends("displayer") == wire.ends("joiner") == [None, None]


def test_a_scanned_code_pairs_by_the_same_steps():
    """The picture names the displayer, so nobody else can be met by it."""
    wire = pair(shows(code=PICTURE), types(code=PICTURE))
    assert wire.met("joiner").peer.identity == ALICE.identity
    assert wire.met("displayer").peer.identity == BOB.identity
    assert [m.share for m in wire.messages if isinstance(m, Offer | Answer)] == [b"", b""]


def test_a_scanned_code_shown_by_another_agent_than_it_names_meets_nobody():
    wire = pair(shows(THIEF, code=PICTURE), types(code=PICTURE))
    assert wire.met("joiner") is wire.met("displayer") is None
    assert wire.ends("joiner") == [Reason.IDENTITY, Reason.IDENTITY]


def test_a_scanned_code_serves_once():
    displayer = shows(code=PICTURE)
    pair(displayer, types(code=PICTURE))
    again = pair(displayer, types(THIEF, code=PICTURE), run=2)
    assert again.ends("joiner") == [Reason.DEAD]


def test_a_room_hands_over_its_gift():
    wire = pair(shows(purpose=Purpose.ROOM), types(purpose=Purpose.ROOM), gift=b"the way into the room")
    assert wire.met("joiner").gift == b"the way into the room"


def test_an_installation_becomes_a_device():
    """The joiner learns whose device it will be, agrees, and gets the entry that says so."""
    root = SigningKey.from_seed(Seeded("alice").draw(32))
    displayer, joiner = shows(purpose=Purpose.LINK), types(PHONE, purpose=Purpose.LINK)
    wire = pair(displayer, joiner)
    peer = wire.met("displayer").peer
    entry = admit_device(ALICE.identity, root, peer.device, peer.name, peer.consent)
    assert replay([*ALICE.identity.entries, entry]).devices == (ALICE.key.public, PHONE.key.public)
    assert wire.met("joiner").peer.identity == ALICE.identity


def test_an_installation_that_agreed_to_something_else_is_not_taken_in():
    older = replay(ALICE.identity.entries[:1])
    for agreed in (
        consent(BOB.identity, PHONE.key),
        consent(older, PHONE.key),
        consent(ALICE.identity, THIEF.key),
        b"",
    ):
        with pytest.raises(PeerFault):
            check_joiner(Peer(PHONE.key.public, None, b"", "phone", "phone", agreed), Purpose.LINK, ALICE)
    good = Peer(PHONE.key.public, None, b"", "phone", "phone", consent(ALICE.identity, PHONE.key))
    assert check_joiner(good, Purpose.LINK, ALICE) is None


def test_the_wrong_words_meet_nobody_and_both_humans_know():
    wire = pair(shows(), types(code=OTHER_WORDS))
    assert wire.met("joiner") is wire.met("displayer") is None
    assert wire.ends("joiner") == wire.ends("displayer") == [Reason.WRONG]
    assert Wrong(1, 2) in wire.wanted["displayer"]
    assert Wrong(1, 2) in wire.wanted["joiner"]


@pytest.mark.parametrize("purpose", [Purpose.ROOM, Purpose.CONTACT])
def test_a_code_for_one_purpose_serves_no_other(purpose):
    """F1: and costs no try."""
    other = Purpose.ROOM if purpose is Purpose.CONTACT else Purpose.CONTACT
    wire = pair(shows(purpose=purpose), types(purpose=other))
    assert wire.ends("joiner") == wire.ends("displayer") == [Reason.PURPOSE]


def test_a_lie_about_the_purpose_is_a_wrong_tag():
    """F1: ci names the purpose, so a man in the middle cannot turn one into another."""
    ask = lambda i, m: dataclasses.replace(m, purpose=Purpose.CONTACT) if i == 0 else m  # noqa: E731
    wire = pair(shows(), types(purpose=Purpose.ROOM), alter=ask)
    assert wire.ends("displayer") == [Reason.WRONG]


def test_an_agent_does_not_pair_with_itself():
    wire = pair(shows(), types(ALICE))
    assert wire.met("joiner") is wire.met("displayer") is None
    assert wire.ends("joiner") == [Reason.IDENTITY, Reason.IDENTITY]


def test_nobody_borrows_an_identity_log():
    """Somebody with the code but not the device's key cannot introduce itself as that agent."""
    with pytest.raises(BadIdentity):
        Self(THIEF.key, BOB.identity, BOB.bundle, "bob", "human")
    borrowed = Self(dataclasses.replace(THIEF.key, public=BOB.key.public), BOB.identity, BOB.bundle, "bob", "human")
    wire = pair(shows(), types(borrowed))
    assert wire.met("displayer") is None
    assert wire.ends("displayer") == [Reason.IDENTITY, Reason.IDENTITY]


def test_a_bundle_of_another_agent_is_refused():
    swapped = Self(BOB.key, BOB.identity, THIEF.bundle, "bob", "human")
    assert pair(shows(), types(swapped)).ends("displayer") == [Reason.IDENTITY, Reason.IDENTITY]


def test_a_long_identity_log_still_fits():
    """The longest name on the most devices: one message carries it."""
    root, me = SigningKey.from_seed(Seeded("carol").draw(32)), agent("carol")
    identity = me.identity
    for n in range(2, IDENTITY_ENTRIES):
        device = SigningKey.from_seed(identity.head)
        identity = merge(identity, n, [add_device(identity, root, device, "d" * 32)])
    wire = pair(shows(dataclasses.replace(me, identity=identity)), types())
    assert wire.met("joiner").peer.identity == identity


def altered(message):
    """The message with each of its fields changed in turn."""
    for field in dataclasses.fields(message):
        value = getattr(message, field.name)
        if isinstance(value, bytes) and value:
            for at in {0, len(value) // 2, len(value) - 1}:
                changed = bytearray(value)
                changed[at] ^= 1
                yield f"{field.name}[{at}]", dataclasses.replace(message, **{field.name: bytes(changed)})
        elif field.name == "place":
            yield "place", dataclasses.replace(message, place="7Q2M1")
        elif field.name == "purpose":
            yield "purpose", dataclasses.replace(message, purpose=Purpose.LINK)


STEPS = [
    (code, index, name, changed)
    for code in (CODE, PICTURE)
    for index, message in enumerate(pair(shows(code=code), types(code=code)).messages)
    for name, changed in altered(message)
]


@pytest.mark.parametrize(
    ("code", "index", "name", "changed"), STEPS, ids=lambda v: v if isinstance(v, str | int) else ""
)
def test_a_man_in_the_middle_who_alters_a_message_ends_the_run(code, index, name, changed):
    """Until the last message is through whole, the joiner has met nobody; the displayer, until the last but one."""
    wire = pair(shows(code=code), types(code=code), alter=lambda i, m: changed if i == index else m)
    assert wire.messages[index] == changed
    assert wire.met("joiner") is None
    assert wire.met("displayer") is None or index == 5


def test_a_man_in_the_middle_who_alters_every_message_pins_nothing():
    def alter(_, message):
        return next((changed for _, changed in altered(message)), message)

    for index in range(6):
        wire = pair(shows(), types(), alter=lambda i, m, least=index: alter(i, m) if i >= least else m)
        assert wire.met("joiner") is None
        assert wire.met("displayer") is None or index == 5


def test_a_man_in_the_middle_with_runs_of_his_own_pins_nothing_and_spends_tries():
    """He shows himself to the joiner, joins at the displayer, and guesses: each guess is one try on each side."""
    displayer, joiner = shows(), types()
    for left in (2, 1, 0):
        towards_joiner = pair(shows(THIEF, code=OTHER_WORDS), joiner, run=left)
        towards_displayer = pair(displayer, types(THIEF, code=OTHER_WORDS), run=left)
        assert towards_joiner.met("joiner") is towards_displayer.met("displayer") is None
        assert Wrong(left, left) in towards_joiner.wanted["joiner"]
        assert Wrong(left, left) in towards_displayer.wanted["displayer"]
    assert displayer.dead
    assert joiner.dead


@pytest.mark.parametrize(
    ("index", "source", "name", "reason"),
    [(2, Offer, "share", Reason.BROKEN), (3, Answer, "tag", Reason.WRONG)],
    ids=["share", "tag"],
)
def test_reflection_pins_nothing(index, source, name, reason):
    seen = {}

    def reflect(at, message):
        if isinstance(message, source):
            seen[name] = getattr(message, name)
        return dataclasses.replace(message, **seen) if at == index else message

    wire = pair(shows(), types(), alter=reflect)
    assert wire.met("joiner") is wire.met("displayer") is None
    assert wire.ends("joiner") == [reason]


def test_a_message_of_an_older_run_fits_no_later_one():
    """Both sides drew for the sid: a replay is a wrong tag, or does not open."""
    old = pair(shows(), types()).messages
    fresh_joiner = types(agent("carol"))
    wire = pair(shows(), fresh_joiner, alter=lambda i, m: old[i])
    assert wire.met("joiner") is None
    assert old[2] == wire.messages[2]


def test_nothing_leaves_before_it_is_counted():
    """F1: the joiner's run is on disk before its tag leaves."""
    wanted = pair(shows(), types()).wanted["joiner"]
    spend = wanted.index(Spend(CODE.place, 1))
    assert isinstance(wanted[spend + 1], Send)
    assert [type(a) for a in wanted[:spend]] == [Send]  # the question, which tells nothing


def test_no_word_and_no_name_crosses_the_wire_in_the_open():
    wire = Wire(shows(), types()).begin().finish()
    crossed = b"".join(a.data for side in wire.wanted.values() for a in side if isinstance(a, Send))
    for secret in (b"CORAL", b"coral", b"alice", b"bob", ALICE.identity.agent, BOB.identity.head, BOB.key.public):
        assert secret not in crossed


def test_no_action_shows_a_secret():
    wire = pair(shows(), types())
    shown = repr([a for side in wire.wanted.values() for a in side if not isinstance(a, Send | Met)])
    assert "coral" not in shown.lower()
    assert Dead(None) in wire.wanted["displayer"]


class Crowd:
    """One displayer and three joiners, one with the wrong words, on a network that does what it likes."""

    def __init__(self) -> None:
        self.displayer, self.now, self.wrong = shows(), NOW, 0
        self.joiners = [types(), types(agent("carol")), types(THIEF, code=OTHER_WORDS)]
        self.pending: list[tuple[bool, Send]] = []  # (towards the displayer, what)
        self.delivered: list[tuple[bool, Send]] = []
        self.met: dict[bool, list[Met]] = {True: [], False: []}  # at the displayer, at joiners

    def start(self, number: int) -> None:
        run = number % 3
        with contextlib.suppress(CodeDead):
            self._do(False, self.joiners[run].start(run, self.now))

    def deliver(self, number: int) -> None:
        if self.pending:
            self.delivered.append(self.pending.pop(number % len(self.pending)))
            self._deliver(*self.delivered[-1])

    def repeat(self, number: int) -> None:
        if self.delivered:
            self._deliver(*self.delivered[number % len(self.delivered)])

    def drop(self, number: int) -> None:
        if self.pending:
            self.pending.pop(number % len(self.pending))

    def close(self, number: int) -> None:
        self._do(True, self.displayer.closed(number % 3))
        self._do(False, self.joiners[number % 3].closed(number % 3))

    def late(self, number: int) -> None:
        self.now += PAIRING_RUN_MS
        self._do(True, self.displayer.tick(self.now))
        self._do(False, self.joiners[number % 3].tick(self.now))

    def _deliver(self, to_displayer: bool, sent: Send) -> None:
        machine = self.displayer if to_displayer else self.joiners[sent.run]
        self._do(to_displayer, machine.received(sent.run, sent.data, self.now))

    def _do(self, at_displayer: bool, actions: list) -> None:
        for action in actions:
            if isinstance(action, Send):
                self.pending.append((not at_displayer, action))
            if isinstance(action, Wrong) and at_displayer:
                self.wrong += 1
            if isinstance(action, Met):
                self.met[at_displayer].append(action)
                self._do(True, self.displayer.kept(action.run) if at_displayer else [])


LIKELY = [Crowd.deliver] * 24 + [Crowd.start] * 4 + [Crowd.repeat] * 2 + [Crowd.drop, Crowd.close, Crowd.late]


def test_however_the_network_behaves_one_joiner_at_most_is_met_and_it_is_true():
    """Messages lost, repeated and out of order; connections that go; time that passes."""
    chance, outcomes = random.Random(1), Counter()
    for _ in range(300):
        crowd = Crowd()
        for _ in range(40):
            chance.choice(LIKELY)(crowd, chance.randrange(12))
        shown, joined = crowd.met[True], crowd.met[False]
        assert len(shown) <= 1
        assert all(met.peer.identity in (BOB.identity, agent("carol").identity) for met in shown)
        assert all(met.peer.identity == ALICE.identity for met in joined)
        assert {met.run for met in joined} <= {met.run for met in shown}
        assert crowd.wrong <= PAIRING_WRONG
        outcomes[len(shown), len(joined), crowd.displayer.dead] += 1
    assert outcomes.keys() == {(0, 0, False), (0, 0, True), (1, 0, True), (1, 1, True)}, outcomes
