"""The control methods of pairing: showing codes, and trying codes of others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from p2p_agents.core.agents import ownership
from p2p_agents.core.api import showing
from p2p_agents.core.contact import directory
from p2p_agents.core.kernel.clock import time_text
from p2p_agents.core.pairing import exchange, linking
from p2p_agents.core.pairing.desk import CodeState, Desk, Display, Join
from p2p_agents.core.relay import ways
from p2p_agents.crypto import codes, oob
from p2p_agents.crypto.fingerprint import id_text
from p2p_agents.crypto.introduction import Self
from p2p_agents.errors import (
    Busy,
    CodeDead,
    CodeExpired,
    CodeUsed,
    NoAgent,
    NobodyFound,
    PairCancelled,
    PairUnknown,
)
from p2p_agents.limits import (
    OOB_ADDRESSES,
    PAIRING_CODE_MS,
    PAIRING_REMEMBERED,
    PAIRING_SHOWN,
    PAIRING_WRONG,
)
from p2p_agents.link.displaying import Displayer
from p2p_agents.link.joining import Joiner
from p2p_agents.quic.address import format_address
from p2p_agents.store import contacts, pairings
from p2p_agents.wire.pairing import Purpose

if TYPE_CHECKING:
    from collections.abc import Sequence

    from p2p_agents.core.kernel.core import Core
    from p2p_agents.core.kernel.state import Hosted
    from p2p_agents.errors import P2PError
    from p2p_agents.link.pairing import Secret
    from p2p_agents.results import pairing as results
    from p2p_agents.store.queues import OwnQueue

Json = dict[str, Any]

ID_BYTES = 8
ANY_PEER = b""  # a petname is checked before the peer is known


# --- showing a code ---


def start(core: Core, params: Json) -> results.Code:
    """A new code, the agent's only one. `addresses` are where this node listens, (IP, port) each."""
    hosted = core.acting(params["agent"])
    petname = _petname(core, hosted, params)
    purpose = Purpose.LINK if params["device"] else Purpose.CONTACT
    if purpose is Purpose.LINK:
        linking.check_host(core, hosted)
    since_ms = linking.history_since(params["history"], core.now_ms())
    earlier = [display for display in core.of(Desk).shown() if display.agent == hosted.local.id]
    if len(core.of(Desk).shown()) - len(earlier) >= PAIRING_SHOWN:
        raise Busy(f"this node shows {PAIRING_SHOWN} codes already")
    for display in earlier:
        exchange.withdraw(core, display)
    display = _draw(core, hosted, petname, purpose, tuple(params.get("addresses", ()))[:OOB_ADDRESSES])
    display.since_ms = since_ms
    exchange.show(core, display)
    _forget_ended(core)
    return {
        "id": display.id,
        "code": display.code.shown(),
        "uri": oob.show(display.invitation),
        "link": _link(core, display.code, params.get("bridge")) if purpose is Purpose.CONTACT else None,
        "expires": time_text(display.ends_ms),
        "agent": {"id": id_text(hosted.local.agent), "name": hosted.local.name},
        "purpose": str(purpose),
        "withdrew": earlier[-1].code.place if earlier else None,
    }


def _link(core: Core, code: codes.Code, wanted: str | None) -> str | None:
    """A page at a bridge that this node uses, the first one unless another is given: the words, and the bridge's key
    for the joiner, follow the #, which browsers do not send."""
    used = [address for address, known in core.bridges.items() if known.configured]
    bridge = wanted if wanted in used else next(iter(used), None)
    words, _, place = code.shown().rpartition("-")
    return f"https://{ways.host_of(bridge)}/p/{place}#{words}-{bridge.rpartition('#')[2]}" if bridge else None


def status(core: Core, params: Json) -> results.CodeState:
    """The state of a code; after `tries` more wrong tags it is dead."""
    hosted = core.acting(params["agent"])
    return _shown(core, hosted, _find(core, hosted, params["code"]))


def cancel(core: Core, params: Json) -> results.CodeState:
    """Withdraw a code: without a name, the one that is shown now. Raises PairUnknown."""
    hosted = core.acting(params["agent"])
    display = _find(core, hosted, params["code"])
    if params["code"] is None and display.state is not CodeState.WAITING:
        raise PairUnknown(f"{hosted.local.name} shows no code now; there is nothing to withdraw")
    exchange.withdraw(core, display)
    return _shown(core, hosted, display)


def outcome(core: Core, params: Json) -> results.CodeState | None:
    """The result of a code, or its state once there were more wrong tries than the caller has `seen`; None while it
    waits. Raises CodeExpired, CodeDead or PairCancelled."""
    hosted = core.acting(params["agent"])
    display = _find(core, hosted, params["code"])
    seen = params.get("seen")
    if seen is not None and len(display.wrong) > seen:
        return _shown(core, hosted, display)
    match display.state:
        case CodeState.WAITING:
            return None
        case CodeState.PAIRED:
            return _shown(core, hosted, display)
        case CodeState.EXPIRED:
            raise CodeExpired(hint="run: p2p-agents pair")
        case CodeState.CANCELLED:
            raise PairCancelled
    often = f"the code was tried {PAIRING_WRONG} times with other words"
    told = "the exchange broke off" if display.tries else often
    raise CodeDead(told, hint="run: p2p-agents pair", wrong=_wrong_tries(display))


def _draw(
    core: Core, hosted: Hosted, petname: str | None, purpose: Purpose, addresses: tuple[tuple[str, int], ...]
) -> Display:
    now_ms = core.now_ms()
    ends_ms = now_ms + PAIRING_CODE_MS
    code = codes.draw(core.entropy)
    invitation = oob.Invitation(hosted.local.agent, core.entropy.draw(oob.SECRET_BYTES), addresses, ends_ms)
    prepared = ways.prepare(core, hosted.local.device)
    machines = {
        secret.place: Displayer(secret, purpose, _self(hosted, prepared), core.entropy, now_ms)
        for secret in (code, invitation)
    }
    identity = core.entropy.draw(ID_BYTES).hex()
    names = tuple(own.queue for own in prepared)
    shown = len(hosted.speaker.identity.entries)
    return Display(
        identity, hosted.local.id, code, invitation, petname, machines, ends_ms, names, purpose, shown_entries=shown
    )


def _self(hosted: Hosted, prepared: Sequence[OwnQueue]) -> Self:
    speaker = hosted.speaker
    routes = tuple(own.route for own in prepared)
    return Self(speaker.key, speaker.identity, speaker.bundle, speaker.name, speaker.kind, routes)


def _find(core: Core, hosted: Hosted, word: str | None) -> Display:
    """By its id, its place, its words or its text; without any, the newest. Raises PairUnknown."""
    own = [display for display in core.of(Desk).displays.values() if display.agent == hosted.local.id]
    for display in reversed(own):
        names = (display.id, display.code.place, display.code.shown(), oob.show(display.invitation))
        if word is None or word in names or word.upper() in names:
            return display
    raise PairUnknown


def _forget_ended(core: Core) -> None:
    displays = core.of(Desk).displays
    ended = [display.id for display in displays.values() if display.state is not CodeState.WAITING]
    for identity in ended[: max(0, len(displays) - PAIRING_REMEMBERED)]:
        del displays[identity]


def _shown(core: Core, hosted: Hosted, display: Display) -> results.CodeState:
    shown: results.CodeState = {
        "id": display.id,
        "state": str(display.state),
        "tries": display.tries,
        "wrong": _wrong_tries(display),
        "expires": time_text(display.ends_ms),
    }
    if display.state is not CodeState.PAIRED:
        return shown
    if display.purpose is Purpose.LINK:
        return shown | {"device": ownership.device(core, hosted, display.device)}
    joined = _contact(core, hosted, display.peer)
    return {**shown, "contact": joined["contact"], "trust": joined["trust"]}


def _wrong_tries(display: Display) -> list[results.WrongTry]:
    return [{"time": time_text(it.time_ms), "from": it.origin, "left": it.left} for it in display.wrong]


def _contact(core: Core, hosted: Hosted, peer: bytes) -> results.Joined:
    found = contacts.contact(core.db, hosted.local.id, peer)
    assert found is not None
    return {"contact": showing.contact(core, hosted, found), "trust": found.trust.name.lower()}


def _petname(core: Core, hosted: Hosted, params: Json) -> str | None:
    name: str | None = params["petname"]
    return None if name is None else directory.check_petname(core, hosted, ANY_PEER, name)


# --- trying a code ---


def begin_join(core: Core, params: Json) -> str:
    """Start trying a code; returns the attempt's id. Raises BadCode, CodeDead and related errors, UnknownVersion,
    BadName or Busy."""
    hosted = core.acting(params["agent"])
    petname = _petname(core, hosted, params)
    secret = _read(params["code"], core.now_ms())
    exchange.check_other(core, hosted.local.id, secret.place)
    prepared = ways.prepare(core, hosted.local.device)
    return _begin(core, secret, Purpose.CONTACT, hosted.local.id, petname, _self(hosted, prepared), prepared)


def begin_link(core: Core, params: Json) -> str:
    """Start to become a device of the agent that shows this code. Raises as `begin_join`, and AgentExists or
    AlreadyHere."""
    secret = _read(params["code"], core.now_ms())
    linking.check_free(core, params["name"], secret.place)
    key = linking.newcomer(core)
    prepared = ways.prepare(core, key.public)
    me = linking.introduce(key, prepared)
    return _begin(core, secret, Purpose.LINK, linking.NO_AGENT, params["name"], me, prepared)


def _begin(
    core: Core,
    secret: Secret,
    purpose: Purpose,
    agent: int,
    name: str | None,
    me: Self,
    prepared: Sequence[OwnQueue],
) -> str:
    if any(attempt.place == secret.place for attempt in core.of(Desk).joins.values()):
        raise Busy("this code is being tried already")
    spent, used = pairings.tries(core.db, secret.place)
    if used:
        raise CodeUsed
    if spent >= PAIRING_WRONG:
        raise CodeDead(f"this code was tried {PAIRING_WRONG} times here")
    barred = linking.barred(core) if purpose is Purpose.LINK else ()
    machine = Joiner(secret, purpose, me, core.entropy, core.now_ms(), spent=spent, barred=barred)
    dialled = tuple(map(format_address, secret.addresses)) if isinstance(secret, oob.Invitation) else ()
    number, names = core.entropy.draw(ID_BYTES).hex(), tuple(own.queue for own in prepared)
    attempt = Join(number, agent, secret.place, name, machine, dialled, core.now(), names, purpose)
    exchange.join(core, attempt)
    return attempt.id


def is_over(core: Core, attempt: str) -> bool:
    found = core.of(Desk).joins.get(attempt)
    return found is None or found.over


def end_join(core: Core, attempt: str) -> results.Joined | results.Linked | P2PError:
    """The result of an attempt; one still in progress is given up. Errors are returned, not raised, so that their
    changes are stored."""
    found = core.of(Desk).joins.get(attempt)
    if found is None:
        return PairCancelled()
    exchange.leave(core, found)
    if found.peer and found.purpose is Purpose.LINK:
        hosted = core.hosted_id(found.peer)
        if hosted is None:
            return NoAgent("the agent was removed from this node")
        return {"agent": showing.agent(core, hosted)}
    if found.peer:
        return _contact(core, core.host(found.agent), found.peer)
    return found.error or NobodyFound()


def _read(text: str, now_ms: int) -> Secret:
    if text.startswith("https://"):  # a link from `_link`, pasted as a whole
        page, _, words = text.partition("#")
        text = "-".join([*words.split("-")[:2], page.rpartition("/")[2]])  # the rest is the bridge's key
    return oob.read(text, now_ms) if oob.is_invitation(text) else codes.parse(text)
