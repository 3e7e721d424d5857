"""The control methods about bridges: use one, leave one, and show their state."""

from __future__ import annotations

import asyncio
import base64
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from p2p_agents.core.api import addressing
from p2p_agents.core.kernel.clock import time_text
from p2p_agents.core.relay.ways import host_of
from p2p_agents.core.turn import relays
from p2p_agents.errors import BridgeImpostor, BridgeRefused, BridgesFull, BridgeUnknown, BridgeUnreachable
from p2p_agents.limits import BRIDGES_CONFIGURED
from p2p_agents.link.bridge_news import in_words
from p2p_agents.node.doctor import Check
from p2p_agents.store import bridges as kept
from p2p_agents.wire.bridge_address import parse_bridge
from p2p_agents.wire.relay_answers import Admission, Refusal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from p2p_agents.core.kernel.core import Core
    from p2p_agents.node.bridges import Bridges, Served
    from p2p_agents.node.writer import Writer
    from p2p_agents.store.bridges import Configured

Json = dict[str, Any]

INVITED_ONLY = (
    "that bridge admits only those invited: a stranger without a bridge of their own can ask there, but gets no answer"
)
OPEN_S = 3.0  # a queue is created within this time if the bridge is up


class BridgeDesk:
    """The methods about bridges, and an agent's own address at one."""

    def __init__(self, bridges: Bridges, writer: Writer) -> None:
        self._bridges = bridges
        self._writer = writer
        self._methods: dict[str, Callable[[Json], Awaitable[Json]]] = {
            "bridge.add": self._add,
            "bridge.remove": self._remove,
            "bridge.list": self._list,
            "bridge.status": self._status,
            "requests.address": self._address,
        }

    async def call(self, method: str, params: Json) -> Json:
        return await self._methods[method](params)

    async def _list(self, params: Json) -> Json:
        return {"bridges": [shown for shown in await self._all() if shown["configured"]]}

    async def _status(self, params: Json) -> Json:
        return {"bridges": await self._some(params["address"])}

    async def _address(self, params: Json) -> Json:
        """An agent's own address, and whether requests can be left there; waits for a new one."""
        shown: Json = await self._writer.call(lambda core: addressing.address(core, params))
        queue, bridge = shown.pop("queue"), shown["bridge"]
        served = self._bridges.get(bridge) if bridge else None
        if served is None:
            return shown | {"open": False, "why": None}
        machine, health = served.machine, served.machine.health
        with suppress(TimeoutError):
            async with asyncio.timeout(OPEN_S):
                while not (machine.reads(queue) or queue in served.unread or health.failure):
                    await self._bridges.changed()
        failure = health.failure.why if health.failure else "the bridge has not answered yet"
        code = health.admission or served.unread.get(queue)
        if not machine.reads(queue):
            return shown | {"open": False, "why": in_words(code) if code else failure}
        closed = machine.line is not None and machine.line.terms.admission is not Admission.OPEN
        return shown | {"open": True, "why": INVITED_ONLY if closed else None}

    async def checks(self) -> list[Json]:
        """One check for each configured bridge."""
        return [_check(shown).shown() for shown in await self._all() if shown["configured"]]

    async def _add(self, params: Json) -> Json:
        """Raises the same as `_settle`; a bridge that refuses a new token keeps the old one, or is left if it had
        none."""
        address, given = str(parse_bridge(params["address"])), params["token"] or None
        everything: list[Configured] = await self._writer.call(lambda core: kept.everything(core.db))
        before = {one.address: one.token for one in everything}
        token = given or before.get(address, "")
        await self._change(lambda core: kept.add(core.db, address, given, core.now_ms()), room_for=address)
        self._bridges.admit(address)
        try:
            await self._settle(address, token, params["timeout"])
        except (BridgeImpostor, BridgeRefused):
            await self._take_back(address, before.get(address), token)
            raise
        return {"bridge": next(shown for shown in await self._all() if shown["address"] == address)}

    async def _take_back(self, address: str, before: str | None, token: str) -> None:
        """Undo a mistake: leave a bridge that was not used before, or restore its earlier token."""
        if before is None:
            await self._change(lambda core: kept.remove(core.db, address))
        elif before != token:
            await self._change(lambda core: kept.add(core.db, address, before, core.now_ms()))
            self._bridges.admit(address)

    async def _remove(self, params: Json) -> Json:
        found = _find(await self._all(), params["address"], configured=True)
        await self._change(lambda core: kept.remove(core.db, found["address"]))
        return {"address": found["address"], "removed": True}

    async def _some(self, wanted: str | None) -> list[Json]:
        everything = await self._all()
        return [_find(everything, wanted)] if wanted else everything

    async def _change(self, change: Callable[[Core], object], room_for: str = "") -> None:
        """Store the change, tell the core, and apply it."""

        def item(core: Core) -> tuple[list[Configured], set[str]]:
            change(core)
            configured = kept.everything(core.db)
            if room_for and len(configured) > BRIDGES_CONFIGURED:
                raise BridgesFull(f"this node uses {BRIDGES_CONFIGURED} bridges already, and no more")
            relays.restored(core, [one.address for one in configured])
            return configured, set(core.bridges)

        configured, needed = await self._writer.call(item)
        self._bridges.configure(configured, needed)

    async def _settle(self, address: str, token: str, seconds: float) -> None:
        """Wait until the bridge admits us. Raises BridgeImpostor, BridgeRefused or BridgeUnreachable."""
        try:
            async with asyncio.timeout(seconds):
                while (served := self._bridges.get(address)) is not None and not _is_settled(served, token):
                    await self._bridges.changed()
        except TimeoutError:
            raise _unreachable(address, f"nothing within {seconds:g} s") from None

    async def _all(self) -> list[Json]:
        """Their current states, the configured ones first and in their order."""
        configured: list[Configured] = await self._writer.call(lambda core: kept.everything(core.db))
        known = {one.address: one for one in configured}
        others = [served.address for served in self._bridges if served.address not in known]
        served = [(known.get(address), self._bridges.get(address)) for address in (*known, *others)]
        return [self._shown(entry, one) for entry, one in served if one is not None]

    def _shown(self, entry: Configured | None, served: Served) -> Json:
        machine, line, health = served.machine, served.machine.line, served.machine.health
        now = asyncio.get_running_loop().time()
        due = machine.next_try()
        return {
            "address": served.address,
            "configured": entry is not None,
            "token": bool(entry and entry.token),
            "added": time_text(entry.added_ms) if entry else None,
            "state": _state(served),
            "why": health.failure.why if health.failure else in_words(health.admission) if health.admission else None,
            "way": line.way if line else None,
            "account": base64.b32encode(served.account.public).decode().rstrip("=").lower(),
            "observed": health.observed or None,
            "queues": machine.reading,
            "unread": len(served.unread),
            "waiting": served.waiting,
            "rtt_ms": round(health.round_trip_s * 1000, 1) if health.round_trip_s is not None else None,
            "heard": _time(health.reached_at, now),
            "failures": health.failures,
            "refusal": health.refusal or None,
            "refusal_why": in_words(health.refusal) if health.refusal else None,
            "refused": _time(health.refused_at, now) if health.refusal else None,
            "next_try_s": round(max(0.0, due - now), 1) if due is not None else None,
        }


def _time(at: float | None, now: float) -> str | None:
    """The wall time of a time by the loop's clock."""
    return time_text(int((time.time() - (now - at)) * 1000)) if at is not None else None


def _state(served: Served) -> str:
    line = served.machine.line
    if line is None:
        return "down" if served.machine.health.failure else "connecting"
    if line.admitted is None and served.configured:
        return "connecting"
    return "not admitted" if line.admitted is False and served.configured else "up"


def _unreachable(address: str, why: str) -> BridgeUnreachable:
    place = host_of(address)
    remove = f"p2p-agents bridge remove {place}"
    return BridgeUnreachable(
        f"{place} does not answer: {why}",
        hint=f"it is kept and tried again; if the address is wrong: {remove}",
    )


def _is_settled(served: Served, token: str) -> bool:
    """Raises BridgeImpostor, BridgeRefused or BridgeUnreachable."""
    health, line = served.machine.health, served.machine.line
    failure = health.failure
    if failure is not None and failure.code == BridgeImpostor.code:
        raise BridgeImpostor(f"{host_of(served.address)} does not hold the key in the address: {failure.why}")
    if failure is not None and failure.code == BridgeRefused.code:
        raise BridgeRefused(f"{host_of(served.address)} admits nobody: {failure.why}")
    if failure is not None and line is None:
        raise _unreachable(served.address, failure.why)
    if line is None or not health.admission:
        return _state(served) != "connecting"
    account = base64.b32encode(served.account.public).decode().rstrip("=").lower()
    place = host_of(served.address)
    also = "" if health.admission == Refusal.ADMISSION else f": {in_words(health.admission)}"
    if line.terms.admission is Admission.LIST:
        hint = f"ask its operator to run: p2p-bridge allow add {account}"
        raise BridgeRefused(f"{place} admits those on its list{also}", hint=hint, account=account)
    if token:
        hint = "it may be mistyped, revoked or used up; ask the bridge's operator for another"
        raise BridgeRefused(f"{place} does not take that token{also}", hint=hint, account=account)
    raise BridgeRefused(f"{place} does not admit this node without a token{also}", account=account)


def _find(everything: list[Json], wanted: str, *, configured: bool = False) -> Json:
    """By its address, or its host with or without the port. Raises BridgeUnknown."""
    for shown in everything:
        place = host_of(shown["address"])
        named = wanted in (shown["address"], place, place.rpartition(":")[0].strip("[]"))
        if named and (shown["configured"] or not configured):
            return shown
    raise BridgeUnknown(f"no bridge of this node is {wanted[:80]!r}")


def _check(shown: Json) -> Check:
    name = f"bridge {host_of(shown['address'])}"
    if shown["state"] == "up":
        queues = "1 queue is" if shown["queues"] == 1 else f"{shown['queues']} queues are"
        by = "QUIC" if shown["way"] == "quic" else "a WebSocket, because QUIC was not answered in time"
        return Check(name, True, f"reached by {by} in {shown['rtt_ms']:g} ms; {queues} read")
    if shown["state"] == "connecting":
        return Check(name, None, "connecting", "ask again in a second")
    hint = BridgeRefused.hint if shown["state"] == "not admitted" else "messages wait and are sent when it answers"
    return Check(name, False, f"{shown['state']}: {shown['why']}", hint)
