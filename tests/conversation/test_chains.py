"""What the peer holds, computed from runs and tips alone."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from p2p_agents.conversation.chains import Run, before, held_through, lost, runs_in_reach, tips_of
from p2p_agents.wire.claims import Tip

FIRST = Run(b"1" * 8, b"", 1, 5, b"h" * 32, 5)
BRANCH = Run(b"2" * 8, b"1" * 8, 4, 6, b"i" * 32, 9)  # after a rollback to entry 3
LATER = Run(b"3" * 8, b"2" * 8, 7, 9, b"j" * 32, 12)


def tip(run, seq):
    return Tip(run.epoch, seq, b"x" * 32)


def test_holding_an_entry_is_holding_its_ancestors():
    """A3, B1: the tip of a later run says that of all it follows from, up to where it branches."""
    assert held_through([FIRST, BRANCH, LATER], [tip(LATER, 8)]) == {FIRST.epoch: 3, BRANCH.epoch: 6, LATER.epoch: 8}


def test_both_branches_of_a_rolled_back_store_are_owed():
    """A3: entries 4 and 5 of the first epoch are on no way to the newest."""
    assert held_through([FIRST, BRANCH], [tip(BRANCH, 6)])[FIRST.epoch] == 3
    assert held_through([FIRST, BRANCH], [tip(FIRST, 5)]) == {FIRST.epoch: 5, BRANCH.epoch: 3}


def test_nothing_named_is_nothing_held():
    assert held_through([FIRST, BRANCH], []) == {FIRST.epoch: 0, BRANCH.epoch: 3}


def test_a_tip_beyond_what_i_have_is_my_loss():
    """B1, A3"""
    assert lost([FIRST], [tip(FIRST, 6)])
    assert lost([FIRST], [tip(BRANCH, 1)])
    assert not lost([FIRST], [tip(FIRST, 5)])
    assert held_through([FIRST], [tip(FIRST, 99)]) == {FIRST.epoch: 5}


def test_tips_are_the_newest_and_bounded():
    assert [t.epoch for t in tips_of([FIRST, BRANCH, LATER], 2)] == [LATER.epoch, BRANCH.epoch]


@st.composite
def forests(draw):
    """Runs as rollbacks make them: each begins somewhere in an earlier one, or at the start."""
    runs = []
    for number in range(draw(st.integers(1, 6))):
        parent = draw(st.sampled_from([None, *runs]))
        first = 1 if parent is None else draw(st.integers(parent.first + 1, parent.last + 1))
        last = first + draw(st.integers(0, 4))
        epoch = number.to_bytes(8, "big")
        runs.append(Run(epoch, parent.epoch if parent else b"", first, last, bytes(32), number))
    return runs


@given(forests(), st.data())
def test_what_is_held_and_what_is_owed_are_everything(runs, data):
    """B1: against a model that follows every parent link."""
    by_epoch = {run.epoch: run for run in runs}
    tips = [tip(run, data.draw(st.integers(run.first, run.last))) for run in runs if data.draw(st.booleans())]
    held = set()
    for each in tips:
        run, seq = by_epoch[each.epoch], each.seq
        while run is not None:
            held |= {(run.epoch, n) for n in range(run.first, seq + 1)}
            seq = run.first - 1
            run = by_epoch.get(run.parent)
    through = held_through(runs, tips)
    assert {(run.epoch, n) for run in runs for n in range(run.first, through[run.epoch] + 1)} == held


def test_what_follows_entries_i_never_had_is_given_only_to_who_has_them():
    """B1: entries up to 3 were left out here, so the branch after 3 begins with nothing, as does what follows it."""
    runs = [BRANCH, LATER]
    assert runs_in_reach(runs, [], floor=3) == []
    assert runs_in_reach(runs, [tip(BRANCH, 3)], floor=3) == runs
    assert runs_in_reach(runs, [tip(LATER, 7)], floor=3) == [LATER]
    assert runs_in_reach(runs, [], floor=0) == runs


def test_a_view_without_an_entry_names_nothing_that_follows_from_it():
    """B1: or the peer would take it to be held."""
    first = Run(b"1" * 8, b"", 1, 9, b"h" * 32, 9)
    branch = Run(b"2" * 8, b"1" * 8, 6, 8, b"i" * 32, 12)
    early = Run(b"3" * 8, b"1" * 8, 4, 5, b"j" * 32, 7)
    later = Run(b"4" * 8, b"2" * 8, 9, 9, b"k" * 32, 13)
    runs = [later, branch, first, early]
    kept = before(runs, {first.epoch: (4, b"p" * 32)})
    assert [(run.epoch, run.last, run.hash) for run in kept] == [
        (first.epoch, 3, b"p" * 32),
        (early.epoch, 5, early.hash),
    ]
    assert before(runs, {first.epoch: (1, b"")}) == []
    assert sorted(before(runs, {}), key=lambda run: run.epoch) == [first, branch, early, later]
