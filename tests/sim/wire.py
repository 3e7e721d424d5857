"""The traffic between nodes, for tests that inspect or change it."""

from __future__ import annotations

from collections.abc import Callable

from p2p_agents.wire.frame import Frame, decode_frame, encode_frame
from p2p_agents.wire.framing import Framer, frame_bytes


def frames_in(data: bytes) -> list[Frame]:
    """The frames in what the core hands over at once, which is whole frames."""
    framer = Framer()
    found = [decode_frame(payload) for payload in framer.feed(data)]
    assert framer.pending == 0
    return [frame for frame in found if frame is not None]


def rewriting(change: Callable[[Frame], Frame | None]) -> Callable[[object, bytes], bytes]:
    """A tamper function over frames: each may be changed, or left out with None."""

    def tamper(_: object, data: bytes) -> bytes:
        changed = [change(frame) for frame in frames_in(data)]
        return b"".join(frame_bytes(encode_frame(frame)) for frame in changed if frame is not None)

    return tamper
