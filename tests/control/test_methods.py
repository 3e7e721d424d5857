from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import p2p_agents
from p2p_agents import errors, limits
from p2p_agents.control.client import PROTOCOL
from p2p_agents.control.methods import METHODS, Method, Param, Served, check_body, schema, validate
from p2p_agents.core.api import commands


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


# --- the one registry ---------------------------------------------------------------------------------------

PACKAGE = Path(p2p_agents.__file__).parent
FACES = PACKAGE / "cli"  # they name commands, of which some are called as a method is
STORE = PACKAGE / "store"  # it names tables, two of which are called as methods are


def test_waiting_is_a_matter_of_the_timeout_alone() -> None:
    """A method with a timeout waits that long, a `send` only if it should wait: no list repeats this."""
    waiting = {name for name, method in METHODS.items() if method.waits({"timeout": 45, "wait": "read"})}
    assert waiting == {name for name, method in METHODS.items() if "timeout" in {param.name for param in method.params}}
    assert METHODS["pair.link"].waits({"timeout": 45}) == 45
    assert METHODS["pair.link"].waits({}) == limits.WAIT_DEFAULT_S
    assert METHODS["send"].waits({"timeout": 45}) == 0


def test_a_send_may_be_repeated_under_its_key_alone() -> None:
    assert METHODS["send"].may_repeat({"id": "k"})
    assert not METHODS["send"].may_repeat({"to": "bob"})
    assert METHODS["inbox"].may_repeat({})
    assert not METHODS["pair.link"].may_repeat({"code": "x"})


def test_the_core_answers_what_the_registry_says_it_does() -> None:
    """Beside the methods that it serves, those that only read: the writer may be unable to."""
    core = {name for name, method in METHODS.items() if method.served is Served.CORE}
    reads = {name for name, method in METHODS.items() if method.reads and method.served is not Served.NODE}
    assert set(commands.HANDLERS) == core | reads


def tables(path: Path) -> list[list[str]]:
    """The names of methods that one collection, one comparison or one `match` of a file holds as facts.

    A table from names to functions is how they are served, not a fact beside the registry.
    """
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Set(elts=held) | ast.Tuple(elts=held) | ast.List(elts=held):
                holds = held
            case ast.Dict(keys=keys, values=values) if all(isinstance(value, ast.Constant) for value in values):
                holds = [key for key in keys if key is not None]
            case ast.Compare(left=ast.Name(id="method") | ast.Attribute(attr="name"), comparators=compared):
                holds = [compared[0], compared[0]]
            case ast.Call(func=ast.Attribute(value=ast.Name(id="method"), attr="startswith"), args=args):
                holds = [
                    ast.Constant(name)
                    for name in METHODS
                    for arg in args
                    if name.startswith(str(ast.literal_eval(arg)))
                ]
            case ast.Match(subject=ast.Name(id="method"), cases=cases):
                holds = [case.pattern.value for case in cases if isinstance(case.pattern, ast.MatchValue)]
            case _:
                continue
        names = [each.value for each in holds if isinstance(each, ast.Constant) and each.value in METHODS]
        if len(names) > 1:
            found.append(names)
    return found


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_file_beside_the_registry_lists_methods(path: Path) -> None:
    """A fact about a method is a field of it: a list of names beside the registry is forgotten when a method is
    added."""
    if not {FACES, STORE} & set(path.parents) and path.name != "output.py":
        assert tables(path) == []


def test_a_list_of_methods_would_be_found(tmp_path: Path) -> None:
    listed = tmp_path / "listed.py"
    for text in (
        'ONCE = frozenset({"pair.start", "pair.join"})',
        'if method == "wait": pass',
        'if method.startswith("backup."): pass',
        'match method:\n    case "inbox": pass\n    case "ack": pass',
        'WAITS = {"wait": 60.0, "ping": 5.0}',
    ):
        listed.write_text(text)
        assert tables(listed), text
    listed.write_text('HANDLERS = {"inbox": unread, "ack": acknowledge}')
    assert tables(listed) == []
