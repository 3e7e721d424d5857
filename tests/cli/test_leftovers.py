"""What the program leaves on a machine, and that removing it touches nothing of anybody else's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from p2p_agents import errors, limits
from p2p_agents.cli import leftovers
from p2p_agents.cli.main import main
from p2p_agents.control.start import command, environment
from p2p_agents.paths import Home
from tests.control.fake import make_home

COMPLETIONS = (".bash_completions/p2p-agents.sh", ".zfunc/_p2pa", ".config/fish/completions/p2p-agents.fish")
LINE = "source '{user}/.bash_completions/p2p-agents.sh'\n"


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's own directory, with one home under it and a directory for hints."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("P2P_AGENTS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("P2P_AGENTS_HINTS", str(tmp_path / "hints"))
    (tmp_path / "hints").mkdir()
    return tmp_path


def ended_pid() -> int:
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        child.wait()
    return child.pid


def fill(home: Home) -> list[str]:
    """What a node and `host` leave in a home."""
    for name in (
        "store.db",
        "store.db-wal",
        "store.db.before-031",
        "node.lock",
        "node.log",
        "node.log.1",
        "node.error",
    ):
        Path(home.path, name).touch()
    Path(home.keys, "node.key").touch()
    Path(home.path, "bridge").mkdir()
    Path(home.path, "bridge", "bridge.lock").touch()
    return sorted(os.listdir(home.path))


def test_a_purge_leaves_no_home(user: Path) -> None:
    home = make_home(user / "home")
    fill(home)
    assert home.path in leftovers.remove_home(home)
    assert not os.path.exists(home.path)


def test_a_purge_spares_what_is_not_ours(user: Path) -> None:
    """A home may be set to a directory that holds other things: they stay, and the directory around them."""
    home = make_home(user / "home")
    fill(home)
    theirs = ["thesis.txt", "keys/id_ed25519", "nodes/a", "storey"]
    for name in theirs:
        path = Path(home.path, name)
        path.parent.mkdir(exist_ok=True)
        path.touch()
    leftovers.remove_home(home)
    left = [str(path.relative_to(home.path)) for path in sorted(Path(home.path).rglob("*")) if path.is_file()]
    assert left == sorted(theirs)


def test_a_bridge_directory_of_somebody_else_is_spared(user: Path) -> None:
    home = make_home(user / "home")
    Path(home.path, "bridge").mkdir()
    Path(home.path, "bridge", "plans.pdf").touch()
    leftovers.remove_home(home)
    assert Path(home.path, "bridge", "plans.pdf").exists()


def test_a_purge_is_refused_while_a_node_runs(user: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = make_home(user / "home")
    environ = {**environment(), "P2P_AGENTS_HOME": home.path}
    argv = command("run", "--foreground")
    with subprocess.Popen(argv, env=environ, stderr=subprocess.PIPE, text=True) as node:
        assert node.stderr is not None
        assert any("listening on" in line for line in iter(node.stderr.readline, ""))
        monkeypatch.setattr(limits, "NODE_STOP_S", 0.0)
        with pytest.raises(errors.AlreadyRunning):
            leftovers.remove_home(home)
        assert os.path.exists(home.store)
        node.terminate()
        node.communicate()


def test_traces_are_sockets_hints_of_ended_nodes_and_completion(user: Path) -> None:
    home = make_home(user / "home")
    Path(home.socket).touch()
    alive, ended = f"{os.getpid()}-{'a' * 16}.json", f"{ended_pid()}-{'b' * 16}.json"
    for name in (alive, ended, "notes.json"):
        (user / "hints" / name).touch()
    for name in COMPLETIONS:
        (user / name).parent.mkdir(parents=True)
        (user / name).touch()
    removed = leftovers.remove_traces(home)
    assert set(removed) == {home.socket, str(user / "hints" / ended), *(str(user / name) for name in COMPLETIONS)}
    assert sorted(os.listdir(user / "hints")) == sorted([alive, "notes.json"])


def test_the_shell_loads_completion_no_more_and_all_else_as_before(user: Path) -> None:
    rc = user / ".bashrc"
    mine = "alias ll='ls -l'\nexport X=\udcff\n"
    rc.write_text(mine + LINE.format(user=user) + "# the end\n", errors="surrogateescape")
    rc.chmod(0o640)
    assert leftovers.remove_traces(make_home(user / "home")) == [str(rc)]
    assert rc.read_text(errors="surrogateescape") == mine + "# the end\n"
    assert rc.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(
    ("prefix", "line"),
    [
        ("/home/a/.local/share/pipx/venvs/p2p-agents", "pipx uninstall p2p-agents"),
        ("/home/a/.local/share/uv/tools/p2p-agents", "uv tool uninstall p2p-agents"),
        ("/usr", f"{sys.executable} -m pip uninstall p2p-agents"),
    ],
)
def test_the_package_goes_the_way_it_came(monkeypatch: pytest.MonkeyPatch, prefix: str, line: str) -> None:
    monkeypatch.setattr(sys, "prefix", prefix)
    assert leftovers.package_line() == line


def test_keys_are_deleted_by_a_human_alone(user: Path, capfd: pytest.CaptureFixture[str]) -> None:
    home = make_home(user / "home")
    kept = fill(home)
    assert main(["uninstall", "--purge"]) == errors.HumanRequired.exit
    assert sorted(os.listdir(home.path)) == kept
    assert main(["uninstall"]) == 0
    assert sorted(os.listdir(home.path)) == kept
    assert main(["uninstall", "--purge", "--yes"]) == 0
    assert not os.path.exists(home.path)
    assert main(["uninstall", "--purge"]) == 0  # nothing is left to decide about
    assert '"kept": null' in capfd.readouterr().out.splitlines()[-1]
