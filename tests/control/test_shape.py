from __future__ import annotations

from typing import Annotated, NotRequired, TypedDict

import pytest

from p2p_agents.control import methods, shape
from p2p_agents.control.methods import METHODS
from p2p_agents.results.messages import Message
from tests.shapes import check, faults, make

Inner = TypedDict("Inner", {"from": Annotated[str, "who"]})


class Outer(TypedDict):
    """Holds others."""

    inner: Inner
    many: list[Inner]
    side: Annotated[str, ("in", "out")]
    count: Annotated[int | None, "how many"]
    late: NotRequired[Annotated[bool, "true where it is"]]


def test_a_shape_is_drawn_as_a_json_schema() -> None:
    defs: dict[str, object] = {}
    assert shape.schema(Outer, defs) == {"$ref": "#/$defs/Outer"}
    assert defs["Outer"] == {
        "type": "object",
        "properties": {
            "inner": {"$ref": "#/$defs/Inner"},
            "many": {"type": "array", "items": {"$ref": "#/$defs/Inner"}},
            "side": {"enum": ["in", "out"]},
            "count": {"anyOf": [{"type": "integer"}, {"type": "null"}], "description": "how many"},
            "late": {"type": "boolean", "description": "true where it is"},
        },
        "required": ["inner", "many", "side", "count"],
        "additionalProperties": False,
    }


def test_a_shape_is_read_in_short() -> None:
    assert shape.notation(Outer) == "{inner: Inner, many: [Inner], side, count, late?}"
    assert [shape.choices(field.kind) for field in shape.fields(Outer)] == ["", "", "in, out", "", ""]
    assert shape.type_name(int | None) == "integer or null"
    assert shape.shapes_in(Outer) == [Outer, Inner, Inner]


def test_no_two_shapes_share_a_name() -> None:
    """The schemas refer to each by its name."""
    held = {each for method in METHODS.values() for top in method.shapes for each in shape.shapes_in(top)}
    names = [shape.name_of(each) for each in held]
    assert sorted(names) == sorted(set(names))


def test_every_answer_is_declared_by_a_shape() -> None:
    api = methods.api()
    assert api["methods"].keys() == METHODS.keys()
    for name, method in METHODS.items():
        told = api["methods"][name]
        assert ("events" if method.streams else "result") in told
        assert isinstance(method.result, tuple) == method.streams
    assert api["$defs"]["Message"]["properties"]["from"] == {"$ref": "#/$defs/Party"}
    assert "reads_only" in api["methods"]["inbox"]["result"]["properties"]
    assert "reads_only" not in api["methods"]["send"]["result"]["properties"]


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"from": "bob"}, ".from: 'bob' is no object"),
        ({"text": 7}, ".text: 7 is no "),
        ({"state": "gone"}, ".state: 'gone' is none of "),
        ({"surprise": 1}, ".surprise is not declared"),
    ],
)
def test_what_is_not_as_declared_is_found(change: dict[str, object], wrong: str) -> None:
    right = make(Message)
    assert right["from"]["name"] == ""
    check("show", {"message": right, "recipients": []})
    with pytest.raises(AssertionError, match=wrong):
        check("show", {"message": right | change, "recipients": []})
    with pytest.raises(AssertionError, match="recipients is missing"):
        check("show", {"message": right})
    with pytest.raises(AssertionError, match="is no integer"):
        check("ack", {"acked": True, "cursor": "0"})
    with pytest.raises(AssertionError, match="Message"):
        make(Message, **change)
    assert faults({"anyOf": [{"type": "string"}, {"type": "null"}]}, None, "") == []
