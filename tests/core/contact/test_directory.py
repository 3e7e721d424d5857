"""Records are rumours, names are not identities: whom a word means."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from p2p_agents.core.api import commands
from p2p_agents.core.contact import directory
from p2p_agents.crypto.fingerprint import id_text, parse_id
from p2p_agents.errors import AgentExists, BadName, NoAgent, PeerAmbiguous, PeerUnknown
from p2p_agents.limits import DISCOVERED_AGENTS
from p2p_agents.store.contacts import Trust
from p2p_agents.wire.advert import Advert
from tests.core.stage import asks, does, hosts

if TYPE_CHECKING:
    from p2p_agents.core.kernel.core import Core

ADDRESS = "192.0.2.7:4433"


def advert(
    name: str = "carol", *, agent: bytes | None = None, node: bytes | None = None, incarnation: int = 1
) -> Advert:
    return Advert(agent or os.urandom(32), name, "human", "online", node or os.urandom(32), incarnation, 4433)


def hears(core: Core, heard: Advert, source: str = "mdns") -> bytes:
    """A record is received; returns the agent that it names."""
    does(core, lambda core: directory.found(core, source, heard, [ADDRESS]))
    return heard.agent


def forgets(core: Core, heard: Advert, source: str = "mdns") -> None:
    does(core, lambda core: directory.lost(core, source, heard.agent, heard.incarnation))


def means(core: Core, word: str) -> bytes:
    """The agent that alice's word means."""
    known: directory.Known = does(core, lambda core: directory.resolve(core, core.acting("alice"), word))
    return known.agent


def listed(core: Core) -> list[str]:
    return [peer["name"] for peer in asks(core, commands.peers)["peers"]]


def test_a_record_is_listed_until_it_is_withdrawn(pair: Core) -> None:
    record = advert()
    hears(pair, record)
    assert listed(pair) == ["bob", "carol"]
    forgets(pair, record)
    assert listed(pair) == ["bob"]


def test_a_record_told_twice_is_withdrawn_twice(pair: Core) -> None:
    record = advert()
    for source in ("mdns", "hints"):
        hears(pair, record, source)
    forgets(pair, record, "mdns")
    assert listed(pair) == ["bob", "carol"]
    forgets(pair, record, "hints")
    assert listed(pair) == ["bob"]


def test_the_goodbye_of_an_earlier_life_changes_nothing(pair: Core) -> None:
    node, agent = os.urandom(32), os.urandom(32)
    early = advert(agent=agent, node=node, incarnation=1)
    hears(pair, early)
    hears(pair, advert(agent=agent, node=node, incarnation=2))
    forgets(pair, early)
    assert listed(pair) == ["bob", "carol"]


def test_ones_own_record_is_no_peer(pair: Core) -> None:
    hears(pair, advert(node=pair.node))
    assert listed(pair) == ["bob"]


def test_invented_records_are_bounded(pair: Core) -> None:
    """Anyone on the LAN may invent some: the oldest go first."""

    def invent(core: Core) -> None:
        for number in range(DISCOVERED_AGENTS + 10):
            directory.found(core, "mdns", advert(f"a{number}"), [ADDRESS])

    does(pair, invent)
    assert len(pair.sightings) == DISCOVERED_AGENTS
    assert listed(pair)[-1] == f"a{DISCOVERED_AGENTS + 9}"


def test_invented_records_push_out_no_contact(pair: Core) -> None:
    carol = advert()
    hears(pair, carol)
    asks(pair, commands.send, to="carol", text="hi")

    def invent(core: Core) -> None:
        for number in range(2 * DISCOVERED_AGENTS):
            directory.found(core, "mdns", advert(f"a{number}"), [ADDRESS])

    does(pair, invent)
    assert len(pair.sightings) == DISCOVERED_AGENTS
    assert carol.agent in pair.sightings


def test_a_word_is_a_name_in_any_case_or_the_beginning_of_an_id(pair: Core) -> None:
    agent = hears(pair, advert())
    for word in ("carol", "CAROL", id_text(agent), id_text(agent)[:12], id_text(agent)[:12].upper()):
        assert means(pair, word) == agent


@pytest.mark.parametrize("word", ["", " ", "dave", "car", "../carol", "\x00", "a" * 128, "1" * 52, "carol\n"])
def test_a_word_that_means_nobody(pair: Core, word: str) -> None:
    hears(pair, advert())
    with pytest.raises(PeerUnknown):
        means(pair, word)


def test_one_name_for_two_means_neither(pair: Core) -> None:
    agents = {hears(pair, advert()) for _ in range(2)}
    with pytest.raises(PeerAmbiguous) as ambiguous:
        means(pair, "carol")
    assert {it["id"] for it in ambiguous.value.details["candidates"]} == {id_text(agent) for agent in agents}


def test_a_name_stays_with_the_first_that_used_it(pair: Core) -> None:
    """E5: somebody who announces a contact's name later does not get its messages."""
    first = hears(pair, advert())
    asks(pair, commands.send, to="carol", text="hi")
    hears(pair, advert())
    assert means(pair, "carol") == first


def test_nobody_on_the_network_is_called_like_an_agent_of_ours(pair: Core) -> None:
    impostor = hears(pair, advert("bob"))
    assert means(pair, "bob") != impostor


def test_nobody_is_called_what_a_contacts_id_begins_with(pair: Core) -> None:
    """E5: somebody who announced the short id shown for a contact got what was sent to that id."""
    contact = hears(pair, advert(agent=parse_id("abcdefghij" + "a" * 42)))
    asks(pair, commands.send, to="carol", text="hi")
    for name in ("abcdefghij", "ABCDEFGHIJ", "abcdefghijaa"):
        hears(pair, advert(name))
        assert means(pair, name) == contact


def test_a_contacts_name_is_no_strangers_id(pair: Core) -> None:
    """E5: an id that begins with six chosen letters is found in hours."""
    contact = hears(pair, advert("backup"))
    asks(pair, commands.send, to="backup", text="hi")
    hears(pair, advert("mallory", agent=parse_id("backup" + "a" * 46)))
    assert means(pair, "backup") == contact


def test_a_contact_called_what_anothers_id_begins_with_is_asked_back(pair: Core) -> None:
    """E5: neither is written to."""
    one = parse_id("abcdefghij" + "a" * 42)
    hears(pair, advert("carol", agent=one))
    mallory = hears(pair, advert("abcdefghij"))
    with pytest.raises(PeerAmbiguous):
        means(pair, "abcdefghij")
    for agent in (mallory, one):
        asks(pair, commands.send, to=id_text(agent), text="hi")
    with pytest.raises(PeerAmbiguous):
        means(pair, "abcdefghij")
    assert means(pair, "abcdefghija") == one


def test_a_petname_comes_before_any_name(pair: Core) -> None:
    first = hears(pair, advert("dave"))
    asks(pair, commands.send, to="dave", text="hi")
    asks(pair, commands.name_contact, peer="dave", petname="carol")
    hears(pair, advert("carol"))
    assert means(pair, "carol") == first


@pytest.mark.parametrize("petname", ["../x", "9lives", "a b", "x" * 33, "é"])
def test_a_petname_is_a_name(pair: Core, petname: str) -> None:
    hears(pair, advert())
    asks(pair, commands.send, to="carol", text="hi")
    with pytest.raises(BadName):
        asks(pair, commands.name_contact, peer="carol", petname=petname)


def test_a_petname_does_not_read_like_an_id(pair: Core) -> None:
    """E5."""
    agent = hears(pair, advert())
    asks(pair, commands.send, to="carol", text="hi")
    first_letter = next(n for n, letter in enumerate(id_text(agent)) if letter.isalpha())
    likeness = id_text(agent)[first_letter : first_letter + 20]
    with pytest.raises(BadName):
        asks(pair, commands.name_contact, peer="carol", petname=likeness)


def test_two_contacts_never_share_a_petname(pair: Core) -> None:
    for name in ("carol", "dave"):
        hears(pair, advert(name))
        asks(pair, commands.send, to=name, text="hi")
    asks(pair, commands.name_contact, peer="carol", petname="boss")
    with pytest.raises(BadName):
        asks(pair, commands.name_contact, peer="dave", petname="BOSS")
    asks(pair, commands.name_contact, peer="carol", petname="")
    asks(pair, commands.name_contact, peer="dave", petname="boss")
    assert [it["petname"] for it in asks(pair, commands.contacts)["contacts"]] == [None, "boss"]


def test_writing_to_somebody_makes_a_contact(pair: Core) -> None:
    agent = hears(pair, advert())
    asks(pair, commands.send, to="carol", text="hi")
    known: directory.Known = does(pair, lambda core: directory.resolve(core, core.acting("alice"), "carol"))
    assert (known.agent, known.trust) == (agent, Trust.ACCEPTED)


def test_an_agent_that_exists_is_named_as_it_is(pair: Core) -> None:
    with pytest.raises(AgentExists, match=r"'alice' lives here already: kind other, not hidden$") as told:
        hosts(pair, "Alice", kind="human", hidden=True)
    assert told.value.hint.endswith("--as alice")


def test_an_agent_made_twice_alike_is_one(pair: Core) -> None:
    wanted = {"name": "alice", "kind": "other", "policy": "ask", "hidden": False}
    again = asks(pair, commands.init, **wanted)
    assert (again["agent"]["name"], again["created"]) == ("alice", False)
    assert len(pair.hosted) == 2
    assert asks(pair, commands.init, **wanted | {"name": "dora"})["created"] is True


def test_a_slip_in_a_name_is_asked_back_and_no_stranger_earns_by_it(pair: Core) -> None:
    """An attack: an agent with almost a contact's name must not be suggested when somebody mistypes the contact."""
    hears(pair, advert("bobb"))
    with pytest.raises(PeerUnknown) as refused:
        asks(pair, commands.send, agent="alice", to="bbob", text="hi")
    assert refused.value.hint == "did you mean bob? run: p2p-agents peers"
    with pytest.raises(NoAgent) as unknown:
        asks(pair, commands.whoami, agent="alcie")
    assert unknown.value.hint == "did you mean alice? run: p2p-agents agents"
