"""What open accounts may hold: of one network, and all together. The stores' contract tests that it is enforced."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge import bounds
from bridge.bounds import Quotas
from bridge.shares import Shares
from bridge.store import Refused
from p2p_agents.wire.relay_answers import Refusal

QUOTAS = Quotas(network_bytes=1_000, open_bytes=4_000)
LATER = bounds.SETTLED_MS


def refused(shares: Shares, origin: bytes, size: int, now_ms: int = LATER) -> Refusal | None:
    try:
        shares.demand_bytes(origin, size, now_ms)
    except Refused as found:
        return found.refusal
    shares.change(origin, now_ms, size=size)
    return None


def test_what_one_network_holds_is_bounded():
    shares = Shares(QUOTAS)
    assert [refused(shares, b"a", 400) for _ in range(3)] == [None, None, Refusal.ACCOUNT]
    assert refused(shares, b"b", 400) is None
    shares.change(b"a", LATER, size=-400)
    assert refused(shares, b"a", 400) is None


def test_a_network_that_holds_nothing_is_forgotten():
    shares = Shares(QUOTAS)
    shares.change(b"a", 0, accounts=1, queues=2, size=3)
    shares.change(b"a", 0, accounts=-1, queues=-2, size=-3)
    assert len(shares) == 0
    assert (shares.all.accounts, shares.all.queues, shares.all.bytes) == (0, 0, 0)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 300)), max_size=200))
def test_however_others_fill_it_a_settled_network_has_its_share(puts: list[tuple[int, int]]):
    shares = Shares(QUOTAS)
    shares.count([(b"honest", 1, 0, 0), *((b"%d" % n, 1, 0, 0) for n in range(10))])
    for number, size in puts:
        refused(shares, b"%d" % number, size)
    assert shares.all.bytes <= QUOTAS.open_bytes
    assert refused(shares, b"honest", 4_000 // 4 // 11) is None


def test_a_network_new_to_a_full_bridge_has_no_share():
    shares = Shares(QUOTAS)
    shares.count([(b"%d" % n, 1, 750, 0) for n in range(4)])
    shares.change(b"new", LATER, accounts=1)
    assert refused(shares, b"new", 1) is Refusal.FULL
    assert refused(shares, b"new", 1, 3 * LATER) is None


@pytest.mark.parametrize("what", ["accounts", "queues"])
def test_newcomers_are_refused_while_the_rest_is_for_those_who_are_here(what: str):
    shares = Shares(Quotas(open_accounts=8, open_queues=8))
    for number in range(3):
        shares.change(b"%d" % number, 0, **{what: 1})
    shares.demand_account(b"new", worked=False)
    shares.change(b"3", 0, **{what: 1})
    with pytest.raises(Refused, match="more_work"):
        shares.demand_account(b"new", worked=False)
    shares.demand_account(b"new", worked=True)
    shares.change(b"4", 0, **{what: 2})
    with pytest.raises(Refused, match="bridge_full"):
        shares.demand_account(b"new", worked=True)
