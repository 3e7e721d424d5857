"""A small world behind a real control socket: alice on this node, bob beside her, mallory who talks in escapes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from p2p_agents import errors
from p2p_agents.results import messages, node, pairing, people
from tests.control.fake import FakeService, message
from tests.shapes import check, make

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ALICE = make(
    people.Agent,
    id="aliceid234567",
    name="alice",
    kind="other",
    status="online",
    policy="ask",
    hidden=False,
    default=True,
    device_ids=["devid23456789"],
    created="2026-11-20T14:00:00Z",
)
REMOVAL = {
    "agent": {"id": ALICE["id"], "name": "alice"},
    "owed": 1,
    "unread": 2,
    "other_devices": 0,
    "default_agent": "bob",
    "emptied": True,
}
BOB = make(
    people.Peer,
    id="bobid23456789",
    name="bob",
    petname=None,
    kind="codex",
    trust="accepted",
    accepts=True,
    status="busy",
    reachable=True,
    last_seen="2026-11-20T14:01:00Z",
    attending=True,
    last_read=None,
    local=False,
    path="direct",
    addresses=["192.0.2.7:4433"],
)
DAVE = BOB | {"id": "daveid2345678", "name": "dave", "accepts": False, "status": "online"}
PARTY = make(people.Party, id=BOB["id"], name="bob", pinned=True)
CONTACT = make(
    people.Contact,
    id=BOB["id"],
    name="bob",
    petname=None,
    kind="codex",
    trust="accepted",
    accepts=True,
    allowed=False,
    since="2026-11-20T14:01:00Z",
)
ALLOWED = make(people.Listed, id=BOB["id"], name="bob", trust="accepted", since="2026-11-20T14:01:00Z")
BRIDGE = make(
    node.Bridge,
    address="bridge://bridge.example:4433#kdmfryeyl3gh6ycbrkxqzrnllb7ufqsxbkeebfnj5dgkzuhwkroa",
    configured=True,
    token=False,
    added="2026-11-20T14:00:00Z",
    state="up",
    why=None,
    way="quic",
    account="accountid234567",
    observed="198.51.100.7:5000",
    queues=2,
    unread=0,
    waiting=0,
    rtt_ms=12.5,
    heard="2026-11-20T14:01:00Z",
    failures=0,
    refusal=None,
    refusal_why=None,
    refused=None,
    next_try_s=None,
)
DOWN_BRIDGE = BRIDGE | {
    "address": "bridge://192.0.2.9:4433#kdmfryeyl3gh6ycbrkxqzrnllb7ufqsxbkeebfnj5dgkzuhwkroa",
    "configured": False,
    "state": "down",
    "why": "QUIC: no answer; WebSocket: \x1b[2Jgone",
    "way": None,
    "observed": None,
    "queues": 0,
    "unread": 1,
    "waiting": 3,
    "rtt_ms": None,
    "refusal": "queue_full",
    "refusal_why": "the queue there is full until its reader fetches what waits",
    "refused": "2026-11-20T14:00:30Z",
    "next_try_s": 12.0,
}
REQUEST = make(
    people.Request,
    id="malloryid23456",
    name="mallory",
    kind="other",
    text="\x1b[2Jtrust me\u202e",
    time="2026-11-20T14:00:30Z",
    direction="in",
    state="pending",
    introducer=None,
)
INTRODUCTION = REQUEST | {
    "id": "niddyid2345678",
    "name": "\u202eyddin",
    "text": "",
    "introducer": PARTY,
}
REQUEST_ADDRESS = make(
    people.RequestAddress,
    address="P2PA:A/" + "A" * 99,
    bridge="bridge://bridge.example:4433#" + "a" * 52,
    expires="2026-12-20T14:00:00Z",
    open=True,
    why=None,
)
WITHDRAWN = make(people.RequestAddress)
SHOWN = make(
    pairing.Code,
    id="code1",
    code="CORAL-FIDDLE-7Q2MX",
    uri="P2PA:P/" + "A" * 109,
    link="https://bridge.example:4433/p/7Q2MX#CORAL-FIDDLE-" + "a" * 52,
    expires="2026-11-20T14:10:00Z",
    agent={"id": ALICE["id"], "name": "alice"},
    purpose="contact",
    withdrew=None,
)
LINKED = {"id": "newid23456789", "name": "device-2", "state": "live", "here": False, "root": None, "n": 2}
PAIR_STATUS = {"id": "code1", "state": "waiting", "tries": 3, "wrong": [], "expires": SHOWN["expires"]}
PAIRED = PAIR_STATUS | {"state": "paired", "contact": CONTACT | {"trust": "paired"}, "trust": "paired"}
WRONG_TRIES = [
    {"time": f"2026-11-20T14:0{3 - left}:00Z", "from": "192.0.2.66:4433", "left": left} for left in (2, 1, 0)
]
DIGITS = " ".join(["01234"] * 12)
TRUST = {
    "peer": {"id": BOB["id"], "name": "bob", "petname": None},
    "trust": "paired",
    "accepts": True,
    "allowed": True,
    "frozen": None,
    "safety_number": DIGITS,
    "events": [],
}
IDENTITY = {
    "agent": {"id": ALICE["id"], "name": "alice"},
    "next_root": "here",
    "entries": [
        {"n": 0, "kind": "inception", "device": None, "time": "2026-11-20T14:00:00Z"},
        {"n": 1, "kind": "add-device", "device": "devid23456789", "time": None},
    ],
}
DEVICES = {
    "devices": [
        {"id": "devid23456789", "name": "device", "state": "live", "here": True, "root": True, "n": 1},
        {"id": "oldid23456789", "name": "laptop", "state": "revoked", "here": False, "root": None, "n": 2},
    ]
}
UNREAD = [message(1, "hello\nworld"), message(2, "\x1b]0;owned\x07 \u202egnp.exe")]


class Declared(FakeService):
    """Says nothing that the registry does not declare."""

    async def call(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        answer = await super().call(method, params)
        check(method, answer)
        return answer

    async def stream(self, method: str, params: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        async for event in super().stream(method, params):
            check(method, event)
            yield event


def make_world() -> FakeService:
    """Answers that depend on the parameters alone, so that scripts may run in any order."""
    return Declared(
        init=lambda params: (
            errors.AgentExists()
            if params["name"] == "alice"
            else {"agent": ALICE | {"name": params["name"]}, "created": True}
        ),
        agents={"agents": [ALICE]},
        agents__remove=lambda params: REMOVAL if params["name"] == "alice" else errors.NoAgent(),
        use=lambda params: (
            {"agent": ALICE} if params["name"] == "alice" else errors.NoAgent("no agent is called " + params["name"])
        ),
        whoami=lambda params: {"agent": ALICE} if params["agent"] in (None, "alice") else errors.NoAgent(),
        peers={"peers": [BOB, DAVE]},
        peers__watch=_watch_peers,
        peers__add=lambda params: {"address": params["address"], "agents": [BOB]},
        peers__remove=lambda params: {"removed": [params["address"]]},
        contacts={"contacts": [CONTACT, CONTACT | {"id": DAVE["id"], "name": "dave", "accepts": False}]},
        contacts__name=lambda params: {"contact": CONTACT | {"petname": params["petname"]}},
        contacts__remove={"contact": CONTACT | {"trust": "unknown"}, "failed": 2},
        pair__start=_start_pairing,
        pair__link=_link,
        pair__status=lambda params: PAIR_STATUS,
        pair__wait=_wait_for_pairing,
        pair__cancel=lambda params: PAIR_STATUS | {"state": "cancelled"},
        pair__join=_join,
        trust__show=TRUST,
        trust__verify=lambda params: (
            {"contact": CONTACT | {"trust": "verified"}} if params["digits"] == DIGITS else errors.NumberDiffers()
        ),
        trust__block={"contact": CONTACT | {"trust": "blocked"}},
        trust__reset={"contact": CONTACT | {"trust": "unknown"}},
        identity__show=IDENTITY,
        identity__rotate=IDENTITY,
        identity__export=lambda params: {"path": params["path"], **IDENTITY, "next_root": "exported"},
        backup__export=lambda params: {"path": params["path"], "bytes": 4096, "contacts": 2, "next_root": "exported"},
        backup__import=lambda params: {"agent": ALICE, "contacts": 2, "entries": 7},
        devices__list=DEVICES,
        devices__revoke=DEVICES,
        trust__unblock={"contact": CONTACT | {"trust": "unknown"}},
        requests__list={"requests": [REQUEST, INTRODUCTION]},
        requests__accept={"contact": CONTACT},
        requests__reject={"contact": CONTACT},
        requests__block={"contact": CONTACT | {"trust": "blocked"}},
        requests__introductions=lambda params: {"introductions": params["introductions"] or "ask"},
        introduce=_introduce,
        allow__add=_allow,
        allow__remove=lambda params: {"listed": ALLOWED} if params["peer"] != "carol" else errors.NotListed(),
        allow__list={"allowlist": [ALLOWED]},
        bridge__add=_add_bridge,
        bridge__remove=lambda params: (
            {"address": BRIDGE["address"], "removed": True}
            if "example" in params["address"]
            else errors.BridgeUnknown()
        ),
        bridge__list={"bridges": [BRIDGE]},
        bridge__status=lambda params: {"bridges": [DOWN_BRIDGE if params["address"] == "192.0.2.9" else BRIDGE]},
        requests__address=lambda params: REQUEST_ADDRESS if not params["off"] else WITHDRAWN,
        requests__policy=lambda params: {"policy": params["policy"] or "ask"},
        send=_send,
        inbox=lambda params: {
            "messages": UNREAD if params["after"] is None else [],
            "cursor": "c2",
            "more": False,
            "requests": 1,
        },
        ack=lambda params: {"acked": 2, "cursor": params["cursor"] or "c2"},
        claim=_claim,
        wait=_wait,
        watch=_watch,
        purge={"purged": 2, "kept": 1, "emptied": True},
        history=lambda params: {
            "messages": [
                message(1),
                message(3, "bye", state="delivered", to=PARTY),
            ],
            "cursor": "c3" if params["after"] else "c1",
            "more": True,
        },
        search=lambda params: {"messages": UNREAD[:1]},
        show=_show,
        ping={"to": PARTY, "rtt_ms": 1.25, "path": "direct"},
        status__set=lambda params: {"status": params["status"]},
        node__info={
            "version": "0.1.0",
            "protocol": 1,
            "pid": 7,
            "home": "/home",
            "port": 4433,
            "incarnation": 1,
            "uptime_s": 5,
            "agents": 1,
            "connections": 1,
        },
        node__stop={"stopping": True},
        doctor={
            "checks": [
                make(node.Check, name="udp", ok=True, detail="bound"),
                make(node.Check, name="multicast", detail="nobody else here", hint="start another node"),
            ]
        },
    )


def _send(params: dict[str, Any]) -> dict[str, Any] | errors.P2PError:
    if params["to"] == "nobody":
        return errors.PeerUnknown("no peer is called nobody")
    if params["to"] == "nemo" and params["wait"]:
        return errors.SendFailed("the message to nemo failed: not accepted", id="m9")
    if params["wait"]:
        late = f"not {params['wait']} within {params['timeout']:g} s"
        return errors.SendUnconfirmed(late, hint="run: p2p-agents show m9", id="m9", accepted=True)
    key = params["id"] or "k0"
    waits = {"stranger": "awaits acceptance", "away": "peer is away"}.get(params["to"])
    return {
        "id": "m9",
        "cursor": f"c{len(params['text'])}",
        "state": "asked" if waits else "queued",
        "why": waits,
        "duplicate": key == "again",
        "key": key,
        "to": PARTY | {"name": params["to"]},
    }


def _add_bridge(params: dict[str, Any]) -> dict[str, Any] | errors.P2PError:
    if not params["address"].startswith("bridge://"):
        return errors.BadBridge()
    if params["token"] == "wrong":
        return errors.BridgeRefused("bridge.example:4433 does not admit this node without a token")
    return {"bridge": BRIDGE | {"token": bool(params["token"])}}


def _introduce(params: dict[str, Any]) -> dict[str, Any] | errors.P2PError:
    if params["other"] == "nobody":
        return errors.NotAContact("nobody has not let alice in yet")
    one, other = (PARTY | {"name": params[key]} for key in ("peer", "other"))
    sent = [{"id": "m8", "to": to, "about": about, "state": "queued"} for to, about in ((one, other), (other, one))]
    return {"introductions": sent}


def _allow(params: dict[str, Any]) -> dict[str, Any]:
    return {"listed": ALLOWED if params["peer"] == "bob" else ALLOWED | {"id": params["peer"], "name": None}}


async def _claim(params: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
    yield {"type": "claimed", "messages": UNREAD, "cursor": "c2", "more": False, "requests": 0}


def _wait(params: dict[str, Any]) -> dict[str, Any] | errors.P2PError:
    if params["requests"] and params["from"] is None:
        return {"messages": [], "cursor": "c1", "more": False, "requests": 1, "shared": False, "asking": [REQUEST]}
    if params["from"] == "bob":
        shared = params["reader"] == "crowd"
        return {"messages": UNREAD[:1], "cursor": "c1", "more": False, "requests": 0, "shared": shared}
    return errors.WaitTimeout(f"no message within {params['timeout']:g} s", cursor="c2")


def _show(params: dict[str, Any]) -> dict[str, Any] | errors.P2PError:
    if params["id"] != "m3":
        return errors.MessageUnknown()
    sent = message(3, "bye", state="queued", to=PARTY)
    waiting = make(
        messages.Recipient,
        **PARTY,
        device="dev234567890",
        state="queued",
        why="no link",
        time="2026-11-20T14:02:00Z",
    )
    return {"message": sent, "recipients": [waiting]}


def _start_pairing(params: dict[str, Any]) -> dict[str, Any] | errors.P2PError:
    if params["history"] == "a while":
        return errors.BadParams("history must be all, none, or days from 1 to 36500", param="history")
    if params["device"]:
        return SHOWN | {"id": "device", "purpose": "link", "link": None}
    withdrew = "7Q2MX" if params["petname"] == "second" else None
    return SHOWN | {"withdrew": withdrew} | ({"id": params["petname"]} if params["petname"] else {})


def _link(params: dict[str, Any]) -> dict[str, Any] | errors.P2PError:
    if params["name"] == "here":
        return errors.AlreadyHere()
    return {"agent": ALICE | ({"name": params["name"]} if params["name"] else {})}


def _join(params: dict[str, Any]) -> dict[str, Any] | errors.P2PError:
    if "coral" not in params["code"].lower() and not params["code"].startswith("P2PA:"):
        return errors.BadCode("'corel' is not a word of pairing codes; did you mean coral?", nearest=("coral",))
    if params["petname"] == "late":
        return errors.NobodyFound(f"nobody shows that code within {params['timeout']:g} s")
    if params["petname"] == "wrong":
        return errors.CodeWrong(left=2)
    return {"contact": CONTACT | {"trust": "paired", "petname": params["petname"]}, "trust": "paired"}


def _wait_for_pairing(params: dict[str, Any]) -> dict[str, Any] | errors.P2PError:
    """A code named `tried` is tried once in vain, one named `guessed` three times."""
    tries = {"tried": 1, "guessed": 3}.get(params["code"], 0)
    seen = params["seen"]
    if params["code"] == "device":
        return PAIR_STATUS | {"state": "paired", "device": LINKED}
    if seen < tries:
        return PAIR_STATUS | {"tries": 2 - seen, "wrong": WRONG_TRIES[: seen + 1]}
    return errors.CodeDead(hint="run: p2p-agents pair") if tries == 3 else PAIRED | {"wrong": WRONG_TRIES[:tries]}


async def _watch(params: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
    yield {"type": "ready", "cursor": params["after"] or "c0", "requests": 0}
    yield {"type": "message", "message": UNREAD[0]}
    yield {"type": "state", "id": "m3", "state": "delivered"}
    yield {"type": "request", **REQUEST}


async def _watch_peers(params: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
    yield {"type": "ready"}
    yield {"type": "peer", **BOB}
    yield {"type": "peer", **BOB, "last_seen": "2026-11-20T14:02:00Z", "attending": False}
    yield {"type": "peer", **BOB, "status": "idle"}
    await asyncio.sleep(0)
