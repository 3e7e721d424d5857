"""Token buckets: a burst, then a pace, then a burst again after a rest."""

from __future__ import annotations

import pytest

from bridge import bounds
from bridge.bounds import Pace, Quotas
from bridge.rates import Bucket, Networks, Paces, Purse

SLOW = Quotas(requests=Pace(10, 20), traffic=Pace(1_000, 2_000), meets=Pace(1, 2))


def test_a_burst_then_a_pace():
    bucket = Bucket(Pace(10, 3), 0.0)
    for _ in range(3):
        assert bucket.wait(1, 0.0) == 0.0
        bucket.spend(1)
    assert bucket.wait(1, 0.0) == pytest.approx(0.1)
    assert bucket.wait(1, 0.1) == pytest.approx(0.0)


def test_a_rest_fills_it_and_no_more():
    bucket = Bucket(Pace(10, 3), 0.0)
    bucket.spend(3)
    assert bucket.wait(3, 100.0) == 0.0
    bucket.spend(3)
    assert bucket.wait(1, 100.0) > 0.0


def test_what_is_larger_than_the_bucket_passes_when_it_is_full_and_leaves_a_debt():
    bucket = Bucket(Pace(10, 3), 0.0)
    assert bucket.wait(13, 0.0) == 0.0
    bucket.spend(13)
    assert bucket.wait(1, 0.0) == pytest.approx(1.1)


def test_a_clock_that_goes_back_gives_nothing():
    bucket = Bucket(Pace(10, 3), 5.0)
    bucket.spend(3)
    assert bucket.wait(1, 1.0) == pytest.approx(0.1)


def test_nothing_is_spent_on_what_must_wait():
    paces = Paces(Purse(SLOW, 0.0), None, 0.0)
    assert paces.request(2_000, 0.0) == 0
    assert paces.request(1_000, 0.0) == 1_000
    assert paces.request(0, 0.0) == 0


def test_connections_of_one_network_share_its_purse():
    networks = Networks(SLOW)
    many = [Paces(Purse(SLOW, 0.0), networks.purse("192.0.2.1", 0.0), 0.0) for _ in range(10)]
    passed = sum(paces.request(0, 0.0) == 0 for paces in many for _ in range(20))
    assert passed == 20 * SLOW.per_network + 6 * bounds.LEAST_AT_ONCE
    assert Paces(Purse(SLOW, 0.0), networks.purse("192.0.2.2", 0.0), 0.0).request(0, 0.0) == 0


def neighbours(quotas):
    """Connections of one network: somebody's, and enough of others to empty its purse."""
    shared = Networks(quotas).purse("192.0.2.1", 0.0)
    return Paces(Purse(quotas, 0.0), shared, 0.0), [
        Paces(Purse(quotas, 0.0), shared, 0.0) for _ in range(quotas.per_network + 1)
    ]


def test_who_empties_its_networks_purse_ends_no_connection_of_a_neighbour():
    """A neighbour's next refusal, or its next frame, was taken for a flood of its own, and ended it."""
    honest, flood = neighbours(Quotas(refusals=Pace(256, 4_096), requests=Pace(2_000, 8_000)))
    for one in flood:
        while one.refusal(0.0):
            pass
        while one.frame(0.0):
            pass
    assert all(honest.refusal(0.0) and honest.frame(0.0) for _ in range(100))


def test_who_empties_its_networks_purse_leaves_a_neighbour_a_pace():
    """Requests of everybody behind one address waited for as long as somebody there asked fast enough."""
    honest, flood = neighbours(SLOW)
    passed = 0
    for second in range(60):
        for one in flood:
            while one.request(10, second) == 0:
                pass
        passed += honest.request(10, second) == 0
    assert passed == 60
    assert honest.request(0, 59.0, meet=True) > 0


def test_what_others_were_sent_in_vain_is_made_good_soon():
    """A client that requested blobs and hung up, again and again, shut its network out for hours after it had
    stopped."""
    honest, flood = neighbours(SLOW)
    for _ in range(1_000):
        flood[0].owe(4_000_000)
    rest = 2 * SLOW.traffic.burst / SLOW.traffic.per_s
    assert honest.request(2_000, rest) == 0
    assert honest.request(2_000, rest + 2.0) == 0


def test_networks_are_remembered_within_a_bound(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(bounds, "NETWORKS", 100)
    networks = Networks(SLOW)
    for number in range(1_000):
        networks.purse(f"10.0.{number // 256}.{number % 256}", 0.0)
    assert len(networks) == 100


@pytest.mark.parametrize("wrong", [{"queue_blobs": 0}, {"queue_bytes": 10}, {"work_bits": 29}, {"blob_bytes": 1}])
def test_quotas_out_of_bounds(wrong: dict[str, int]):
    with pytest.raises(ValueError, match=r"is|holds|has"):
        Quotas(**wrong)
    with pytest.raises(ValueError, match="positive"):
        Pace(0, 1)
