"""A node at a bridge: it connects, reads its own queues, leaves blobs for others, and starts again."""

from __future__ import annotations

import dataclasses
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p_agents.crypto.outer import token_hash
from p2p_agents.crypto.work import newcomer_bits
from p2p_agents.errors import BridgeImpostor, BridgeRefused, BridgeUnreachable
from p2p_agents.limits import (
    BACKOFF_MAX_S,
    BLOB_BYTES,
    BRIDGE_KNOCK_S,
    BRIDGE_QUIC_LEAD_S,
    BRIDGE_REQUEST_S,
    BRIDGE_REQUESTS,
    BRIDGE_RESTART_S,
    BRIDGE_RETRY_S,
    BRIDGE_UPGRADE_S,
    BRIDGE_WAITING_BYTES,
    FRAME_BYTES,
    WORK_BITS_DONE,
)
from p2p_agents.link.approach import Dial, Failure, Hangup, Transport
from p2p_agents.link.bridge_news import (
    DOWN,
    BridgeDown,
    BridgeUp,
    Came,
    Opened,
    PlaceTold,
    Refused,
    Stored,
    Unread,
    Work,
)
from p2p_agents.link.bridge_queues import Inbox
from p2p_agents.link.bridge_toll import STAMPS
from p2p_agents.wire.relay_answers import Deliver, Fail, Notice, Refusal, Told
from p2p_agents.wire.relay_requests import Ack, Create, Drop, Leave, Login, Meet, Put, Read, Side, Stamp, Tell
from tests.link.bridges import OBSERVED, TOKEN, FakeBridge, Kept, Visit, key
from tests.stamps import find_stamp

WRITE = b"w" * 32
GONE = Failure(BridgeUnreachable.code, "the connection ended")


@pytest.fixture
def bridge():
    return FakeBridge()


@pytest.fixture
def visit(bridge):
    visit = Visit(bridge).start()
    assert visit.told() == [BridgeUp(OBSERVED, admitted=True)]
    return visit


def inbox(name="mine", cursor=0):
    return Inbox(key(name), WRITE, cursor)


def others(bridge, name="theirs"):
    """A queue that somebody else reads."""
    queue = inbox(name).queue
    bridge.queues[queue] = Kept(token_hash(WRITE))
    return queue


# --- the door ---


def test_quic_that_answers_is_all_that_is_tried(visit):
    assert visit.moves == [Dial(Transport.QUIC)]
    assert visit.machine.line.way is Transport.QUIC
    assert visit.machine.next_try() is None


def test_where_udp_does_not_pass_a_websocket_is_tried_after_a_second(bridge):
    bridge.ways = {Transport.WEBSOCKET}
    visit = Visit(bridge).start()
    visit.wait(BRIDGE_QUIC_LEAD_S - 0.01)
    assert visit.told() == []
    visit.wait(0.01)
    assert visit.moves == [Dial(Transport.QUIC), Dial(Transport.WEBSOCKET), Hangup(Transport.QUIC)]
    assert visit.told() == [BridgeUp("", admitted=True)]


def test_where_udp_is_refused_the_websocket_is_tried_at_once(bridge):
    bridge.ways = {Transport.WEBSOCKET}
    visit = Visit(bridge).start()
    visit.cut(Transport.QUIC, GONE)
    assert visit.told() == [BridgeUp("", admitted=True)]


def test_of_two_ways_that_both_pass_the_first_welcome_wins(bridge):
    visit = Visit(bridge)
    visit.held = []
    visit.start()
    visit.wait(BRIDGE_QUIC_LEAD_S)
    assert visit.moves == [Dial(Transport.QUIC), Dial(Transport.WEBSOCKET)]
    visit.held.reverse()
    visit.release()
    assert visit.machine.line.way is Transport.WEBSOCKET
    assert visit.moves[2:] == [Hangup(Transport.QUIC)]


def test_a_websocket_gives_way_to_quic_once_that_passes(bridge):
    """Only over QUIC can the bridge see where peers may reach us. Nobody notices the change."""
    bridge.ways = {Transport.WEBSOCKET}
    visit = Visit(bridge)
    mine = inbox()
    visit.carry(visit.machine.want([mine], visit.now))
    visit.start()
    visit.wait(BRIDGE_QUIC_LEAD_S)
    visit.moves.clear()
    visit.wait(BRIDGE_UPGRADE_S + BRIDGE_KNOCK_S)
    assert visit.moves == [Dial(Transport.QUIC), Hangup(Transport.QUIC)]
    bridge.ways = {Transport.QUIC, Transport.WEBSOCKET}
    assert visit.told() == [BridgeUp("", admitted=True)]
    visit.wait(BRIDGE_UPGRADE_S)
    assert visit.moves[2:] == [Dial(Transport.QUIC), Hangup(Transport.WEBSOCKET)]
    assert visit.told() == [BridgeUp(OBSERVED, admitted=True)]
    assert (visit.machine.line.way, visit.machine.reading) == (Transport.QUIC, 1)
    visit.wait(3 * BRIDGE_UPGRADE_S)
    assert len(visit.moves) == 4


def test_what_was_under_way_when_quic_took_over_goes_again(bridge):
    """Its answer went with the old connection; a blob that is kept twice is absorbed by its reader."""
    bridge.ways = {Transport.WEBSOCKET}
    visit = Visit(bridge).start()
    visit.wait(BRIDGE_UPGRADE_S)
    bridge.ways = {Transport.QUIC}
    bridge.silent.add(Put)
    visit.carry(visit.machine.put(1, others(bridge), WRITE, b"blob", visit.now))
    visit.told()
    bridge.silent.clear()
    visit.wait(BRIDGE_QUIC_LEAD_S + 1.0)
    assert visit.told() == [BridgeUp(OBSERVED, admitted=True), Stored(1)]


def test_a_websocket_that_ends_while_quic_is_tried_ends_that_too(bridge):
    bridge.ways = {Transport.WEBSOCKET}
    visit = Visit(bridge).start()
    visit.wait(BRIDGE_UPGRADE_S + BRIDGE_QUIC_LEAD_S + 1.0)
    visit.moves.clear()
    visit.cut(Transport.WEBSOCKET, GONE)
    assert visit.moves == [Hangup(Transport.QUIC)]
    visit.wait(2.0)
    assert [type(news) for news in visit.told()] == [BridgeUp, BridgeDown, BridgeUp]


def test_a_bridge_that_holds_another_key_is_told_nothing(bridge):
    """Attack: somebody took over the address, or is in between with a key of their own."""
    visit = Visit(bridge, pin=key("the real one").public).start()
    assert visit.moves == [
        Dial(Transport.QUIC),
        Hangup(Transport.QUIC),
        Dial(Transport.WEBSOCKET),
        Hangup(Transport.WEBSOCKET),
    ]
    assert visit.told() == [BridgeDown(BridgeImpostor.code)]
    assert bridge.requests == []


def test_a_welcome_of_another_day_is_no_proof(bridge):
    """Attack: a WELCOME recorded elsewhere names the right key over another nonce."""
    recorded = bridge.welcome(b"n" * 32)
    bridge.welcome = lambda nonce: recorded
    visit = Visit(bridge).start()
    assert visit.told() == [BridgeDown(BridgeImpostor.code)]
    assert bridge.requests == []


def test_that_an_impostor_answers_outweighs_that_nobody_does(bridge):
    bridge.ways = {Transport.QUIC}
    visit = Visit(bridge, pin=key("the real one").public).start()
    visit.cut(Transport.WEBSOCKET, GONE)
    assert visit.told() == [BridgeDown(BridgeImpostor.code)]


def test_a_bridge_that_does_not_answer_is_tried_again_ever_more_rarely(bridge):
    """Each attempt ends by itself; the core hears once that it is down."""
    bridge.ways = set()
    visit = Visit(bridge).start()
    begun = []
    for _ in range(2_000):
        before = len(visit.moves)
        visit.wait(0.5)
        if Dial(Transport.QUIC) in visit.moves[before:]:
            begun.append(visit.now)
    gaps = [two - one for one, two in itertools.pairwise(begun)]
    assert gaps == sorted(gaps)
    assert gaps[-1] <= BRIDGE_KNOCK_S + BACKOFF_MAX_S
    assert visit.told() == [BridgeDown(BridgeUnreachable.code)]
    assert visit.machine.health.failures > 10
    assert visit.machine.health.failure == Failure(BridgeUnreachable.code, "no answer in time")


def test_a_changed_network_is_worth_a_try_at_once(bridge):
    bridge.ways = set()
    visit = Visit(bridge).start()
    visit.wait(600.0)
    while visit.machine.next_try() is None:
        visit.wait(0.25)
    bridge.ways = {Transport.QUIC}
    visit.told()
    visit.carry(visit.machine.resumed(visit.now))
    assert visit.told() == [BridgeUp(OBSERVED, admitted=True)]


def test_a_bridge_may_refuse_whom_it_has_not_welcomed(bridge):
    bridge.ways = set()
    visit = Visit(bridge).start()
    for way in (Transport.QUIC, Transport.WEBSOCKET):
        visit.carry(visit.machine.opened(way, visit.now))
        visit.say(Fail(0, Refusal.VERSION), way)
    assert visit.told() == [BridgeDown(BridgeRefused.code)]
    assert visit.machine.health.failure.why == "it speaks another version of the protocol"


# --- admission ---


def test_who_is_not_admitted_can_still_write(bridge):
    queue = others(bridge)
    visit = Visit(bridge, token="wrong")
    visit.carry(visit.machine.want([inbox()], visit.now))
    visit.start()
    assert visit.told() == [BridgeUp(OBSERVED, admitted=False), Unread(inbox().queue, Refusal.GONE)]
    assert visit.machine.health.admission == Refusal.ADMISSION
    assert visit.asked(Create) == []
    visit.carry(visit.machine.put(1, queue, WRITE, b"blob", visit.now))
    assert visit.told() == [Stored(1)]


def test_admission_is_asked_for_again(bridge):
    """An operator may have written the account down meanwhile."""
    bridge.refusals[Login] = [(Refusal.ADMISSION, 0)]
    visit = Visit(bridge)
    visit.carry(visit.machine.want([inbox()], visit.now))
    visit.start()
    assert visit.told()[0] == BridgeUp(OBSERVED, admitted=False)
    visit.wait(BRIDGE_RETRY_S)
    assert visit.told() == [BridgeUp(OBSERVED, admitted=True)]
    assert visit.machine.reading == 1


def test_a_token_that_is_given_later_is_shown_at_once(bridge):
    visit = Visit(bridge, token="wrong").start()
    visit.carry(visit.machine.want([inbox()], visit.now))
    visit.told()
    visit.carry(visit.machine.admit(TOKEN, visit.now, member=True))
    assert visit.told() == [BridgeUp(OBSERVED, admitted=True)]
    assert visit.machine.reading == 1
    assert visit.machine.health.admission == ""


def test_a_queue_that_was_made_before_is_read_without_admission(bridge):
    """An operator who revokes a token does not keep what is already there."""
    mine = inbox()
    bridge.queues[mine.queue] = Kept(token_hash(WRITE), [(1, b"one")])
    visit = Visit(bridge, token="withdrawn")
    visit.carry(visit.machine.want([mine], visit.now))
    visit.start()
    assert visit.told() == [BridgeUp(OBSERVED, admitted=False), Came(mine.queue, ((1, b"one"),))]


def test_what_could_not_be_kept_comes_again(visit, bridge):
    mine = inbox()
    bridge.queues[mine.queue] = Kept(token_hash(WRITE), [(1, b"one")])
    visit.carry(visit.machine.want([mine], visit.now))
    visit.told()
    visit.carry(visit.machine.leave_off("the disk is full", visit.now))
    visit.wait(1.0)
    assert visit.told()[-1] == Came(mine.queue, ((1, b"one"),))


def test_a_node_that_only_writes_shows_no_account(bridge):
    queue = others(bridge)
    visit = Visit(bridge, member=False)
    assert visit.machine.idle
    visit.carry(visit.machine.put(1, queue, WRITE, b"blob", visit.now))
    assert visit.told() == [BridgeUp(OBSERVED, admitted=False), Stored(1)]
    assert visit.asked(Login) == []
    visit.carry(visit.machine.want([inbox()], visit.now))
    assert len(visit.asked(Login)) == 1
    assert visit.machine.reading == 1
    assert not visit.machine.idle


# --- reading ---


def test_what_lies_in_a_queue_comes_until_it_is_acknowledged(visit, bridge):
    """B7: the bridge forgets only what was kept here."""
    mine = inbox()
    visit.carry(visit.machine.want([mine], visit.now))
    bridge.queues[mine.queue].blobs = [(3, b"three"), (5, b"five")]
    visit.cut(Transport.QUIC, GONE)
    visit.wait(1.0)
    assert visit.told()[-1] == Came(mine.queue, ((3, b"three"), (5, b"five")))
    visit.carry(visit.machine.ack(mine.queue, 3, visit.now))
    assert bridge.queues[mine.queue].blobs == [(5, b"five")]
    visit.cut(Transport.QUIC, GONE)
    visit.wait(1.0)
    assert visit.told()[-1] == Came(mine.queue, ((5, b"five"),))
    assert visit.asked(Read)[-1].after == 3


def test_what_was_kept_while_the_bridge_was_away_is_acknowledged_later(visit, bridge):
    mine = inbox()
    visit.carry(visit.machine.want([mine], visit.now))
    bridge.queues[mine.queue].blobs = [(3, b"three")]
    visit.say(Deliver(mine.queue, ((3, b"three"),)))
    visit.cut(Transport.QUIC, GONE)
    visit.carry(visit.machine.ack(mine.queue, 3, visit.now))
    assert bridge.queues[mine.queue].blobs
    visit.wait(1.0)
    assert bridge.queues[mine.queue].blobs == []
    assert [type(news) for news in visit.told()] == [Came, BridgeDown, BridgeUp]


def test_acknowledgements_of_one_queue_wait_for_each_other(visit):
    mine = inbox()
    visit.carry(visit.machine.want([mine], visit.now))
    visit.held = []
    for cursor in range(1, 101):
        visit.carry(visit.machine.ack(mine.queue, cursor, visit.now))
    assert [ack.cursor for ack in visit.asked(Ack)] == [1]
    visit.release()
    assert [ack.cursor for ack in visit.asked(Ack)] == [1, 100]


def test_a_queue_that_is_left_out_is_dropped(visit, bridge):
    one, two = inbox("one"), inbox("two")
    visit.carry(visit.machine.want([one, two], visit.now))
    assert visit.machine.reading == 2
    visit.carry(visit.machine.want([two], visit.now))
    assert [drop.queue for drop in visit.asked(Drop)] == [one.queue]
    assert bridge.queues.keys() == {two.queue}
    visit.say(Deliver(one.queue, ((9, b"late"),)))
    assert visit.told() == []


def test_a_queue_that_is_refused_is_asked_for_again(visit, bridge):
    mine = inbox()
    bridge.refusals[Create] = [(Refusal.ACCOUNT, 0)]
    visit.carry(visit.machine.want([mine], visit.now))
    assert visit.told() == [Unread(mine.queue, Refusal.ACCOUNT)]
    assert visit.machine.reading == 0
    visit.wait(BRIDGE_RETRY_S)
    assert visit.machine.reading == 1


def test_a_queue_the_bridge_lost_is_made_again(visit, bridge):
    mine = inbox(cursor=7)
    bridge.refusals[Read] = [(Refusal.GONE, 2_000)]
    visit.carry(visit.machine.want([mine], visit.now))
    assert visit.told() == [Unread(mine.queue, Refusal.GONE)]
    visit.wait(2.0)
    assert len(visit.asked(Create)) == 2
    assert visit.machine.reading == 1


def test_what_was_kept_is_not_taken_twice(visit):
    mine = inbox(cursor=7)
    visit.carry(visit.machine.want([mine], visit.now))
    visit.say(Deliver(mine.queue, ((6, b"six"), (7, b"seven"), (8, b"eight"))))
    assert visit.told() == [Came(mine.queue, ((8, b"eight"),))]


# --- a newcomer's work ---


def work(visit: Visit) -> list[Work]:
    """What is asked for is done."""
    asked = [news for news in visit.told() if isinstance(news, Work)]
    for one in asked:
        assert (one.ticket, one.queue) == (None, b"")
        visit.carry(visit.machine.worked(one, find_stamp(one.claim, one.bits), visit.now))
    return asked


def cheap(bridge: FakeBridge) -> Visit:
    bridge.terms = dataclasses.replace(bridge.terms, work_bits=4)
    return Visit(bridge).start()


def test_a_newcomer_works_for_its_queues_once(bridge):
    bridge.refusals[Create] = [(Refusal.WORK, 0)] * 2
    visit = cheap(bridge)
    visit.carry(visit.machine.want([inbox(), inbox("another")], visit.now))
    [asked] = work(visit)
    assert asked.bits == newcomer_bits(4)
    assert visit.machine.reading == 2
    assert [len(visit.asked(kind)) for kind in (Stamp, Create)] == [1, 4]
    assert visit.told() == []


def test_a_newcomer_works_for_a_place(bridge):
    bridge.refusals[Meet] = [(Refusal.WORK, 0)]
    visit = cheap(bridge)
    visit.carry(visit.machine.meet("7Q2MX", Side.DISPLAYER, b"t" * 32, visit.now))
    work(visit)
    assert len(visit.asked(Meet)) == 2
    assert visit.told() == []


def test_work_for_a_connection_that_is_gone_is_asked_for_anew(bridge):
    bridge.refusals[Create] = [(Refusal.WORK, 0)] * 2
    visit = cheap(bridge)
    visit.carry(visit.machine.want([inbox()], visit.now))
    [late] = [news for news in visit.told() if isinstance(news, Work)]
    visit.cut(Transport.QUIC, GONE)
    visit.wait(1.0)
    visit.carry(visit.machine.worked(late, find_stamp(late.claim, late.bits), visit.now))
    assert visit.asked(Stamp) == []
    work(visit)
    assert visit.machine.reading == 1


def test_a_bridge_that_wants_ever_more_work_gets_no_more(bridge):
    """Attack: a bridge that keeps a node hashing."""
    bridge.refusals[Create] = [(Refusal.WORK, 0)] * 99
    visit = cheap(bridge)
    visit.carry(visit.machine.want([inbox()], visit.now))
    while work(visit):
        continue
    assert len(visit.asked(Stamp)) == STAMPS
    visit.wait(BRIDGE_RETRY_S)
    assert not [news for news in visit.told() if isinstance(news, Work)]


def test_work_beyond_all_reason_is_not_done(bridge):
    bridge.refusals[Create] = [(Refusal.WORK, 0)]
    bridge.terms = dataclasses.replace(bridge.terms, work_bits=28)
    visit = Visit(bridge).start()
    visit.carry(visit.machine.want([mine := inbox()], visit.now))
    assert Unread(mine.queue, Refusal.WORK) in visit.told()


# --- writing ---


def test_a_later_blob_never_overtakes_one_that_is_refused(visit, bridge):
    queue, other = others(bridge), others(bridge, "third")
    bridge.refusals[Put] = [(Refusal.QUOTA, 5_000)]
    visit.held = []
    for ticket in (1, 2, 3):
        visit.carry(visit.machine.put(ticket, queue, WRITE, b"blob", visit.now))
    visit.carry(visit.machine.put(4, other, WRITE, b"blob", visit.now))
    visit.release()
    refused = [Refused(ticket, Refusal.QUOTA, 5_000) for ticket in (1, 2, 3)]
    assert visit.told() == [*refused, Stored(4)]
    assert visit.machine.waiting == 0
    visit.carry(visit.machine.put(5, queue, WRITE, b"blob", visit.now))
    assert visit.told() == [Stored(5)]


def test_blobs_of_a_queue_arrive_in_their_order(visit, bridge):
    queue = others(bridge)
    visit.held = []
    for ticket in range(5):
        visit.carry(visit.machine.put(ticket, queue, WRITE, b"%d" % ticket, visit.now))
    visit.release()
    assert visit.told() == [Stored(ticket) for ticket in range(5)]
    assert [blob for _, blob in bridge.queues[queue].blobs] == [b"0", b"1", b"2", b"3", b"4"]


def test_what_the_bridge_did_not_answer_is_nobodys(visit, bridge):
    """B2: its sender keeps the frames and sends them again; the reader absorbs duplicates."""
    queue = others(bridge)
    visit.held = []
    visit.carry(visit.machine.put(1, queue, WRITE, b"blob", visit.now))
    visit.carry(visit.machine.put(2, queue, WRITE, b"blob", visit.now))
    visit.held = None
    visit.cut(Transport.QUIC, GONE)
    down, one, two = visit.told()
    assert down == BridgeDown(BridgeUnreachable.code)
    assert [(news.ticket, news.code) for news in (one, two)] == [(1, DOWN), (2, DOWN)]
    assert 0 < one.retry_ms <= BACKOFF_MAX_S * 1000


def test_a_blob_for_a_bridge_that_is_down_is_refused_at_once(bridge):
    bridge.ways = set()
    visit = Visit(bridge).start()
    visit.carry(visit.machine.put(1, b"q" * 32, WRITE, b"blob", visit.now))
    assert visit.told() == []
    visit.wait(BRIDGE_KNOCK_S)
    assert [type(news) for news in visit.told()] == [BridgeDown, Refused]
    visit.carry(visit.machine.put(2, b"q" * 32, WRITE, b"blob", visit.now))
    assert [(news.ticket, news.code) for news in visit.told()] == [(2, DOWN)]


def test_a_blob_beyond_the_bridges_terms_is_not_sent(bridge):
    terms = dataclasses.replace(bridge.welcome(b"n" * 32).terms, blob_bytes=100)
    told = bridge.welcome
    bridge.welcome = lambda nonce: dataclasses.replace(told(nonce), terms=terms)
    visit = Visit(bridge).start()
    visit.carry(visit.machine.put(1, others(bridge), WRITE, b"x" * 101, visit.now))
    assert visit.told()[-1] == Refused(1, Refusal.LARGE, 0)
    assert visit.asked(Put) == []


def test_what_waits_for_a_slow_bridge_is_bounded(visit, bridge):
    visit.held = []
    fitting = BRIDGE_WAITING_BYTES // BLOB_BYTES
    blob = b"x" * BLOB_BYTES
    for ticket in range(fitting + 1):
        visit.carry(visit.machine.put(ticket, others(bridge, str(ticket)), WRITE, blob, visit.now))
    assert visit.machine.waiting == fitting
    assert [(news.ticket, news.code) for news in visit.told()] == [(fitting, Refusal.RATE)]


def test_so_many_requests_are_in_flight(visit, bridge):
    visit.held = []
    for ticket in range(2 * BRIDGE_REQUESTS):
        visit.carry(visit.machine.put(ticket, others(bridge, str(ticket)), WRITE, b"blob", visit.now))
    assert len(visit.asked(Put)) == BRIDGE_REQUESTS
    visit.release()
    assert {news.ticket for news in visit.told()} == set(range(2 * BRIDGE_REQUESTS))
    assert visit.machine.waiting == 0


# --- public queues ---


def public(bridge, bits=8):
    """Where anybody who did the work may write."""
    bridge.terms = dataclasses.replace(bridge.terms, work_bits=bits)
    queue = others(bridge)
    bridge.queues[queue].public = True
    return queue


def asks(visit, queue, ticket=1, blob=b"may I"):
    """What work a put is for, as the machine asks for it."""
    visit.carry(visit.machine.put(ticket, queue, bytes(32), blob, visit.now, public=True))
    (work,) = visit.told()
    return work


def does(visit, work):
    visit.carry(visit.machine.worked(work, find_stamp(work.claim, work.bits), visit.now))


def test_a_queue_for_requests_is_made_for_everybody(visit, bridge):
    mine = dataclasses.replace(inbox(), public=True)
    visit.carry(visit.machine.want([mine], visit.now))
    assert bridge.queues[mine.queue].public
    assert visit.told() == [Opened(mine.queue)]
    assert visit.machine.reads(mine.queue)
    visit.cut(Transport.QUIC, GONE)
    assert not visit.machine.reads(mine.queue)


def test_a_request_goes_once_its_work_is_done(bridge):
    queue = public(bridge)
    visit = Visit(bridge).start()
    visit.told()
    work = asks(visit, queue)
    assert (work.queue, work.bits) == (queue, 8)
    assert visit.asked(Put) == []
    does(visit, work)
    assert visit.told() == [Stored(1)]
    assert [blob for _, blob in bridge.queues[queue].blobs] == [b"may I"]


def test_work_for_a_connection_that_is_gone_is_done_anew(bridge):
    """A stamp names the challenge: none can be used twice, or saved up."""
    queue = public(bridge)
    visit = Visit(bridge, member=False).start()
    visit.told()
    early = asks(visit, queue)
    visit.cut(Transport.QUIC, GONE)
    assert Refused(1, DOWN, 250) in [dataclasses.replace(n, retry_ms=250) for n in visit.told() if type(n) is Refused]
    does(visit, early)
    assert visit.asked(Put) == []
    visit.wait(1.0)
    visit.told()
    again = asks(visit, queue, ticket=2)
    assert again.claim != early.claim
    does(visit, early)
    does(visit, again)
    does(visit, again)
    assert visit.told() == [Stored(2)]


def test_a_bridge_that_wants_too_much_work_gets_none(bridge):
    """Attack: half a minute of a core for a request."""
    queue = public(bridge, bits=WORK_BITS_DONE + 1)
    visit = Visit(bridge).start()
    visit.told()
    assert asks(visit, queue) == Refused(1, Refusal.WORK, 0)
    assert visit.asked(Put) == []


# --- meeting places ---


def test_a_place_is_taken_again_after_a_reconnection_and_no_more_once_it_is_left(visit):
    visit.carry(visit.machine.meet("7Q2MX", Side.DISPLAYER, WRITE, visit.now))
    visit.say(Told("7Q2MX", b"", gone=False))
    visit.carry(visit.machine.tell("7Q2MX", b"hello", visit.now))
    assert visit.asked(Tell)[0].message == b"hello"
    visit.cut(Transport.QUIC, GONE)
    visit.wait(1.0)
    assert [(meet.place, meet.token) for meet in visit.asked(Meet)] == [("7Q2MX", WRITE)] * 2
    visit.carry(visit.machine.leave("7Q2MX", visit.now))
    assert len(visit.asked(Leave)) == 1
    visit.cut(Transport.QUIC, GONE)
    visit.wait(1.0)
    assert len(visit.asked(Meet)) == 2
    assert visit.told()[0] == PlaceTold("7Q2MX", b"", gone=False)


def test_what_is_told_waits_until_the_place_is_taken_again(visit):
    visit.carry(visit.machine.meet("7Q2MX", Side.JOINER, WRITE, visit.now))
    visit.cut(Transport.QUIC, GONE)
    visit.carry(visit.machine.tell("7Q2MX", b"hello", visit.now))
    visit.held = []
    visit.wait(1.0)
    assert visit.asked(Tell) == []
    while visit.held:
        visit.release()
    assert [type(request) for request in visit.bridge.requests[-2:]] == [Meet, Tell]


def test_a_place_that_is_taken_by_two_others_is_gone(visit, bridge):
    bridge.refusals[Meet] = [(Refusal.CROWDED, 0)]
    visit.carry(visit.machine.meet("7Q2MX", Side.JOINER, WRITE, visit.now))
    assert visit.told() == [PlaceTold("7Q2MX", b"", gone=True)]
    visit.say(Told("7Q2MX", b"somebody else's", gone=False))
    assert visit.told() == []


def test_a_place_the_bridge_has_no_time_for_is_asked_for_again(visit, bridge):
    bridge.refusals[Meet] = [(Refusal.RATE, 1_500)]
    visit.carry(visit.machine.meet("7Q2MX", Side.JOINER, WRITE, visit.now))
    visit.wait(1.5)
    assert len(visit.asked(Meet)) == 2
    assert visit.told() == []


# --- time ---


def test_a_bridge_that_restarts_is_left_alone_until_it_is_back(visit, bridge):
    queue = others(bridge)
    visit.say(Notice(Refusal.RESTARTING, 4_000))
    visit.carry(visit.machine.put(1, queue, WRITE, b"blob", visit.now))
    assert visit.asked(Put) == []
    visit.cut(Transport.QUIC, GONE)
    assert [type(news) for news in visit.told()] == [BridgeDown, Refused]
    visit.wait(3.9)
    assert visit.told() == []
    visit.wait(0.2)
    assert visit.told() == [BridgeUp(OBSERVED, admitted=True)]


def test_a_bridge_that_says_it_restarts_and_does_not_is_left(visit):
    visit.say(Notice(Refusal.RESTARTING, 2**53 - 1))
    visit.wait(BRIDGE_RESTART_S - 1.0)
    assert visit.told() == []
    visit.wait(2.0)
    assert [type(news) for news in visit.told()] == [BridgeDown, BridgeUp]


def test_a_bridge_that_answers_no_more_is_left(visit, bridge):
    bridge.silent.add(Put)
    visit.carry(visit.machine.put(1, others(bridge), WRITE, b"blob", visit.now))
    visit.wait(BRIDGE_REQUEST_S - 0.1)
    assert visit.told() == []
    visit.wait(0.2)
    assert [type(news) for news in visit.told()] == [BridgeDown, Refused]
    assert Hangup(Transport.QUIC) in visit.moves


def test_a_bridge_that_falls_over_again_and_again_is_not_hammered(visit):
    """A connection that holds for a moment only is a failure like another."""
    waits = []
    for _ in range(12):
        visit.cut(Transport.QUIC, GONE)
        waits.append(visit.machine.next_try() - visit.now)
        visit.wait(waits[-1])
    assert waits == sorted(waits)
    assert waits[-1] >= BACKOFF_MAX_S / 2
    visit.wait(60.0)
    visit.cut(Transport.QUIC, GONE)
    assert visit.machine.next_try() - visit.now < 1.0


def test_how_it_goes_can_be_asked(visit, bridge):
    bridge.refusals[Put] = [(Refusal.QUOTA, 0)]
    visit.held = []
    visit.carry(visit.machine.put(1, others(bridge), WRITE, b"blob", visit.now))
    visit.now += 0.2
    visit.release()
    health = visit.machine.health
    assert health.round_trip_s == pytest.approx(0.2)
    assert (health.refusal, health.refused_at) == (Refusal.QUOTA, visit.now)
    assert (health.observed, health.reached_at) == (OBSERVED, visit.now)


# --- hostile bridges ---


def test_a_bridge_that_breaks_the_protocol_is_left(visit):
    visit.carry(visit.machine.received(Transport.QUIC, (FRAME_BYTES + 1).to_bytes(4, "big"), visit.now))
    assert visit.told() == [BridgeDown(BridgeUnreachable.code)]
    assert visit.machine.line is None


def test_answers_to_what_was_not_asked_are_nobodys(visit, bridge):
    """Attack: a bridge that answers twice, or before it is asked, settles nothing."""
    visit.say(Fail(77, Refusal.GONE))
    visit.carry(visit.machine.put(1, others(bridge), WRITE, b"blob", visit.now))
    stored = visit.told()
    visit.say(Fail(2, Refusal.GONE))
    visit.say(Deliver(b"q" * 32, ((1, b"unasked"),)))
    visit.say(Told("7Q2MX", b"unasked", gone=False))
    assert stored == [Stored(1)]
    assert visit.told() == []


@given(st.lists(st.binary(max_size=64), max_size=8))
def test_whatever_a_bridge_says_ends_at_most_its_connection(pieces):
    visit = Visit(FakeBridge()).start()
    for piece in pieces:
        visit.carry(visit.machine.received(Transport.QUIC, len(piece).to_bytes(4, "big") + piece, visit.now))
    assert all(isinstance(news, BridgeUp | BridgeDown) for news in visit.told())
