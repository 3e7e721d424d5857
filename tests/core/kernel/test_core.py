"""What the core logs about links."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

import pytest

from p2p_agents.core.kernel.state import Link, Phase
from p2p_agents.crypto.fingerprint import id_text

if TYPE_CHECKING:
    from p2p_agents.core.kernel.core import Core


def test_a_peer_agent_is_one_line_when_it_comes_and_one_when_it_goes(
    pair: Core, caplog: pytest.LogCaptureFixture
) -> None:
    peer = os.urandom(32)
    first, second = (
        Link(number, 2, pair.acting(None).local.id, peer, Phase.UP, b"", peer_device=peer, name="carol")
        for number in (7, 8)
    )
    with caplog.at_level(logging.INFO):
        pair.list_link(first)
        pair.list_link(second)
        pair.forget_link(first)
        pair.forget_link(second)
        pair.forget_link(second)
    about = f"carol {id_text(peer)[:10]}"
    assert caplog.messages == [f"linked to {about}", f"unlinked from {about}"]
