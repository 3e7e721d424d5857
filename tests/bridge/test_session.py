"""The state machine of one connection: who may send what when, and how lying clients are answered."""

from __future__ import annotations

import dataclasses

import pytest

from bridge import bounds
from bridge.bounds import Pace, Quotas
from bridge.session import Carry, Close, End, Pool, Send, Unwatch
from bridge.store import Refused
from p2p_agents.crypto.signing import verify
from p2p_agents.crypto.work import newcomer_bits, newcomer_claim, work_claim, work_done
from p2p_agents.errors import Malformed
from p2p_agents.limits import BLOB_BYTES
from p2p_agents.wire import relay
from p2p_agents.wire.relay_answers import Admission, Deliver, Done, Fail, Notice, Refusal, Terms, Told, Welcome
from p2p_agents.wire.relay_requests import Ack, Drop, Knock, Leave, Meet, Side, Stamp, Tell
from tests.bridge.client import Queue, key_of
from tests.bridge.desk import (
    BRIDGE,
    CHALLENGE,
    NONCE,
    SOMEWHERE,
    TERMS,
    Desk,
    carried,
    closed,
    delivered,
    fetches,
    refused,
    settle_all,
)
from tests.stamps import find_stamp

QUEUE, OTHER, PUBLIC = Queue("one"), Queue("two"), Queue("three", public=True)


@pytest.fixture
def desk() -> Desk:
    return Desk().knock()


# --- the first words ---


def test_a_welcome_proves_the_key_over_the_nonce():
    [said] = Desk().say(Knock(NONCE))
    assert isinstance(said, Send)
    welcome = said.message
    assert isinstance(welcome, Welcome)
    claim = relay.welcome_claim(BRIDGE.public, NONCE, CHALLENGE)
    assert verify(welcome.key, welcome.proof, relay.WELCOME_LABEL) == claim
    assert (welcome.key, welcome.challenge) == (BRIDGE.public, CHALLENGE)
    assert (welcome.observed, welcome.terms) == (SOMEWHERE, TERMS)


def test_nothing_is_taken_before_a_knock():
    desk = Desk()
    assert closed(desk.say(desk.putting(QUEUE, b"x"))) == "KNOCK comes first"
    assert desk.say(Knock(NONCE)) == []


def test_whoever_does_not_knock_is_shown_out():
    desk = Desk()
    assert desk.session.tick(bounds.KNOCK_S - 0.1) == []
    assert desk.session.tick(bounds.KNOCK_S) == [Close(End.LATE, "no KNOCK in time")]
    assert desk.session.tick(bounds.KNOCK_S + 1) == []


def test_whoever_knocked_stays():
    assert Desk().knock().session.tick(1e9) == []


def test_a_second_knock_ends_it(desk: Desk):
    assert closed(desk.say(Knock(NONCE))) == "KNOCK comes once"


@pytest.mark.parametrize("message", [Done(1), Deliver(b"q" * 32, ()), Notice(Refusal.RESTARTING, 1)])
def test_what_only_a_bridge_says_ends_it(desk: Desk, message):
    assert "does not say" in closed(desk.say(message))


def test_an_unknown_message_is_skipped(desk: Desk):
    assert desk.session.heard(None, 10, 0.0) == []


def test_what_is_no_message_ends_it(desk: Desk):
    assert closed(desk.session.broken(Malformed("the CBOR cannot be decoded"))) == "the CBOR cannot be decoded"
    assert desk.say(desk.putting(QUEUE, b"x")) == []


def test_another_version_is_told_so():
    actions = Desk().session.unknown_version()
    assert refused(actions) == (Refusal.VERSION, 0)
    assert "version 1" in closed(actions)


# --- proofs ---


def test_a_login_is_carried_out_when_its_proof_holds(desk: Desk):
    desk.login()
    assert desk.session.account == key_of("account alice").public


def test_a_login_for_another_bridge_or_with_another_key_is_bad(desk: Desk):
    """A rogue bridge cannot log in elsewhere as its client."""
    assert refused(desk.say(desk.logging_in(bridge=b"other".ljust(32)))) == (Refusal.BAD, 0)
    assert refused(desk.say(desk.logging_in(key=key_of("mallory")))) == (Refusal.BAD, 0)
    assert desk.session.account == b""


def test_an_account_that_is_not_admitted_creates_nothing(desk: Desk):
    assert refused(desk.say(desk.creating(QUEUE))) == (Refusal.ADMISSION, 0)
    login = desk.logging_in()
    desk.say(login)
    assert refused(desk.session.settled(login.request, Refused(Refusal.ADMISSION))) == (Refusal.ADMISSION, 0)
    assert refused(desk.say(desk.creating(QUEUE))) == (Refusal.ADMISSION, 0)


def test_a_create_needs_the_read_key_and_this_connections_challenge(desk: Desk):
    desk.login()
    message = desk.creating(QUEUE)
    assert desk.say(message) == [Carry(message)]
    assert refused(desk.say(desk.creating(OTHER, key=key_of("mallory")))) == (Refusal.BAD, 0)
    assert refused(desk.say(desk.creating(OTHER, challenge=b"d" * 32))) == (Refusal.BAD, 0)


def test_a_read_needs_the_key_that_the_queue_is_named_by(desk: Desk):
    assert refused(desk.say(desk.reading(QUEUE, key=key_of("mallory")))) == (Refusal.BAD, 0)
    assert refused(desk.say(desk.reading(QUEUE, label=relay.CREATE_LABEL))) == (Refusal.BAD, 0)
    message = desk.reading(QUEUE)
    assert desk.say(message) == [Carry(message)]


def test_a_replayed_read_of_another_connection_is_bad(desk: Desk):
    claim = relay.read_claim(BRIDGE.public, b"d" * 32, QUEUE.name)
    replayed = desk.reading(QUEUE)
    proof = QUEUE.key.sign(claim, relay.READ_LABEL)
    assert refused(desk.say(type(replayed)(9, QUEUE.name, QUEUE.key.public, proof, 0))) == (Refusal.BAD, 0)


# --- putting ---


def test_a_put_is_carried_out_and_answered_with_its_cursor(desk: Desk):
    message = desk.putting(QUEUE, b"x")
    assert desk.say(message) == [Carry(message)]
    assert desk.session.settled(message.request, 17) == [Send(Done(message.request, 17))]


@pytest.mark.parametrize("refusal", [Refusal.TOKEN, Refusal.GONE, Refusal.QUOTA, Refusal.ACCOUNT, Refusal.FULL])
def test_a_refusal_is_told_with_its_code_and_time(desk: Desk, refusal: Refusal):
    message = desk.putting(QUEUE, b"x")
    desk.say(message)
    assert refused(desk.session.settled(message.request, Refused(refusal, 250))) == (refusal, 250)


def test_a_blob_beyond_the_terms_is_too_large():
    terms = Terms(Admission.OPEN, 8_192, 1_000, 2**30, 1, 8)
    desk = Desk(terms=terms).knock()
    assert refused(desk.say(desk.putting(QUEUE, bytes(8_193)))) == (Refusal.LARGE, 0)
    assert carried(desk.say(desk.putting(QUEUE, bytes(8_192))))


def test_a_public_queue_takes_a_stamp_and_looks_at_it_only_then(desk: Desk):
    stamp = find_stamp(work_claim(BRIDGE.public, CHALLENGE, PUBLIC.name, b"hello"), TERMS.work_bits)
    message = desk.putting(PUBLIC, b"hello", stamp)
    assert desk.say(message) == [Carry(message)]
    assert desk.session.settled(message.request, Refused(Refusal.WORK)) == [Carry(message, worked=True)]
    assert desk.session.settled(message.request, 5) == [Send(Done(message.request, 5))]


def test_a_cheap_stamp_is_more_work(desk: Desk):
    claim = work_claim(BRIDGE.public, CHALLENGE, PUBLIC.name, b"hello")
    cheap = next(n.to_bytes(32, "big") for n in range(10**6) if work_done(claim, n.to_bytes(32, "big")) < 8)
    message = desk.putting(PUBLIC, b"hello", cheap)
    desk.say(message)
    assert refused(desk.session.settled(message.request, Refused(Refusal.WORK))) == (Refusal.WORK, 0)


def test_a_stamp_of_another_connection_is_worth_nothing(desk: Desk):
    stamp = find_stamp(work_claim(BRIDGE.public, b"d" * 32, PUBLIC.name, b"hello"), 14)
    assert work_done(work_claim(BRIDGE.public, CHALLENGE, PUBLIC.name, b"hello"), stamp) < 8
    message = desk.putting(PUBLIC, b"hello", stamp)
    desk.say(message)
    assert refused(desk.session.settled(message.request, Refused(Refusal.WORK))) == (Refusal.WORK, 0)


# --- requests ---


def test_a_number_is_used_once_at_a_time_and_never_0(desk: Desk):
    message = desk.putting(QUEUE, b"x")
    desk.say(message)
    assert refused(desk.say(message)) == (Refusal.BAD, 0)
    desk.session.settled(message.request, 1)
    assert desk.say(message) == [Carry(message)]
    assert refused(desk.say(Drop(0, QUEUE.name))) == (Refusal.BAD, 0)


def test_requests_that_the_store_has_not_answered_are_bounded(desk: Desk):
    for _ in range(bounds.PENDING_REQUESTS):
        assert carried(desk.say(desk.putting(QUEUE, b"x")))
    assert refused(desk.say(desk.putting(QUEUE, b"x"))) == (Refusal.RATE, bounds.RETRY_BUSY_MS)
    desk.session.settled(1, 1)
    assert carried(desk.say(desk.putting(QUEUE, b"x")))


def test_their_bytes_are_bounded(desk: Desk):
    taken = 0
    while carried(desk.say(desk.putting(QUEUE, bytes(BLOB_BYTES)))):
        taken += 1
    assert taken == bounds.PENDING_BYTES // BLOB_BYTES - 1  # each is a little more than its blob


def test_the_bytes_of_all_connections_are_bounded_and_given_back():
    pool = Pool(10_000)
    one, two = Desk(pool=pool).knock(), Desk(pool=pool).knock()
    first = one.putting(QUEUE, bytes(9_000))
    assert carried(one.say(first))
    assert refused(two.say(two.putting(QUEUE, bytes(9_000)))) == (Refusal.RATE, bounds.RETRY_BUSY_MS)
    one.session.ended = True
    assert one.session.settled(first.request, 1) == []
    assert pool.bytes == 0
    assert carried(two.say(two.putting(QUEUE, bytes(9_000))))


def test_who_is_too_fast_is_told_when_to_come_again():
    desk = Desk(quotas=Quotas(requests=Pace(10, 20))).knock()
    for _ in range(20):
        settle_all(desk, desk.say(desk.putting(QUEUE, b"x")))
    code, wait = refused(desk.say(desk.putting(QUEUE, b"x")))
    assert (code, wait) == (Refusal.RATE, 100)
    desk.now += wait / 1_000
    assert carried(desk.say(desk.putting(QUEUE, b"x")))


def test_a_stopping_bridge_begins_nothing_and_ends_what_it_began(desk: Desk):
    begun = desk.putting(QUEUE, b"x")
    desk.say(begun)
    assert desk.session.restart(1_500) == [Send(Notice(Refusal.RESTARTING, 1_500))]
    assert refused(desk.say(desk.putting(QUEUE, b"y"))) == (Refusal.RESTARTING, 1_500)
    assert desk.session.settled(begun.request, 3) == [Send(Done(begun.request, 3))]


# --- reading ---


def test_what_is_there_is_fetched_and_pushed_after_done(desk: Desk):
    [fetch] = fetches(desk.opened(QUEUE, last=7))
    assert (fetch.queue, fetch.after, fetch.blobs, fetch.bytes) == (QUEUE.name, 0, 64, bounds.FETCH_BYTES)
    assert delivered(desk.session.fetched(fetch, [(5, b"a"), (7, b"b")])) == [(5, b"a"), (7, b"b")]


def test_an_empty_queue_is_not_fetched(desk: Desk):
    assert desk.opened(QUEUE, after=7, last=7) == []


def test_only_what_was_delivered_may_be_acknowledged(desk: Desk):
    assert refused(desk.say(desk.acking(QUEUE, 1))) == (Refusal.BAD, 0)
    [fetch] = fetches(desk.opened(QUEUE, last=7))
    desk.session.fetched(fetch, [(7, b"a")])
    assert refused(desk.say(desk.acking(QUEUE, 8))) == (Refusal.BAD, 0)
    message = desk.acking(QUEUE, 7)
    assert desk.say(message) == [Carry(message)]


def test_what_an_earlier_connection_took_may_be_acknowledged(desk: Desk):
    desk.opened(QUEUE, after=7, last=7)
    assert carried(desk.say(desk.acking(QUEUE, 7)))


def test_only_who_reads_a_queue_may_drop_it(desk: Desk):
    assert refused(desk.say(desk.dropping(QUEUE))) == (Refusal.BAD, 0)
    desk.opened(QUEUE)
    message = desk.dropping(QUEUE)
    assert desk.say(message) == [Carry(message)]
    assert desk.session.settled(message.request, 0) == [Send(Done(message.request, 0)), Unwatch(QUEUE.name)]
    assert desk.session.queues == ()


def test_a_queue_that_is_not_there_is_not_watched(desk: Desk):
    message = desk.reading(QUEUE)
    desk.say(message)
    actions = desk.session.settled(message.request, Refused(Refusal.GONE))
    assert Unwatch(QUEUE.name) in actions
    assert refused(actions) == (Refusal.GONE, 0)


def test_a_refused_read_does_not_end_the_one_after_it(desk: Desk):
    """READ, CREATE, READ without waiting: the first is refused, the last holds."""
    first, second = desk.reading(QUEUE), desk.reading(QUEUE)
    desk.say(first)
    desk.say(second)
    assert Unwatch(QUEUE.name) not in desk.session.settled(first.request, Refused(Refusal.GONE))
    assert fetches(desk.session.opened(second.request, 9))


def test_reading_again_starts_where_it_says(desk: Desk):
    [old] = fetches(desk.opened(QUEUE, last=9))
    [new] = fetches(desk.opened(QUEUE, after=5, last=9))
    assert delivered(desk.session.fetched(old, [(3, b"stale")])) == []
    assert new.after == 5
    assert delivered(desk.session.fetched(new, [(9, b"x")])) == [(9, b"x")]


def test_a_connection_that_ended_is_told_nothing(desk: Desk):
    message = desk.reading(QUEUE)
    desk.say(message)
    [fetch] = fetches(desk.opened(OTHER, last=3))
    desk.session.ended = True
    assert desk.session.opened(message.request, 5) == []
    assert desk.session.fetched(fetch, [(3, b"x")]) == []
    assert desk.session.came(OTHER.name, 3, 4, b"x") == []
    assert desk.session.grown(OTHER.name) == []
    assert desk.session.told(Told("7Q2MX", b"x")) == []
    assert desk.session.restart(1) == []


def test_a_connection_reads_so_many_queues(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(bounds, "SUBSCRIPTIONS", 1)
    desk.opened(QUEUE)
    assert refused(desk.say(desk.reading(OTHER)))[0] == Refusal.RATE
    desk.opened(QUEUE)


# --- meeting ---


def test_a_place_is_told_of_only_by_who_took_a_side(desk: Desk):
    assert refused(desk.say(Tell(1, "7Q2MX", b"x"))) == (Refusal.AWAY, 0)
    assert refused(desk.say(Leave(2, "7Q2MX"))) == (Refusal.AWAY, 0)
    meet = Meet(3, "7Q2MX", Side.JOINER, b"t" * 32)
    assert desk.say(meet) == [Carry(meet)]
    assert carried(desk.say(Tell(4, "7Q2MX", b"x")))
    assert desk.session.told(Told("7Q2MX", b"y")) == [Send(Told("7Q2MX", b"y"))]
    desk.session.told(Told("7Q2MX", b"", gone=True))
    assert refused(desk.say(Tell(5, "7Q2MX", b"x"))) == (Refusal.AWAY, 0)


def test_a_refused_meet_takes_no_side(desk: Desk):
    desk.say(Meet(1, "7Q2MX", Side.JOINER, b"t" * 32))
    assert refused(desk.session.settled(1, Refused(Refusal.CROWDED))) == (Refusal.CROWDED, 0)
    assert refused(desk.say(Tell(2, "7Q2MX", b"x"))) == (Refusal.AWAY, 0)


def test_guessing_at_places_is_slow():
    desk = Desk(quotas=Quotas(meets=Pace(1, 5))).knock()
    for number in range(1, 6):
        settle_all(desk, desk.say(Meet(number, f"AAA{number}", Side.JOINER, b"t" * 32)))
    assert refused(desk.say(Meet(9, "AAAAA", Side.JOINER, b"t" * 32))) == (Refusal.RATE, 1_000)


def test_one_connection_takes_so_many_places(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(bounds, "PLACES_OF_ONE", 2)
    for number in (1, 2):
        assert carried(desk.say(Meet(number, f"AAAA{number}", Side.JOINER, b"t" * 32)))
    assert refused(desk.say(Meet(3, "AAAA3", Side.JOINER, b"t" * 32)))[0] == Refusal.RATE
    assert carried(desk.say(Meet(4, "AAAA2", Side.JOINER, b"t" * 32)))


def test_who_shows_a_place_is_logged_in(desk: Desk):
    """10,000 were taken without an account."""
    assert refused(desk.say(Meet(101, "7Q2MX", Side.DISPLAYER, b"t" * 32))) == (Refusal.ADMISSION, 0)
    assert carried(desk.say(Meet(102, "7Q2MX", Side.JOINER, b"t" * 32)))
    desk.login()
    assert carried(desk.say(Meet(103, "AAAAA", Side.DISPLAYER, b"t" * 32)))


def stamp(desk: Desk, number: int, account: str = "alice") -> Stamp:
    claim = newcomer_claim(BRIDGE.public, CHALLENGE, key_of("account " + account).public, number)
    return Stamp(next(desk.numbers), find_stamp(claim, newcomer_bits(TERMS.work_bits)))


def test_a_newcomers_stamp_lets_one_request_pass(desk: Desk):
    desk.login()
    first, second = desk.creating(QUEUE), desk.creating(OTHER)
    paid = stamp(desk, 0)
    assert desk.say(paid) == [Send(Done(paid.request))]
    for message in (first, second):
        assert desk.say(message) == [Carry(message)]
    assert desk.session.settled(first.request, Refused(Refusal.WORK)) == [Carry(first, worked=True)]
    assert refused(desk.session.settled(second.request, Refused(Refusal.WORK))) == (Refusal.WORK, 0)
    assert desk.session.settled(first.request, 0) == [Send(Done(first.request))]


def test_a_stamp_serves_once_and_its_account_alone(desk: Desk):
    assert refused(desk.say(stamp(desk, 0)))[0] == Refusal.ADMISSION
    desk.login()
    assert refused(desk.say(stamp(desk, 0, "bob")))[0] == Refusal.WORK
    paid = stamp(desk, 0)
    assert desk.say(paid) == [Send(Done(paid.request))]
    assert refused(desk.say(dataclasses.replace(paid, request=77)))[0] == Refusal.WORK
    second = stamp(desk, 1)
    assert desk.say(second) == [Send(Done(second.request))]
    desk.login("bob")
    waiting = desk.creating(QUEUE)
    desk.say(waiting)
    assert refused(desk.session.settled(waiting.request, Refused(Refusal.WORK)))[0] == Refusal.WORK


def test_who_asks_on_and_on_for_what_is_refused_is_ended():
    desk = Desk(quotas=Quotas(refusals=Pace(1, 10))).knock()
    for _ in range(10):
        assert refused(desk.say(desk.dropping(QUEUE))) == (Refusal.BAD, 0)
    [_, close] = desk.say(desk.dropping(QUEUE))
    assert isinstance(close, Close)
    assert close.end is End.FLOOD
    assert desk.say(desk.dropping(QUEUE)) == []


def test_messages_of_unknown_types_are_skipped_and_counted():
    """Attack: each is parsed, and none was ever refused."""
    desk = Desk(quotas=Quotas(refusals=Pace(1, 10))).knock()
    assert [desk.session.heard(None, 9, desk.now) for _ in range(10)] == [[]] * 10
    desk.now += 1.0
    assert desk.session.heard(None, 9, desk.now) == []
    assert closed(desk.session.heard(None, 9, desk.now))


def test_proofs_are_dearer_than_other_requests():
    desk = Desk(quotas=Quotas(proofs=Pace(1, 3))).knock().login()
    assert carried(desk.say(desk.creating(QUEUE)))
    assert carried(desk.say(desk.reading(QUEUE)))
    assert refused(desk.say(desk.reading(OTHER))) == (Refusal.RATE, 1_000)
    assert carried(desk.say(desk.putting(QUEUE, b"x")))


def test_reading_again_and_again_pays_for_what_it_was_sent_in_vain():
    """Attack: a READ of 300 bytes brings a mebibyte, each time."""
    desk = Desk(quotas=Quotas(traffic=Pace(1_000, 2_000_000))).knock()
    for _ in range(3):
        [fetch] = fetches(desk.opened(QUEUE, last=9))
        desk.session.fetched(fetch, [(cursor, bytes(500_000)) for cursor in (1, 2)])
    code, wait_ms = refused(desk.say(desk.reading(QUEUE)))
    assert code == Refusal.RATE
    assert wait_ms > 0


def test_nothing_secret_is_shown(desk: Desk):
    """Secrets never reach a log."""
    message = desk.putting(QUEUE, b"s3cr3t blob", b"s3cr3t token".ljust(32))
    shown = repr([*desk.say(message), Send(Told("7Q2MX", b"x")), Fail(1, Refusal.BAD), Ack(1, QUEUE.name, 1)])
    assert "s3cr3t" not in shown
