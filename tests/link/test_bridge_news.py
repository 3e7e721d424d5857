"""What people are told of a bridge: words, for any code."""

from __future__ import annotations

import pytest

from p2p_agents.errors import BadBridge, BridgeImpostor, BridgeRefused, BridgeUnreachable
from p2p_agents.link.bridge_news import DOWN, UNKNOWN, in_words
from p2p_agents.wire.relay_answers import Refusal

CODES = [*Refusal, DOWN, *(kind.code for kind in (BadBridge, BridgeImpostor, BridgeRefused, BridgeUnreachable)), ""]


@pytest.mark.parametrize("code", CODES)
def test_every_code_has_words_of_its_own(code: str) -> None:
    said = in_words(str(code))
    assert said != UNKNOWN
    assert "_" not in said
    assert [in_words(other) for other in CODES].count(said) == 1


def test_what_a_bridge_says_beyond_them_is_not_shown() -> None:
    """Attack: a code is any text of at most 32 characters."""
    assert in_words("pay 5 coins to eve") == UNKNOWN
