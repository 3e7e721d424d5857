from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p_agents import errors, limits
from p2p_agents.control.client import PROTOCOL
from p2p_agents.control.methods import METHODS, Method, Param, check_body, schema, validate


def test_defaults_are_filled_in() -> None:
    assert validate("wait", {"from": "bob"}) == {
        "agent": None,
        "from": "bob",
        "after": None,
        "reader": "default",
        "new_reader": False,
        "timeout": 60.0,
        "limit": 50,
        "requests": False,
    }


def test_null_is_the_same_as_absent() -> None:
    assert validate("inbox", {"limit": None}) == validate("inbox", {})


def test_a_number_of_seconds_may_be_written_whole() -> None:
    timeout = validate("ping", {"to": "bob", "timeout": 2})["timeout"]
    assert timeout == 2.0
    assert type(timeout) is float


@pytest.mark.parametrize(
    ("method", "params", "says"),
    [
        ("send", {"text": "hi"}, "'to' is missing"),
        ("send", {"to": 7, "text": "hi"}, "'to' must be a string"),
        ("send", {"to": "bob", "text": "hi", "type": "image/png"}, "'type' must be one of text/plain, "),
        ("send", {"to": "bob", "text": "hi", "id": "k" * 129}, "'id' has 129 characters; at most 128"),
        ("send", {"to": "b\ud800b", "text": "hi"}, "'to' is not valid Unicode"),
        ("send", {"to": "bob", "text": "\udcff"}, "'text' is not valid Unicode"),
        ("send", {"to": "bob", "text": "hi", "colour": 1}, "'colour' is not a parameter"),
        ("inbox", {"limit": 0}, "'limit' must be from 1 to 1000"),
        ("inbox", {"limit": 10**400}, "'limit' must be from 1 to 1000"),
        ("inbox", {"limit": True}, "'limit' must be a whole number"),
        ("inbox", {"limit": 1.0}, "'limit' must be a whole number"),
        ("wait", {"timeout": float("nan")}, "'timeout' must be from 0"),
        ("wait", {"timeout": float("inf")}, "'timeout' must be from 0"),
        ("wait", {"timeout": -1}, "'timeout' must be from 0"),
        ("init", {"name": "a", "hidden": "yes"}, "'hidden' must be true or false"),
        ("agents", [], "params must be an object"),
    ],
)
def test_a_bad_parameter_is_named_with_its_bound(method: str, params: object, says: str) -> None:
    with pytest.raises(errors.BadParams) as caught:
        validate(method, params)
    assert says in caught.value.message


def test_an_unknown_method_is_told_and_not_echoed_at_length() -> None:
    with pytest.raises(errors.UnknownMethod) as caught:
        validate("x" * 10_000, {})
    assert len(caught.value.message) < 100
    with pytest.raises(errors.UnknownMethod):
        validate(["send"], {})  # type: ignore[arg-type]  # what a hostile client may send


def test_the_largest_body_fits_and_one_byte_more_does_not() -> None:
    validate("send", {"to": "bob", "text": "é" * (limits.BODY_BYTES // 2)})
    with pytest.raises(errors.TooLarge):
        validate("send", {"to": "bob", "text": "é" * (limits.BODY_BYTES // 2) + "x"})


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "NaN-ish"])
def test_a_json_body_must_parse(text: str) -> None:
    check_body({"text": '{"a": 1}', "type": "application/json"})
    with pytest.raises(errors.BadBody):
        check_body({"text": text, "type": "application/json"})


VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.none(), max_size=2)


@given(st.sampled_from(sorted(METHODS)), st.dictionaries(st.sampled_from(["to", "text", "limit", "id"]), VALUES))
def test_any_parameters_give_a_complete_set_or_a_local_fault(method: str, params: dict[str, object]) -> None:
    try:
        checked = validate(method, params)
    except errors.LocalFault:
        return
    assert list(checked) == [param.name for param in METHODS[method].params]


def test_every_method_is_described() -> None:
    for name, method in METHODS.items():
        assert name == method.name
        assert method.help.endswith(".")
        assert "\n" not in method.help
        assert method.result
        assert all(param.help for param in method.params)
        assert all(kind in errors.all_errors() for kind in method.errors)
        names = [param.name for param in method.params]
        assert len(names) == len(set(names))


def test_every_method_has_a_json_schema() -> None:
    shape = schema(METHODS["send"])
    assert shape["required"] == ["to", "text"]
    assert shape["properties"]["type"]["enum"] == ["text/plain", "text/markdown", "application/json"]
    assert shape["properties"]["timeout"]["default"] == 30.0
    assert json.dumps([schema(method) for method in METHODS.values()])


def test_a_parameter_cannot_be_described_wrongly() -> None:
    with pytest.raises(ValueError, match="when"):
        Param("when", bytes, "a type the API does not have")
    with pytest.raises(ValueError, match="who"):
        Param("who", str, "required, so its default is never used", required=True, default="bob")


def test_client_and_registry_name_one_protocol() -> None:
    from p2p_agents.control.methods import PROTOCOL as REGISTERED

    assert PROTOCOL == REGISTERED
    assert isinstance(METHODS["watch"], Method)
    assert METHODS["watch"].streams
