"""The structures of docs/protocol.md as checks: what is sent must be laid out as the page says.

The subset of CDDL (RFC 8610) that the page uses: arrays, groups, choices, ranges, occurrences, labels, `.size`,
`.cbor`, `.regexp`, and `Sign(key, structure, label)` for a COSE_Sign1. A name means what the nearest section defines.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from p2p_agents.errors import Malformed
from p2p_agents.wire.cbor import decode

PAGE = Path(__file__).parent.parent / "docs" / "protocol.md"
Check = Callable[[Any], bool]
_TOKEN = re.compile(
    r"""\s+|h'[0-9a-f]*'|"[^"]*"|\d+\.\.\d+|\d*\*\d*|=>|\d+|\.[a-z]+|[\[\](){},/:?=]|"""
    r"""[A-Za-z][\w'-]*(?:\ [A-Za-z][\w'-]*)*"""
)
_RULE = re.compile(r"^([A-Za-z][\w'-]*) *= ", re.M)
_HEADING = re.compile(r"^#{2,3} (\d[\d.]*) ", re.M)
_PRIMITIVES: dict[str, Check] = {
    "any": lambda _: True,
    "null": lambda value: value is None,
    "bool": lambda value: isinstance(value, bool),
    "bytes": lambda value: isinstance(value, bytes),
    "text": lambda value: isinstance(value, str),
}


class Group(list[tuple[int, int, Any]]):
    """Entries of an array: at least, at most, and a check, or another group that stands in its place."""


class Signed:
    """A COSE_Sign1 over a structure, under a label."""

    def __init__(self, payload: Check, label: str) -> None:
        self.payload, self.label = payload, label

    def __call__(self, value: Any) -> bool:
        protected, unprotected, payload, signature = decode(value)
        head = (protected, unprotected, len(signature)) == (bytes.fromhex("a10127"), {}, 64)
        return head and self.payload(decode(payload))


class Rules:
    """What the names of the page mean."""

    def __init__(self, page: str) -> None:
        self._texts: dict[tuple[str, str], str] = {}
        self._made: dict[tuple[str, str], Any] = {}
        parts = _HEADING.split(page)
        for section, text in zip(["", *parts[1::2]], parts[0::2], strict=True):
            for block in re.findall(r"```cddl\n(.*?)```", text, re.S):
                self._read(section, re.sub(r";.*", "", block))

    def _read(self, section: str, block: str) -> None:
        found = [match for match in _RULE.finditer(block) if "Seal(" not in block[match.end() :].split("\n", 1)[0]]
        ends = [match.start() for match in found[1:]] + [len(block)]
        for match, end in zip(found, ends, strict=True):
            assert (section, match[1]) not in self._texts, f"{match[1]} is defined twice in {section}"
            self._texts[section, match[1]] = block[match.end() : end].split("\npayload of ")[0].split("\nsealed of ")[0]

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._texts)

    def get(self, section: str, name: str) -> Any:
        """A Check, or a Group. Raises KeyError for a name that the page does not define."""
        places = [at for at in self._texts if at[1] == name]
        place = next((at for at in places if at[0] == section), None)
        if place is None:
            if len(places) != 1:
                raise KeyError(f"{name}, as section {section} names it, is defined {len(places)} times")
            place = places[0]
        if place not in self._made:
            self._made[place] = _Parser(self, place[0], self._texts[place]).rule()
        return self._made[place]

    def by_number(self, section: str, place: int) -> dict[int, Check]:
        """A section's arrays by the number that stands at a place in each."""
        head = re.compile(r"\[\s*" + r"\d+,\s*" * place + r"(\d+),")
        found = {name: head.match(text) for (where, name), text in self._texts.items() if where == section}
        return {int(match[1]): self.get(section, name) for name, match in found.items() if match}


class _Parser:
    """One rule. `section` is where its names are looked up first."""

    def __init__(self, rules: Rules, section: str, text: str) -> None:
        self._rules, self._section = rules, section
        self._tokens = [token for token in _TOKEN.findall(text) if token.strip()]
        assert "".join(self._tokens).replace(" ", "") == re.sub(r"\s", "", text), text
        self._at = 0

    def rule(self) -> Any:
        found = self._choice()
        assert self._at == len(self._tokens), self._tokens[self._at :]
        return found

    def _peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _take(self, wanted: str = "") -> str:
        token = self._peek()
        assert not wanted or token == wanted, (wanted, self._tokens[self._at :])
        self._at += 1
        return token

    def _choice(self) -> Any:
        options = [self._controlled()]
        while self._peek() == "/":
            self._take()
            options.append(self._controlled())
        return options[0] if len(options) == 1 else lambda value: any(_holds(option, value) for option in options)

    def _controlled(self) -> Any:
        found = self._plain()
        while self._peek().startswith("."):
            found = self._control(self._take(), found)
        return found

    def _control(self, operator: str, base: Check) -> Check:
        if operator == ".regexp":
            pattern = re.compile(self._take()[1:-1])
            return lambda value: base(value) and pattern.fullmatch(value) is not None
        argument = self._controlled()
        if operator == ".cbor":
            return lambda value: base(value) and argument(decode(value))
        assert operator == ".size"
        size = argument[0][2] if isinstance(argument, Group) else argument
        return lambda value: base(value) and size(len(value))

    def _plain(self) -> Any:
        token = self._take()
        if token == "[":
            entries = self._group("]")
            return lambda value: isinstance(value, list | tuple) and _fits(entries, list(value))
        if token == "(":
            return self._group(")")
        if token == "{":
            return self._map()
        if token == "Sign":
            return self._sign()
        if token.startswith('"'):
            return lambda value: value == token[1:-1]
        if token.startswith("h'"):
            return lambda value: value == bytes.fromhex(token[2:-1])
        if token[0].isdigit():
            low, _, high = token.partition("..")
            return lambda value: type(value) is int and int(low) <= value <= int(high or low)
        return _PRIMITIVES.get(token) or self._name(token)

    def _name(self, name: str) -> Any:
        return self._rules.get(self._section, name)

    def _group(self, end: str) -> Group:
        entries = Group()
        while self._peek() != end:
            low, high = self._occurrence()
            if self._tokens[self._at + 1] == ":":
                self._at += 2  # a label
            entries.append((low, high, self._choice()))
            if self._peek() == ",":
                self._take()
        self._take(end)
        return entries

    def _occurrence(self) -> tuple[int, int]:
        if self._peek() == "?":
            self._take()
            return 0, 1
        if "*" not in self._peek():
            return 1, 1
        low, _, high = self._take().partition("*")
        return int(low or 0), int(high or 10**9)

    def _map(self) -> Check:
        """The first entry whose key fits says what the value must be; one with a name is a text of that name."""
        entries: list[tuple[int, Check, Check]] = []
        while self._peek() != "}":
            least, _ = self._occurrence()
            named = self._tokens[self._at + 1] == ":"
            key = _is(self._take()) if named else self._controlled()
            self._take(":" if named else "=>")
            entries.append((least, key, self._choice()))
            if self._peek() == ",":
                self._take()
        self._take("}")
        return lambda value: isinstance(value, dict) and _maps(entries, value)

    def _sign(self) -> Signed:
        self._take("(")
        self._take()  # whose
        self._take(",")
        payload = self._choice()
        self._take(",")
        label = self._take()[1:-1]
        self._take(")")
        return Signed(payload, label)


def _is(name: str) -> Check:
    return lambda value: value == name


def _maps(entries: list[tuple[int, Check, Check]], value: dict[Any, Any]) -> bool:
    whole = all(any(key(k) for k in value) for least, key, _ in entries if least)
    return whole and all(next((inner(v) for _, key, inner in entries if key(k)), False) for k, v in value.items())


def _holds(check: Any, value: Any) -> bool:
    return _fits(check, [value]) if isinstance(check, Group) else check(value)


def _fits(entries: list[tuple[int, int, Any]], values: list[Any]) -> bool:
    """Whether values are what the entries ask for, one after another, each as often as it can be."""
    if not entries:
        return not values
    (low, high, check), *rest = entries
    if isinstance(check, Group):
        return _fits([*check, *rest], values)
    most = 0
    while most < min(high, len(values)) and check(values[most]):
        most += 1
    return any(_fits(rest, values[count:]) for count in range(most, low - 1, -1))


RULES = Rules(PAGE.read_text(encoding="utf-8"))
FRAMES = RULES.by_number("6", 0)
PAIRING = RULES.by_number("11.2", 1)
BRIDGE = RULES.by_number("13", 0)


def check_frame(data: bytes) -> None:
    """A frame that a node sends, and whatever signed structure stands in it. Raises AssertionError."""
    fields = decode(data)
    kind = fields[0]
    assert FRAMES[kind](fields), f"frame {kind} is not as section 6 says: {fields!r}"
    for section, name, at in _INSIDE.get(kind, ()):
        assert RULES.get(section, name)(fields[at]), f"{name} in frame {kind} is not as section {section} says"
    if kind in _LOGS:
        check_log(fields[_LOGS[kind]])
    if kind == 13 and (message := _cbor(fields[4])) is not None:
        assert PAIRING[message[1]](message), f"pairing message {message[1]} is not as 11.2 says"
    if kind == 8:
        assert RULES.get("5.2", "frame")(decode(fields[2])), "a sealed frame is not as 5.2 says"


_INSIDE = {  # frame: signed structures in it, by section, name, place
    1: [("7", "proof", 7)],
    2: [("7", "signed", 2), ("4", "bundle", 5)],
    7: [("5.1", "init", 2)],
    9: [("8.2", "reset", 2)],
    14: [("4", "bundle", 2)],
}
_LOGS = {2: 4, 14: 3}  # frame: where an identity log stands


def check_log(entries: list[bytes]) -> None:
    for entry in entries:
        assert any(RULES.get("2", name)(entry) for name in ("entry-0", "entry-n")), "an entry is not as section 2 says"


def check_plaintext(data: bytes) -> None:
    """What a sealed frame carries, entries and bodies included."""
    fields = decode(data)
    assert RULES.get("8.3", "plaintext")(fields), "a payload is not as 8.3 says"
    for item in fields[1]:
        assert RULES.get("3", "void" if item[0] else "entry")(item[1]), "an entry is not as section 3 says"
        assert item[0] or item[2] is None or RULES.get("3", "body")(decode(item[2])), "a body is not as section 3 says"
    for cut in fields[4]:
        assert RULES.get("2", "cut")(cut), "a cut is not as section 2 says"


def check_claims(section: str, name: str, data: bytes) -> None:
    assert RULES.get(section, name)(decode(data)), f"{name} is not as {section} says"


def _cbor(data: bytes) -> Any:
    """None for what is none: some tests send just that."""
    try:
        return decode(data)
    except Malformed:
        return None
