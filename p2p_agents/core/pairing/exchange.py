"""Pairing over all connections: carries out what the two state machines of link/pairing.py ask for.

A NODE frame names the places of shown codes; a joiner asks each connection that names its own place, and agents of this
node directly. What a batch did to a machine cannot be undone, so a batch that fails ends the codes it touched.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING

from p2p_agents.core.contact import consent
from p2p_agents.core.kernel.effects import PairingMoved
from p2p_agents.core.links import opening
from p2p_agents.core.pairing import linking, meeting, places
from p2p_agents.core.pairing.desk import HERE, CodeState, Desk, Display, Join, Run, WrongTry, error_of
from p2p_agents.errors import (
    BadCode,
    CodeDead,
    CodeExpired,
    CodeWrong,
    Malformed,
    PairFailed,
    PeerFault,
)
from p2p_agents.link.pairing import Dead, Met, Over, Send, Spend, Wrong
from p2p_agents.link.routing import Target
from p2p_agents.store import contacts, pairings, queues
from p2p_agents.store.contacts import Event
from p2p_agents.wire.frame import Pair, decode_frame
from p2p_agents.wire.pairing import Ask, Purpose, Reason, Refuse, decode_message, encode_message

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from p2p_agents.core.kernel.core import Core
    from p2p_agents.core.kernel.state import Peering
    from p2p_agents.link.pairing import Action

log = logging.getLogger(__name__)

NOBODY = b""  # a peer that only sent a wrong word, and is unknown


# --- begin and end of codes ---


def show(core: Core, display: Display) -> None:
    """Show the code: from now on peers may come."""
    core.of(Desk).displays[display.id] = display
    _hold(core, display)
    _announce(core)
    places.take_seats(core)


def withdraw(core: Core, display: Display) -> None:
    """Withdraw a code; a peer in an exchange with it is refused."""
    if display.state is not CodeState.WAITING:
        return
    _hold(core, display)
    _conclude(core, display, CodeState.CANCELLED)
    _deliver_here(core)


def join(core: Core, attempt: Join) -> None:
    """Try the code with everybody that shows it, now and as they appear."""
    core.of(Desk).joins[attempt.id] = attempt
    _hold(core, attempt)
    for address in attempt.dialled:
        core.router.want(Target(b"", address), [address], core.now())
    _seek(core, attempt)
    _deliver_here(core)


def leave(core: Core, attempt: Join) -> None:
    """Nobody waits for the attempt any more: a run in progress is given up, and the tries it used stay used."""
    _hold(core, attempt)
    attempt.over = True
    for run in _runs_of(core, attempt):
        _send(core, run, encode_message(Refuse(Reason.BROKEN)))
        _act(core, run.owner, run.machine, run.machine.closed(run.number))
    core.of(Desk).joins.pop(attempt.id, None)
    if not attempt.peer:
        given = set(contacts.places(core.db))
        for address in set(attempt.dialled) - given:
            core.router.leave(Target(b"", address))
    _deliver_here(core)


def forget_prepared(core: Core) -> None:
    """Codes that brought nobody leave no queue behind."""
    shown = [queue for display in core.of(Desk).shown() for queue in display.prepared]
    tried = [queue for attempt in core.of(Desk).trying() for queue in attempt.prepared]
    queues.forget_unmet(core.db, shown + tried)


# --- receiving ---


def on_pair(core: Core, peering: Peering, frame: Pair) -> None:
    """A message from the other side of a code. Raises Malformed before NODE."""
    if not peering.node:
        raise Malformed("PAIR came before NODE")
    _take(core, peering.id, frame.run, joiner=frame.joiner, data=frame.message)
    _deliver_here(core)


def told(core: Core, bridge: str, place: str, message: bytes, gone: bool) -> None:
    """From the other side of a meeting place at a bridge; an empty message says that it is there."""
    line = places.heard(core, bridge, place, gone=gone)
    if line is None:
        return
    if not message:
        offered(core)
        return
    try:
        frame = decode_frame(message)
    except PeerFault as fault:
        log.info("at a meeting place: %s", fault.message)
        return
    if isinstance(frame, Pair):
        _take(core, line, frame.run, joiner=frame.joiner, data=frame.message)


def offered(core: Core) -> None:
    """Places were announced or withdrawn somewhere."""
    for attempt in core.of(Desk).trying():
        _seek(core, attempt)


def tick(core: Core) -> None:
    """Once a second: end what timed out, and runs of lost connections."""
    now_ms = core.now_ms()
    for display in core.of(Desk).shown():
        for machine in display.machines.values():
            _act(core, display, machine, machine.tick(now_ms))
    for attempt in core.of(Desk).trying():
        _act(core, attempt, attempt.machine, attempt.machine.tick(now_ms))
    for run in list(core.of(Desk).runs.values()):
        if run.connection not in (HERE, *core.peerings, *core.of(Desk).lines.values()):
            _act(core, run.owner, run.machine, run.machine.closed(run.number))
    places.take_seats(core)
    offered(core)
    _deliver_here(core)
    if core.of(Desk).stale:
        _announce(core)
    if core.of(Desk).fallen:
        core.of(Desk).fallen = False
        core.effect(PairingMoved())


def _take(core: Core, connection: int, theirs: int, *, joiner: bool, data: bytes) -> None:
    """Handle one message, by the run that it belongs to."""
    run = _run_of_joiner(core, connection, theirs, data) if joiner else core.of(Desk).runs.get(theirs)
    if run is None or run.connection != connection or isinstance(run.owner, Join) is joiner:
        return  # it crossed the end of its run
    _act(core, run.owner, run.machine, run.machine.received(run.number, data, core.now_ms()))
    if isinstance(run.owner, Display):
        _end_others(core, run.owner)
    else:
        _seek(core, run.owner)


def _run_of_joiner(core: Core, connection: int, theirs: int, data: bytes) -> Run | None:
    """The run of a joiner at one of our codes, started if it asks for a shown one; otherwise it is refused."""
    known = core.of(Desk).asked.get((connection, theirs))
    if known is not None:
        return known
    try:
        message = decode_message(data)
    except PeerFault:
        message = None
    if isinstance(message, Refuse):
        return None
    display = core.of(Desk).shown_at(message.place) if isinstance(message, Ask) else None
    if display is None or not isinstance(message, Ask):
        reason = _why_not(core, message.place) if isinstance(message, Ask) else Reason.BROKEN
        _post(core, connection, theirs, joiner=False, data=encode_message(Refuse(reason)))
        return None
    run = Run(next(core.of(Desk).numbers), connection, theirs, display, display.machines[message.place])
    core.of(Desk).runs[run.number] = core.of(Desk).asked[connection, theirs] = run
    return run


def _why_not(core: Core, place: str) -> Reason:
    """Why a place where nothing is shown any more refuses."""
    ended = core.of(Desk).at(place)
    return Reason.TAKEN if ended is not None and ended.state is CodeState.PAIRED else Reason.DEAD


# --- actions of a machine ---


def _act(core: Core, owner: Display | Join, machine: object, actions: Sequence[Action]) -> None:
    """Carry out actions in order; what they store is committed before what they send leaves."""
    if actions:
        _hold(core, owner)
    for action in actions:
        match action:
            case Send(number, data):
                _send(core, core.of(Desk).runs[number], data)
            case Spend(place, runs):
                pairings.spend(core.db, place, runs, core.now_ms())
            case Met():
                _meet(core, core.of(Desk).runs[action.run], action)
            case Wrong(number, left):
                _tell_wrong(core, owner, core.of(Desk).runs[number].connection, left)
            case Over(number, reason):
                _over(core, core.of(Desk).runs[number], reason)
            case Dead(reason) if isinstance(owner, Display):
                _display_died(core, owner, reason)
            case Dead(reason):
                _join_died(core, owner, reason)


def _meet(core: Core, run: Run, met: Met) -> None:
    """The peer is who it claims to be: store it, then tell a joiner, or open a link to a displayer."""
    owner = run.owner
    try:
        hosted, peer, gift = meeting.met(core, owner, met)
    except (PeerFault, meeting.Unwelcome) as fault:
        if isinstance(owner, Join):
            owner.error = PairFailed(f"the other side cannot be saved: {fault.message}")
        else:
            _act(core, owner, run.machine, owner.machines[_place(owner, run)].rejected(run.number))
        return
    owner.peer = peer
    consent.regard(core, hosted, peer)
    if isinstance(owner, Display):
        _act(core, owner, run.machine, owner.machines[_place(owner, run)].kept(run.number, gift))
    elif (peering := core.peerings.get(run.connection)) is not None:
        opening.open_met(core, peering, hosted, peer)


def _place(display: Display, run: Run) -> str:
    return next(place for place, machine in display.machines.items() if machine is run.machine)


def _tell_wrong(core: Core, owner: Display | Join, connection: int, left: int) -> None:
    """A human is told of every wrong tag (PROTOCOL F1)."""
    if isinstance(owner, Join):
        owner.error = CodeWrong(f"{CodeWrong.meaning()}; {left} tries are left with this code", left=left)
        what = "a code that was typed here was not the one the other side shows"
    else:
        owner.tries = min(owner.tries, left)
        origin = places.origin(core, connection)
        owner.wrong.append(WrongTry(core.now_ms(), origin, owner.tries))
        what = f"somebody at {origin} tried a code shown here with other words"
    contacts.record(core.db, Event(owner.agent, NOBODY, "pairing_wrong", what, core.now_ms()))
    core.effect(PairingMoved())


def _over(core: Core, run: Run, reason: Reason | None) -> None:
    """The run ended."""
    del core.of(Desk).runs[run.number]
    core.of(Desk).asked.pop((run.connection, run.theirs), None)
    owner = run.owner
    if isinstance(owner, Join) and reason is not None and not isinstance(owner.error, CodeWrong):
        owner.error = linking.why_barred(core, owner.machine.met_barred) or error_of(reason)
        if owner.purpose is Purpose.LINK and reason is Reason.IDENTITY:
            linking.refused(core)


def _display_died(core: Core, display: Display, reason: Reason | None) -> None:
    """A code lives as long as the way that was used; before one is used, both end together."""
    if any(machine.taken and not machine.dead for machine in display.machines.values()):
        return
    if display.state is not CodeState.WAITING:
        return
    if display.peer:
        _conclude(core, display, CodeState.PAIRED)
    else:
        late = reason is Reason.TIMEOUT and core.now_ms() >= display.ends_ms
        _conclude(core, display, CodeState.EXPIRED if late else CodeState.DEAD)


def _conclude(core: Core, display: Display, state: CodeState) -> None:
    display.state = state
    if state is CodeState.PAIRED:
        for place in display.machines:
            pairings.use(core.db, place, core.now_ms())
    for machine in display.machines.values():
        _act(core, display, machine, machine.end())
    _announce(core)
    core.effect(PairingMoved())


def _end_others(core: Core, display: Display) -> None:
    """The first right tag takes the code, by whichever way it came."""
    if any(machine.taken for machine in display.machines.values()):
        for machine in display.machines.values():
            if not machine.taken:
                _act(core, display, machine, machine.end())


def _join_died(core: Core, attempt: Join, reason: Reason | None) -> None:
    if reason not in (Reason.WRONG, Reason.TIMEOUT):  # the words were right, and a code works only once
        pairings.use(core.db, attempt.place, core.now_ms())
    if attempt.error is None and reason is not None:
        attempt.error = CodeExpired() if reason is Reason.TIMEOUT else error_of(reason)
    _end_attempt(core, attempt)


# --- whom a joiner asks ---


def _seek(core: Core, attempt: Join) -> None:
    """Ask the next responder if no run is in progress; end after the last one gave a final answer."""
    if attempt.over or core.of(Desk).running(attempt):
        return
    broken = isinstance(attempt.error, PairFailed)  # perhaps only the line: worth another try
    for node, connection in _responders(core, attempt):
        if node not in attempt.asked or (broken and attempt.asked[node] != connection):
            attempt.asked[node] = connection
            _begin(core, attempt, connection)
            return
    if attempt.error is not None and not broken:
        _end_attempt(core, attempt)


def _begin(core: Core, attempt: Join, connection: int) -> None:
    number = next(core.of(Desk).numbers)
    try:
        actions = attempt.machine.start(number, core.now_ms())
    except CodeDead:  # it expired since the last tick
        attempt.error = CodeExpired()
        _end_attempt(core, attempt)
        return
    core.of(Desk).runs[number] = Run(number, connection, number, attempt, attempt.machine)
    _act(core, attempt, attempt.machine, actions)


def _responders(core: Core, attempt: Join) -> Iterator[tuple[bytes, int]]:
    """Those that say they show the code, by node: agents of this node, nodes that we dialed, nodes that dialed us.

    Two connections to one node are one responder: one mistyped code should not use up two tries.
    """
    display = core.of(Desk).at(attempt.place)
    if display is not None and display.agent != attempt.agent:
        yield core.node, HERE
    for peering in sorted(core.peerings.values(), key=lambda peering: not peering.dialed):
        if peering.node and attempt.place in peering.places:
            yield peering.node, peering.id
    yield from places.responders(core, attempt)


def check_other(core: Core, agent: int, place: str) -> None:
    """Raises BadCode for a code that the agent itself shows."""
    display = core.of(Desk).shown_at(place)
    if display is not None and display.agent == agent:
        raise BadCode("this agent shows that code itself", hint="type it at the other side")


def _end_attempt(core: Core, attempt: Join) -> None:
    attempt.over = True
    core.effect(PairingMoved())


# --- sending ---


def _send(core: Core, run: Run, data: bytes) -> None:
    _post(core, run.connection, run.theirs, joiner=isinstance(run.owner, Join), data=data)


def _post(core: Core, connection: int, theirs: int, *, joiner: bool, data: bytes) -> None:
    if connection == HERE:
        core.of(Desk).here.append((theirs, joiner, data))
    elif connection in core.peerings:
        core.send(connection, Pair(theirs, joiner, data))
    else:
        places.tell(core, connection, Pair(theirs, joiner, data))


def _deliver_here(core: Core) -> None:
    """Deliver the messages between two agents of this node, all in one transaction."""
    while core.of(Desk).here:
        theirs, joiner, data = core.of(Desk).here.popleft()
        _take(core, HERE, theirs, joiner=joiner, data=data)


def _runs_of(core: Core, owner: Display | Join) -> list[Run]:
    return [run for run in core.of(Desk).runs.values() if run.owner is owner]


def _announce(core: Core) -> None:
    """Tell every connection our meeting places, now or with the next tick."""
    core.of(Desk).stale = not core.of(Desk).announcements.take(core.now())
    if not core.of(Desk).stale:
        opening.announce_roster(core)


# --- failure ---


def _hold(core: Core, owner: Display | Join) -> None:
    """A machine is about to move: if the batch fails, its code ends too."""
    core.undo.append(partial(_fall, core, owner))


def _fall(core: Core, owner: Display | Join) -> None:
    if isinstance(owner, Display):
        owner.state, owner.peer = CodeState.DEAD, b""
    else:
        owner.over, owner.peer, owner.error = True, b"", PairFailed("this node could not save what was agreed")
    for run in _runs_of(core, owner):
        del core.of(Desk).runs[run.number]
        core.of(Desk).asked.pop((run.connection, run.theirs), None)
    core.of(Desk).here.clear()
    core.of(Desk).stale = core.of(Desk).fallen = True
