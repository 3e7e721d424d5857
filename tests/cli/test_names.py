"""Shell completion: for both names of the program, and plain words only."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.cli.world import ALICE, BOB, make_world
from tests.control.fake import Served, make_home

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOSTILE = BOB | {"name": "$(reboot)"}
CAROL = ALICE | {"name": "carol"}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    world = make_world()
    world.answers |= {"agents": {"agents": [ALICE, CAROL]}, "peers": {"peers": [BOB, HOSTILE]}}
    with Served(world, made := make_home(tmp_path_factory.mktemp("home"))):
        yield made.path


def complete(home: str, *words: str) -> list[str]:
    """What bash is offered for the last word."""
    environ = os.environ | {
        "P2P_AGENTS_HOME": home,
        "_P2P_AGENTS_COMPLETE": "complete_bash",
        "COMP_WORDS": " ".join(words),
        "COMP_CWORD": str(len(words) - 1),
    }
    argv = [sys.executable, "-m", "p2p_agents"]
    done = subprocess.run(argv, env=environ, capture_output=True, text=True, check=False, timeout=30)
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize("program", ["p2p-agents", "p2pa"])
@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["who"], ["whoami"]),
        (["trust", "sh"], ["show"]),
        (["send", "b"], ["bob"]),
        (["send", "$"], []),
        (["history", ""], ["bob"]),
        (["inbox", "--as", ""], ["alice", "carol"]),
        (["wait", "--from", "b"], ["bob"]),
        (["use", "c"], ["carol"]),
    ],
)
def test_words_are_completed(home: str, program: str, words: list[str], offered: list[str]) -> None:
    assert complete(home, program, *words) == offered


def test_without_a_node_nothing_is_offered_and_none_is_started(tmp_path: Path) -> None:
    assert complete(str(tmp_path / "none"), "p2p-agents", "send", "b") == []
    assert not (tmp_path / "none").exists()


def test_completion_is_installed_for_both_names_and_uninstalled(tmp_path: Path) -> None:
    (tmp_path / ".bashrc").write_text("alias ll='ls -l'\n")
    environ = os.environ | {"HOME": str(tmp_path), "P2P_AGENTS_HOME": str(tmp_path / "home"), "TERM": "dumb"}
    environ |= {"P2P_AGENTS_HINTS": str(tmp_path / "hints")}
    command = f"{sys.executable} -m p2p_agents"
    done = subprocess.run(
        ["bash", "-c", f"{command} --install-completion; true"], env=environ, capture_output=True, text=True, timeout=30
    )
    assert '"shell": "bash"' in done.stdout, done
    files = sorted(path.name for path in (tmp_path / ".bash_completions").iterdir())
    assert files == ["p2p-agents.sh", "p2pa.sh"]
    subprocess.run([*command.split(), "uninstall"], env=environ, check=True, capture_output=True, timeout=30)
    assert list((tmp_path / ".bash_completions").iterdir()) == []
    assert (tmp_path / ".bashrc").read_text().split("\n")[0] == "alias ll='ls -l'"
    assert "p2p" not in (tmp_path / ".bashrc").read_text()
