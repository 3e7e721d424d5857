"""Every simulated node is checked against the protocol page: what it sends must have the documented layout."""

from __future__ import annotations

from functools import partial

import pytest

from p2p_agents.core.contact import knocking, petition
from p2p_agents.core.delivery import sealing, sync
from p2p_agents.core.kernel import core
from tests import cddl
from tests.sim.world import World


@pytest.fixture
def world(tmp_path):
    """An empty world."""
    return World(tmp_path)


@pytest.fixture(autouse=True)
def as_the_page_says(monkeypatch):
    """Frames where they leave a core, and what is sealed in them where it is encoded."""
    for module, name, check in (
        (core, "encode_frame", cddl.check_frame),
        (knocking, "encode_frame", cddl.check_frame),
        (sealing, "encode_payload", cddl.check_plaintext),
        (sync, "encode_sync", partial(cddl.check_claims, "8.1", "sync-claims")),
        (petition, "encode_request", partial(cddl.check_claims, "9", "request-claims")),
        (knocking, "encode_knock", partial(cddl.check_claims, "12.1", "knock-claims")),
    ):
        monkeypatch.setattr(module, name, partial(_checked, getattr(module, name), check))


def _checked(encode, check, value):
    data = encode(value)
    check(data)
    return data
