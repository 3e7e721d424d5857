"""Selected fields, and JSON without empty values."""

from __future__ import annotations

import json

import pytest

from p2p_agents import errors
from p2p_agents.cli.face import encode
from p2p_agents.cli.selection import LISTS, Selection
from p2p_agents.control import methods, shape
from tests.control.fake import message

PAGE = {"ok": True, "messages": [message(1, "hi"), message(2, "", reply_to="m1")], "cursor": "c2", "more": False}


def test_only_the_fields_that_are_wanted() -> None:
    chosen = Selection("from.name,text,reply_to").of(PAGE)
    assert chosen["messages"] == [
        {"from": {"name": "bob"}, "text": "hi", "reply_to": None},
        {"from": {"name": "bob"}, "text": "", "reply_to": "m1"},
    ]
    assert (chosen["ok"], chosen["cursor"], chosen["more"]) == (True, "c2", False)


@pytest.mark.parametrize("slip", ["from.nam", "nam", "from.id,from.nme", "from.name.first,frm"])
def test_a_slip_in_any_part_of_a_field_is_said(slip: str) -> None:
    with pytest.raises(errors.Usage, match="no field is called"):
        Selection(slip).of(PAGE)


def test_a_field_that_only_some_have_is_none_of_slips() -> None:
    own = {"from": {"name": "alice", "to": {"id": "b"}}}
    mixed = {"messages": [{"from": None}, own, {"from": {"name": "bob"}}]}
    assert Selection("from.to.id").of(mixed)["messages"][1] == {"from": {"to": {"id": "b"}}}


def test_the_answer_itself_is_left_whole() -> None:
    before = json.dumps(PAGE)
    Selection("from,from.name,id.x.y", compact=True).of(PAGE)
    assert json.dumps(PAGE) == before


def test_one_message_is_chosen_from_like_many() -> None:
    shown = {"ok": True, "message": message(1, "hi", state="read"), "recipients": [{"name": "bob", "why": None}]}
    assert Selection("state").of(shown) == shown | {"message": {"state": "read"}}


def test_compact_leaves_out_what_is_assumed_and_keeps_every_list() -> None:
    assert Selection(compact=True).of(PAGE | {"messages": []}) == {"ok": True, "messages": [], "cursor": "c2"}
    spared = Selection("type,text,reply_to,from.name", compact=True).of(PAGE)["messages"]
    assert spared == [{"text": "hi", "from": {"name": "bob"}}, {"reply_to": "m1", "from": {"name": "bob"}}]


def test_what_compact_leaves_out_can_be_put_back() -> None:
    """Absent means null, false, 0, empty or text/plain; all else is there, unchanged."""
    whole, spared = PAGE["messages"][0], Selection(compact=True).of(PAGE)["messages"][0]
    assert all(value == whole[name] for name, value in spared.items() if name != "from")
    assert spared["from"].items() <= whole["from"].items()
    gone = {name: whole[name] for name in whole.keys() - spared.keys()}
    assert all(not value or value == "text/plain" for value in gone.values())


@pytest.mark.parametrize(("fields", "hint"), [("txt", "did you mean text?"), ("text,frm.name", "did you mean from?")])
def test_a_field_that_is_not_there_is_asked_back(fields: str, hint: str) -> None:
    with pytest.raises(errors.Usage, match="no field is called") as refused:
        Selection(fields).of(PAGE)
    assert refused.value.hint.startswith(hint)
    assert Selection(fields).of(PAGE | {"messages": []})["messages"] == []


@pytest.mark.parametrize("fields", ["", ",", "text,,id", " "])
def test_no_field_is_no_choice(fields: str) -> None:
    with pytest.raises(errors.Usage):
        Selection(fields)


def test_a_short_message_costs_few_bytes() -> None:
    one = PAGE | {"messages": [message(1, "hi")]}
    assert len(encode(Selection("from.name,text", compact=True).of(one), compact=True)) < 90


def test_the_lists_of_the_registry_are_known() -> None:
    results = " ".join(shape.notation(each) for method in methods.METHODS.values() for each in method.shapes)
    assert all(f"{name}: [" in results for name in LISTS)
