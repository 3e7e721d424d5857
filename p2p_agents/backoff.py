"""How long to wait before something is tried again: longer after each failure, up to a bound."""

from __future__ import annotations

from dataclasses import dataclass

_MOST_STEPS = 64  # beyond, any wait is the longest one: powers stay finite


@dataclass(frozen=True, slots=True)
class Backoff:
    """Waits of `first_s`, then `factor` times as long each time, and never beyond `most_s`."""

    first_s: float
    most_s: float
    factor: float = 2.0

    def after(self, earlier: int) -> float:
        """Seconds to wait when it failed, and had failed `earlier` times before."""
        return min(self.first_s * self.factor ** min(earlier, _MOST_STEPS), self.most_s)

    def spread(self, earlier: int, draw: float) -> float:
        """As `after`, but down to half of it, so that many do not come back as one; `draw` is from [0, 1)."""
        return self.after(earlier) * (0.5 + 0.5 * draw)

    def following(self, wait_s: float) -> float:
        """Seconds to wait after a wait of `wait_s`; 0 for none."""
        return min(max(self.first_s, self.factor * wait_s), self.most_s)
