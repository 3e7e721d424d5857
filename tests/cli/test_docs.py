"""Help and pages: complete, and matching the code."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from bridge import faults
from p2p_agents import errors, exits
from p2p_agents.cli import app, fast
from p2p_agents.control import methods
from tests.cli.pages import ROOT, examples_in, read_helps

EVERY = [*errors.all_errors(), *errors.all_errors("bridge")]
ALONE = {"pair": ("is", "shows")}  # words of the sentence behind a command


@pytest.fixture(scope="module")
def helps() -> dict[str, str]:
    return read_helps()


def test_the_pages_match_the_code() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "docs", "--check"], capture_output=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr.decode()) == (0, "")


def test_every_command_has_help_with_three_examples(helps: dict[str, str]) -> None:
    for path, text in helps.items():
        assert len(examples_in(text)) == 3, path


def test_the_table_of_commands_tells_what_their_help_tells(helps: dict[str, str]) -> None:
    for name, line in app.COMMANDS.items():
        told = " ".join(helps[f"p2p-agents {name}"].split())
        assert line in told, name


def test_every_group_names_its_commands(helps: dict[str, str]) -> None:
    for name in app.COMMANDS:
        listed = helps[f"p2p-agents {name}"].partition("Commands:\n")[2].partition("\n\n")[0]
        subs = [line.split()[0] for line in listed.splitlines() if line[2:3] != " "]
        assert tuple(subs) == tuple(app.GROUPS.get(name, ())), name


def test_every_command_is_a_module_and_every_hot_one_a_command() -> None:
    modules = {path.stem for path in (ROOT / "p2p_agents" / "cli" / "commands").glob("*.py")} - {"__init__"}
    assert modules == set(app.COMMANDS)
    assert fast.HOT.keys() < app.COMMANDS.keys()


def test_every_method_and_every_error_is_on_a_page() -> None:
    control, table = ((ROOT / "docs" / name).read_text() for name in ("control.md", "errors.md"))
    assert all(f"## {name}\n" in control for name in methods.METHODS)
    assert all(f"| `{kind.code}` |" in table for kind in EVERY)


def test_a_code_means_one_thing_at_a_node_and_at_a_bridge() -> None:
    codes = [kind.code for kind in EVERY]
    assert len(codes) == len(set(codes))
    assert {faults.StoreAway, faults.TokenUnknown} <= {*EVERY} - {*errors.all_errors()}


def test_every_error_says_what_to_do() -> None:
    for kind in EVERY:
        assert kind.hint, kind.code


def test_commands_that_hints_name_are_commands() -> None:
    for kind in EVERY:
        for first, second in re.findall(r"(?<!inject )p2p-agents ([a-z]+) ?([a-z][a-z-]*)?", kind.hint):
            assert first in app.COMMANDS, (kind.code, first)
            if second and first in app.GROUPS and second not in ALONE.get(first, ()):
                assert second in app.GROUPS[first], (kind.code, first, second)


def test_every_error_says_what_it_means_in_one_line() -> None:
    for kind in EVERY:
        assert (kind.__doc__ or "").splitlines()[0].endswith(".")
        assert kind.exit in exits.MEANINGS


TEXTS = ("README.md", "docs/*.md", "p2p_agents/**/*.py", "bridge/*.py", "deploy/*", "scripts/*")
CODE_IN_ARGV = re.compile(
    r"(p2p-agents|p2pa) pair( join| --[a-z-]+)* (LINK|CODE|P2PA:|[a-z]+-[a-z]+-\w{5}|[a-z]+ [a-z]+ [0-9]\w{4}\b)", re.I
)


@pytest.mark.parametrize("typed", ["p2pa pair coral-fiddle-7q2mx", "p2p-agents pair join --link-device CODE"])
def test_what_is_looked_for_is_found(typed: str) -> None:
    assert CODE_IN_ARGV.search(typed)


def test_nobody_is_told_to_type_a_code_in_argv() -> None:
    """Every user of a machine reads the arguments of all its programs."""
    files = [path for pattern in TEXTS for path in ROOT.glob(pattern)]
    told = [(path.name, line) for path in files for line in path.read_text().splitlines() if CODE_IN_ARGV.search(line)]
    assert files
    assert told == []
