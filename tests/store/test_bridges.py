"""The bridges configured on a node."""

from __future__ import annotations

from p2p_agents.store import bridges

ONE, TWO = ("bridge://one.example:4433#a", "bridge://two.example:4433#b")


def test_they_keep_their_order_and_take_new_tokens(db):
    bridges.add(db, ONE, "", 5)
    bridges.add(db, TWO, "two", 6)
    bridges.add(db, ONE, "one", 7)
    assert [(one.address, one.token, one.added_ms) for one in bridges.everything(db)] == [
        (ONE, "one", 5),
        (TWO, "two", 6),
    ]
    bridges.add(db, ONE, None, 8)
    assert bridges.everything(db)[0].token == "one"
    bridges.add(db, ONE, "", 9)
    assert bridges.everything(db)[0].token == ""
    assert bridges.remove(db, ONE)
    assert not bridges.remove(db, ONE)
    assert [one.address for one in bridges.everything(db)] == [TWO]


def test_a_token_is_not_shown(db):
    bridges.add(db, ONE, "secret", 5)
    assert "secret" not in repr(bridges.everything(db))
