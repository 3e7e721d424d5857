"""One measured figure: its distribution, the bare primitives beside it, their ratio and the budget."""

from __future__ import annotations

import json
import math
import time
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@dataclass(frozen=True, slots=True)
class Figure:
    """`ratio` is what the budget is about when there is one; `must` and `aims` say it in words."""

    name: str
    value: float
    unit: str
    p50: float
    p99: float
    min: float
    max: float
    n: int
    baseline: dict[str, float] = field(default_factory=dict)
    ratio: float | None = None
    must: str = ""
    aims: str = ""

    def line(self) -> str:
        return json.dumps({name: _rounded(value) for name, value in asdict(self).items()})


def figure(
    name: str,
    samples: Sequence[float],
    unit: str,
    *,
    value: float | None = None,
    over: float | None = None,
    baseline: dict[str, float] | None = None,
    must: str = "",
    aims: str = "",
) -> Figure:
    """Of samples in `unit`; its value is their median unless given, its ratio that value over `over`."""
    value = median(samples) if value is None else value
    return Figure(
        name,
        value,
        unit,
        quantile(samples, 0.5),
        quantile(samples, 0.99),
        min(samples),
        max(samples),
        len(samples),
        baseline or {},
        None if over is None else value / over,
        must,
        aims,
    )


def quantile(samples: Sequence[float], q: float) -> float:
    """The nearest-rank quantile."""
    return sorted(samples)[max(0, math.ceil(q * len(samples)) - 1)]


def per_call(call: Callable[[], object], rounds: int, batch: int = 1) -> list[float]:
    """Seconds per call, a sample for each of `rounds` loops of `batch` calls."""
    samples = []
    for _ in range(rounds):
        began = time.perf_counter()
        for _ in range(batch):
            call()
        samples.append((time.perf_counter() - began) / batch)
    return samples


def _rounded(value: object) -> object:
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, dict):
        return {name: _rounded(inner) for name, inner in value.items()}
    return value
