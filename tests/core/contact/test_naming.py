"""How far a name can be trusted, and what is shown beside it (PROTOCOL E5)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from p2p_agents import output
from p2p_agents.core.api import commands, reading
from p2p_agents.core.contact.naming import Names
from p2p_agents.crypto.fingerprint import id_text
from p2p_agents.errors import RequestUnknown
from p2p_agents.store import contacts
from p2p_agents.store.contacts import Request, Trust
from tests.core.contact.test_directory import advert, hears
from tests.core.stage import asks, does

if TYPE_CHECKING:
    from p2p_agents.core.kernel.core import Core


def worth(core: Core, agent: bytes, name: str, petname: str | None = None) -> tuple[bool, str | None]:
    found: dict[str, Any] = does(core, lambda core: Names(core, core.acting("alice")).worth(agent, name, petname))
    return found["pinned"], found["like"]


def accepts(core: Core, name: str) -> bytes:
    """A contact of alice's, accepted under that name."""
    peer = os.urandom(32)

    def item(core: Core) -> None:
        local = core.acting("alice").local.id
        contacts.save_contact(core.db, local, peer, name=name, kind="other", trust=Trust.ACCEPTED, now_ms=1)

    does(core, item)
    return peer


def asks_to_be_let_in(core: Core, name: str) -> bytes:
    peer = os.urandom(32)
    request = Request(peer, name, "other", os.urandom(32), "let me in", 1, "pending")
    does(core, lambda core: contacts.save_request(core.db, core.acting("alice").local.id, request))
    return peer


def test_a_name_by_which_an_id_was_accepted_is_its_own(pair: Core) -> None:
    carol = accepts(pair, "carol")
    assert worth(pair, carol, "carol") == (True, None)
    assert worth(pair, carol, "caroline") == (False, None)  # it calls itself otherwise since


def test_nobody_elses_is(pair: Core) -> None:
    accepts(pair, "carol")
    assert worth(pair, os.urandom(32), "carol") == (False, "carol")
    assert worth(pair, os.urandom(32), "dave") == (False, None)


@pytest.mark.parametrize("name", ["caro1", "CAROL", "car0l", "caroI", "c.a.r-ol"])
def test_a_name_that_looks_like_a_contacts_says_so(pair: Core, name: str) -> None:
    accepts(pair, "carol")
    assert worth(pair, os.urandom(32), name) == (False, "carol")


@pytest.mark.parametrize("name", ["alice", "a1ice", "bob", "b0b"])
def test_a_name_that_looks_like_an_agent_of_ours_says_so(pair: Core, name: str) -> None:
    pinned, like = worth(pair, os.urandom(32), name)
    assert not pinned
    assert like in ("alice", "bob")


def test_a_name_that_looks_like_a_petname_says_so(pair: Core) -> None:
    carol = accepts(pair, "carol")
    does(pair, lambda core: contacts.set_petname(core.db, core.acting("alice").local.id, carol, "boss"))
    assert worth(pair, os.urandom(32), "b0ss") == (False, "boss")
    assert worth(pair, carol, "carol", "boss") == (True, None)


def test_names_are_read_again_when_one_changes(pair: Core) -> None:
    """They are cached between answers until something is accepted, named, forgotten or undone."""
    stranger, agent = os.urandom(32), pair.acting("alice").local.id
    assert worth(pair, stranger, "car0l") == (False, None)
    carol = accepts(pair, "carol")
    assert worth(pair, stranger, "car0l") == (False, "carol")
    does(pair, lambda core: contacts.set_petname(core.db, agent, carol, "boss"))
    assert worth(pair, stranger, "b0ss") == (False, "boss")
    does(pair, lambda core: contacts.set_petname(core.db, agent, carol, None))
    assert worth(pair, stranger, "b0ss") == (False, None)
    does(pair, lambda core: contacts.forget_pins(core.db, carol))
    assert worth(pair, stranger, "car0l") == (False, None)
    with pytest.raises(RequestUnknown):
        does(pair, lambda core: _fails_after_accepting(core, agent, carol))
    assert worth(pair, stranger, "dav1d") == (False, None)


def _fails_after_accepting(core: Core, agent: int, peer: bytes) -> None:
    contacts.save_contact(core.db, agent, peer, name="x", kind="other", trust=Trust.ACCEPTED, now_ms=1)
    contacts.set_petname(core.db, agent, peer, "david")
    assert Names(core, core.acting("alice")).worth(os.urandom(32), "dav1d")["like"] == "david"
    raise RequestUnknown


def test_two_contacts_whose_names_look_alike_are_told_apart(pair: Core) -> None:
    carol, other = accepts(pair, "carol"), accepts(pair, "car0l")
    assert worth(pair, carol, "carol") == (True, "car0l")
    assert worth(pair, other, "car0l") == (True, "carol")


def test_no_name_is_nobodys(pair: Core) -> None:
    assert worth(pair, accepts(pair, ""), "") == (False, None)


def test_our_own_agents_are_who_they_are(pair: Core) -> None:
    bob = next(h.local.agent for h in pair.hosted.values() if h.local.name == "bob")
    assert worth(pair, bob, "bob") == (True, None)


def test_peers_and_requests_carry_it(pair: Core) -> None:
    accepts(pair, "carol")
    impostor = hears(pair, advert("caro1"))
    shown = {it["id"]: it for it in asks(pair, commands.peers)["peers"]}
    assert (shown[id_text(impostor)]["pinned"], shown[id_text(impostor)]["like"]) == (False, "carol")
    asker = asks_to_be_let_in(pair, "b0b")
    (request,) = asks(pair, commands.requests)["requests"]
    assert (request["id"], request["pinned"], request["like"]) == (id_text(asker), False, "bob")


def test_messages_carry_it_from_wherever_they_are_read(pair: Core) -> None:
    """For the second contact accepted under a name, only the id identifies it."""
    accepts(pair, "carol")
    second = accepts(pair, "carol")
    asks(pair, commands.send, to=id_text(second), text="who are you?")
    (line,) = asks(pair, reading.history, to=id_text(second))["messages"]
    assert (line["from"]["pinned"], line["from"]["like"]) == (True, None)
    assert (line["to"]["id"], line["to"]["pinned"], line["to"]["like"]) == (id_text(second), False, "carol")
    assert f"to carol {id_text(second)[:10]} (looks like carol)" in output.message(line)
    shown = asks(pair, reading.show, id=line["id"])
    assert [(it["pinned"], it["like"]) for it in shown["recipients"]] == [(False, "carol")]


def test_a_petname_stands_beside_the_name_and_never_in_its_place(pair: Core) -> None:
    """`name` is always the other's own word, and marked if the name belongs to somebody else here."""
    carol, second = accepts(pair, "carol"), accepts(pair, "carol")
    asks(pair, commands.name_contact, peer=id_text(second), petname="caro")
    sent = asks(pair, commands.send, to="caro", text="hi")["to"]
    assert (sent["name"], sent["petname"], sent["pinned"]) == (f"carol~{id_text(second)[:6]}", "caro", True)
    assert output.called(sent) == "caro"
    first = Names(pair, pair.acting("alice")).of(carol)
    assert (first["name"], first["petname"], first["pinned"]) == ("carol", None, True)
    names = {it["id"]: (it["name"], it["petname"]) for it in asks(pair, commands.peers)["peers"]}
    assert (names[id_text(carol)], names[id_text(second)]) == (("carol", None), ("carol", "caro"))


def test_one_look_at_all_names_serves_a_whole_page(pair: Core) -> None:
    """However many strangers there are to compare."""
    said: list[str] = []
    pair.db._connection.set_trace_callback(said.append)
    for number in range(20):
        hears(pair, advert(f"stranger{number}"))
    asks(pair, commands.peers)
    assert sum("UNION SELECT peer, petname" in statement for statement in said) == 1
