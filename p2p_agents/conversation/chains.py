"""Owed = my log minus what the peer holds, computed from runs and tips alone (PROTOCOL A3, B1).

A device's entries in a conversation form one hash chain, except after its store was rolled back: then branches part,
each written in another epoch. Within one epoch entries are a straight run. A peer stores an entry only after the one
before it, so holding an entry means holding all its ancestors; naming the last entry of each epoch names everything.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from p2p_agents.wire.claims import Tip

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Run:
    """The entries of one epoch in one chain: `first` to `last`, after an entry of epoch `parent` (empty: none)."""

    epoch: bytes
    parent: bytes
    first: int
    last: int
    hash: bytes  # of the last entry
    lamport: int  # of the last entry


def held_through(runs: Sequence[Run], tips: Iterable[Tip]) -> dict[bytes, int]:
    """For each of my runs, the last seq the peer holds (first - 1 when none of it).

    A run is held through its own tip, and up to the branching point of any run that follows from it and is held.
    """
    named = {tip.epoch: tip.seq for tip in tips}
    held = {run.epoch: min(named.get(run.epoch, run.first - 1), run.last) for run in runs}
    by_epoch = {run.epoch: run for run in runs}
    for run in runs:
        _hold_ancestors(run, by_epoch, held)
    return held


def _hold_ancestors(run: Run, by_epoch: Mapping[bytes, Run], held: dict[bytes, int]) -> None:
    while held[run.epoch] >= run.first and run.parent in by_epoch:
        parent = by_epoch[run.parent]
        branch = min(run.first - 1, parent.last)
        if held[parent.epoch] >= branch:
            return
        held[parent.epoch] = branch
        run = parent


def runs_in_reach(runs: Sequence[Run], tips: Iterable[Tip], floor: int) -> list[Run]:
    """My runs of which the peer can take more. What follows an entry up to `floor`, which I never had, is out of reach
    of a peer that lacks that entry too."""
    named = {tip.epoch: tip.seq for tip in tips}
    beyond: set[bytes] = set()
    for run in sorted(runs, key=lambda run: run.first):
        lacks = named.get(run.epoch, 0) < run.first - 1
        if lacks and (0 < run.first - 1 <= floor or run.parent in beyond):
            beyond.add(run.epoch)
    return [run for run in runs if run.epoch not in beyond]


def lost(runs: Iterable[Run], tips: Iterable[Tip]) -> bool:
    """Whether the peer holds entries of one of my own devices that my store lacks: it was rolled back."""
    last = {run.epoch: run.last for run in runs}
    return any(tip.seq > last.get(tip.epoch, 0) for tip in tips)


def before(runs: Sequence[Run], wanted: Mapping[bytes, tuple[int, bytes]]) -> list[Run]:
    """My runs without the entries that I want to be sent again, and all that follow them: given for each epoch as a seq
    and the hash before it. A peer would otherwise take those that follow to be held together with them."""
    ends = dict(wanted)
    kept = []
    for run in sorted(runs, key=lambda run: run.first):
        seq, prev = ends.get(run.epoch, (run.last + 1, run.hash))
        if run.parent in ends and ends[run.parent][0] < run.first:
            seq = run.first
        if seq <= run.last:
            ends[run.epoch] = (seq, prev)
        if seq > run.first:
            kept.append(replace(run, last=seq - 1, hash=prev))
    return kept


def tips_of(runs: Sequence[Run], at_most: int) -> tuple[Tip, ...]:
    """The newest tips to name in a SYNC; left out are ancestors of them, or branches that fell silent long ago."""
    newest = sorted(runs, key=lambda run: run.lamport, reverse=True)[:at_most]
    return tuple(Tip(run.epoch, run.last, run.hash) for run in newest)
