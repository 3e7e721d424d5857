"""The soak itself, for a few seconds on each path; `scripts/soak` runs it for any length of time."""

from __future__ import annotations

import json

import pytest

from tests.net.namespaces import lab
from tests.system import soak

__all__ = ["lab"]
pytestmark = pytest.mark.netns


@pytest.mark.timeout(300)
@pytest.mark.parametrize("path", sorted(soak.PATHS))
def test_under_faults_everything_arrives_once_and_in_order(
    lab: object, path: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """B1, B3: kills, cuts and loss without rest, then peace."""
    assert soak.main(["--minutes", "0.15", "--seed", "3", "--path", path]) == 0
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert last["ended"] is True
    assert last["said"] == last["heard"]
    assert sum(last["troubles"].values()) > 0
