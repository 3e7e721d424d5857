"""For all tests: generated examples are the same in every run, a busy machine fails none of them, and nothing of the
user's environment reaches them: a desktop has a runtime directory, a shell may name an agent.

`scripts/fuzz` sets HYPOTHESIS_PROFILE=deep: many more examples, other ones in every run.
"""

import os
from collections import Counter
from typing import Any

import pytest
from hypothesis import settings

settings.register_profile("steady", deadline=None, derandomize=True)
settings.register_profile("deep", deadline=None, derandomize=False, max_examples=2_000, database=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "steady"))

USERS_OWN = ("P2P_", "_P2P_", "XDG_")  # beginnings of names
LOOKS = {"CLICOLOR", "COLUMNS", "FORCE_COLOR", "LINES", "NO_COLOR", "TERMINAL_WIDTH"}

for name in list(os.environ):  # before any test module reads it
    if name.startswith(USERS_OWN) or name in LOOKS:
        del os.environ[name]


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """What was skipped, and why, after everything else that is told."""
    skipped = Counter(report.longrepr[2] for report in terminalreporter.stats.get("skipped", ()))
    for reason, count in skipped.most_common():
        terminalreporter.write_line(f"not run: {count} tests: {reason.removeprefix('Skipped: ')}")
    if not skipped:
        terminalreporter.write_line("nothing was skipped")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Where everything is there to be tested with, a skipped test is a failed one."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") == "true" and reporter is not None and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
