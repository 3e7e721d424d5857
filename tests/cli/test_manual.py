"""The commands described as data match the parser."""

from __future__ import annotations

import json

import pytest

from p2p_agents import errors, exits
from p2p_agents.cli import app, manual
from p2p_agents.cli.main import main


def test_every_command_is_in_the_book_and_every_one_parses() -> None:
    book = manual.book()
    named = {chapter["command"] for chapter in book["commands"]}
    assert named == set(app.COMMANDS) | {f"{name} {sub}" for name, subs in app.GROUPS.items() for sub in subs}
    assert {item["code"] for item in book["errors"]} == {kind.code for kind in errors.all_errors()}
    assert [item["exit"] for item in book["exit_codes"]] == list(exits.MEANINGS)
    assert json.loads(json.dumps(book)) == book


def test_a_chapter_names_what_a_command_takes() -> None:
    send = manual.chapter(["send"])
    assert [(it["name"], it["required"]) for it in send["arguments"]] == [("TO", True), ("TEXT", True)]
    options = {it["names"][0]: it for it in send["options"]}
    assert options["--type"]["choices"] == ["text/plain", "text/markdown", "application/json"]
    assert options["--timeout"]["default"] == 30.0
    assert options["--json"] == {
        "names": ["--json", "--text"],
        "help": options["--json"]["help"],
        "takes_value": False,
        "type": "boolean",
    }
    assert manual.chapter(["trust"])["commands"] == list(app.GROUPS["trust"])


@pytest.mark.parametrize("words", [["snd"], ["trust", "shw"], ["send", "more"]])
def test_what_is_no_command_is_said_so(words: list[str]) -> None:
    with pytest.raises(errors.Usage, match="has no command"):
        manual.chapter(words)


def test_every_command_stands_in_one_panel(capfd: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    shown = capfd.readouterr().out
    placed = [name for names in app.PANELS.values() for name in names]
    assert len(placed) == len(set(placed))
    for name in app.COMMANDS:
        assert f"\n  {name} " in shown
    assert [title for title in app.PANELS if f"\n{title}:\n" not in shown] == []


@pytest.mark.parametrize("group", app.GROUPS)
def test_a_group_lists_its_commands_in_whole_sentences(group: str) -> None:
    listed = manual.page([group]).partition("\nCommands:\n")[2].partition("\n\n")[0]
    assert "..." not in listed
    for name in app.GROUPS[group]:
        assert f"  {name} " in listed
