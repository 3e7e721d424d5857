"""One transaction for many items: all effects wait for its commit, and a failed item does not affect the others
(PROTOCOL A6)."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from p2p_agents.core.api import reading
from p2p_agents.core.delivery import sealing
from p2p_agents.core.kernel.effects import Answered, ForKeys, KeysWritten
from p2p_agents.core.turn import restart
from p2p_agents.errors import Bug, EnvironmentFault, P2PError
from p2p_agents.store import keyring

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from p2p_agents.core.kernel.core import Core
    from p2p_agents.core.kernel.effects import Effect, Outward

    Item = Callable[[Core], Any]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an item returned, or the error that undid it."""

    value: Any = None
    error: P2PError | None = None


@dataclass(slots=True)
class Turn:
    """A batch in progress: the results of its items, and the store's fault that undoes them all."""

    items: Sequence[Item]
    outcomes: list[Outcome] = field(default_factory=list)
    fault: EnvironmentFault | None = None


def run_batch(core: Core, items: Sequence[Item]) -> tuple[list[Outcome], list[Outward]]:
    """Run the items and then the pump, commit, and return the effects that may now be carried out.

    If the store fails, nothing of the batch has happened, and every item gets the store's error. Only after
    StoreUncertain it may have happened: the next batch begins with what the store then holds.
    """
    turn = decide(core, items)
    commit(core, turn)
    return conclude(core, turn)


def decide(core: Core, items: Sequence[Item]) -> Turn:
    """All of a batch except its commit: nothing else may touch the core until `conclude`."""
    turn = Turn(items)
    try:
        _open(core)
        core.db.begin()
        if core.is_behind:
            restart.start_over(core)
        turn.outcomes = [_run_item(core, item) for item in items]
        _pump(core)
        _answer(core)
    except EnvironmentFault as fault:
        turn.fault = fault
    return turn


def commit(core: Core, turn: Turn) -> None:
    """The only step that waits for the disk. It touches no memory of the core, so any thread may run it."""
    if turn.fault is None:
        try:
            core.db.commit()
        except EnvironmentFault as fault:
            turn.fault = fault


def conclude(core: Core, turn: Turn) -> tuple[list[Outcome], list[Outward]]:
    """The result of each item, and the effects that may now be carried out."""
    if turn.fault is not None:
        core.db.rollback()
        core.forget()
        return _failed(core, turn.items, turn.fault)
    core.is_behind = False
    core.undo.clear()
    effects, core.effects = core.effects, []
    return turn.outcomes, _outward(core, effects)


def _outward(core: Core, effects: Sequence[Effect]) -> list[Outward]:
    """The effects that leave the decider, after key files are settled."""
    outward: list[Outward] = []
    for effect in effects:
        if isinstance(effect, ForKeys):
            _settle_keys(core, effect)
        else:
            outward.append(effect)
    return outward


def _settle_keys(core: Core, effect: ForKeys) -> None:
    """If it fails, the next start does it."""
    try:
        if isinstance(effect, KeysWritten):
            keyring.settle(core.keys, effect.agent)
        elif core.hosted_id(effect.agent) is None:  # it may have been restored in the same batch
            keyring.destroy_agent_key(core.keys, effect.agent, effect.device)
    except EnvironmentFault as fault:
        log.warning("an old key file is still there: %s", fault.message)


def _open(core: Core) -> None:
    if core.db.is_lost:
        core.is_behind = True
        core.db.reopen()
        log.warning("the store was reopened, and what it holds is what was done")


def _pump(core: Core) -> None:
    for key in sealing.due(core):
        failed = _run_item(core, partial(sealing.pump, key=key)).error
        if failed is not None:
            log.error("nothing can be sent for a pair: %s: %s", failed.code, failed.message)
            sealing.give_up(core, key, failed.code)


def _answer(core: Core) -> None:
    """Each waiting reader is an item of its own, so that a failure for one does not affect the others."""
    for ticket in reading.woken(core):
        failed = _run_item(core, partial(reading.answer, ticket=ticket)).error
        if failed is not None:
            reading.dismiss(core, ticket, Answered(ticket, None, failed))


def _run_item(core: Core, item: Item) -> Outcome:
    mark = core.mark()
    try:
        with core.db.savepoint():
            value = item(core)
            core.settle()
        return Outcome(value)
    except EnvironmentFault:
        raise
    except P2PError as error:
        core.discard_item(mark)
        return Outcome(error=error)
    except Exception as error:  # a bug of ours must not take the node down; it is logged and answered
        log.exception("an item failed")
        core.discard_item(mark)
        return Outcome(error=Bug(f"the node failed: {type(error).__name__}"))


def _failed(core: Core, items: Sequence[Item], fault: EnvironmentFault) -> tuple[list[Outcome], list[Outward]]:
    log.error("the store failed: %s: %s", fault.code, fault.message)
    effects, core.effects = core.effects, []
    return [Outcome(error=fault) for _ in items], [effect for effect in effects if not isinstance(effect, ForKeys)]
