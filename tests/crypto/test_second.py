"""Another implementation, written from the protocol document, and this one understand each other."""

from p2p_agents.crypto import padding
from tests.crypto.ends import End
from tests.crypto.second import Initiator, pad


def test_they_talk_over_many_turns():
    alice, bob = End("alice"), End("bob")
    ends = ([e.party.agent, e.party.device] for e in (alice, bob))
    second = Initiator(alice.key.seed, *ends, bob.offer.public, gen=1)
    bob.accept(second.init, alice)
    for i in range(8):
        bob.wait(400)  # bob's turns do not come as often as theirs
        assert bob.hear(second.seal(b"hello %d" % i)) == b"hello %d" % i
        for words in (b"hello, second", bytes(400 * i)):
            assert second.open(bob.say(words)) == words
    assert bob.session.own_turn >= 3
    assert bob.session.sid == second.sid


def test_they_pad_alike():
    for size in (0, 252, 253, 1_000, 4_092, 4_093, 65_537):
        assert padding.pad(bytes(size)) == pad(bytes(size))
