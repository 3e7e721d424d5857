from __future__ import annotations

import builtins
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p_agents.control import light

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(VALUES)
def test_it_writes_and_reads_what_json_does(value: Any) -> None:
    text = light.make_encoder(",", ":")(value)
    assert text == json.dumps(value, separators=(",", ":")).replace("\x7f", "\\u007f")
    assert light.decode_json(text) == value


@given(VALUES)
def test_it_writes_one_line_of_printable_ascii(value: Any) -> None:
    """Whatever a peer wrote: no character that a terminal obeys, or that a reader takes for the end of a line."""
    text = light.make_encoder(", ", ": ")({"text": value})
    assert text.isascii()
    assert text.isprintable()
    assert text.splitlines() == [text]


@given(st.text() | st.text(alphabet='{}[]:," \\u0ae1-.tfn\n', max_size=12))
def test_it_refuses_what_json_refuses(text: str) -> None:
    try:
        expected = json.loads(text, parse_constant=light._refuse)
    except ValueError:
        with pytest.raises(ValueError, match=r"."):
            light.decode_json(text)
    else:
        assert light.decode_json(text) == expected


@pytest.mark.parametrize("text", ["NaN", "[Infinity]", "-Infinity", "1 2", "", " ", "{}x"])
def test_no_json_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        light.decode_json(text)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), {"a": b""}])
def test_what_json_has_no_word_for_is_refused(value: object) -> None:
    with pytest.raises((ValueError, TypeError)):
        light.make_encoder(",", ":")(value)


def test_without_the_c_halves_the_modules_serve(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "_json":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    assert light.make_encoder(", ", ": ")({"a": ["é\x7f", 1]}) == '{"a": ["\\u00e9\\u007f", 1]}'
    decode = light._make_decoder()
    assert decode(' {"a": 1} ') == {"a": 1}
    with pytest.raises(ValueError, match="not JSON"):
        decode("NaN")
