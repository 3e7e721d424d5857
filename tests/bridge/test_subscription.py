"""What one reader of a queue still wants, whatever arrives while its blobs are fetched."""

from bridge.subscription import Subscription


def reading() -> Subscription:
    subscription = Subscription(b"queue", 1, 0)
    subscription.opened = True
    return subscription


def test_a_word_of_more_that_comes_during_a_fetch_is_not_lost():
    """Another process wrote after this one had looked and before it heard that there was nothing."""
    subscription = reading()
    subscription.grown()
    for _ in range(3):
        assert subscription.wants
        known, subscription.fetching = subscription.known, True
        subscription.grown()
        subscription.fetched([], known)
    known, subscription.fetching = subscription.known, True
    subscription.fetched([], known)
    assert not subscription.wants


def test_what_could_not_be_read_waits_for_a_word():
    subscription = reading()
    subscription.grown(5)
    subscription.fetching = True
    subscription.fetched(None, subscription.known)
    assert not subscription.wants
    subscription.grown(5)
    assert subscription.wants
