"""The counters of a bridge process since its start. Only kinds, codes and sums: nothing about who says what."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from p2p_agents.wire.relay_answers import Deliver, Fail

if TYPE_CHECKING:
    from bridge.session import End
    from p2p_agents.wire.relay import Message


@dataclass(slots=True)
class Counts:
    """Messages by kind, refusals by code, ends by reason, connections by way, bytes and delivered blobs."""

    heard: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    ended: Counter[str] = field(default_factory=Counter)
    arrived: Counter[str] = field(default_factory=Counter)
    bytes_in: int = 0
    bytes_out: int = 0
    delivered: int = 0

    def hear(self, message: Message | None) -> None:
        self.heard[type(message).__name__.lower() if message is not None else "unknown"] += 1

    def say(self, message: Message) -> None:
        if isinstance(message, Deliver):
            self.delivered += len(message.blobs)
        elif isinstance(message, Fail):
            self.refused[str(message.code)] += 1

    def end(self, end: End) -> None:
        self.ended[end.name.lower()] += 1
