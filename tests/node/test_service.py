"""The methods that wait: registered before they look, woken by events, limited in time."""

from __future__ import annotations

import asyncio
import os
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import pytest

from p2p_agents.conversation.direct import direct
from p2p_agents.core.api import commands
from p2p_agents.core.delivery import failures
from p2p_agents.core.kernel.effects import Asked, ForCallers
from p2p_agents.core.pairing.desk import Desk
from p2p_agents.crypto.fingerprint import id_text
from p2p_agents.errors import (
    AddressUnknown,
    NobodyFound,
    NotReachable,
    PairCancelled,
    PeerAmbiguous,
    PeerUnknown,
    SendFailed,
    SendUnconfirmed,
    WaitTimeout,
)
from p2p_agents.limits import PAGE
from p2p_agents.node.service import Bell, Calls
from p2p_agents.node.writer import Writer
from p2p_agents.store import contacts, outbox
from p2p_agents.store.contacts import Request, Trust
from tests.core.stage import DEFAULTS, asks, does, meet
from tests.shapes import check

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine

    from p2p_agents.core.kernel.core import Core

PATIENCE_S = 10.0


class Checked(Calls):
    """Checks every answer and event against the registry's declaration."""

    async def call(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        answer = await super().call(method, params)
        check(method, answer)
        return answer

    async def stream(self, method: str, params: dict[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        async with aclosing(super().stream(method, params)) as events:  # type: ignore[type-var]  # generators
            async for event in events:
                check(method, event)
                yield event


def play(core: Core, script: Callable[[Calls], Coroutine[Any, Any, Any]]) -> None:
    """Run the script against the methods over a real writer."""

    async def run() -> None:
        async def read(query: Callable[[Core], Any]) -> Any:
            return await writer.call(query)

        def happen(effects: list[Any]) -> None:
            for effect in effects:
                if isinstance(effect, ForCallers):
                    calls.happened(effect)

        writer = Writer(core, asyncio.get_running_loop(), happen, lambda: pytest.fail("the writer died"))
        calls = Checked(writer, read)
        writer.start()
        try:
            async with asyncio.timeout(PATIENCE_S):
                await script(calls)
        finally:
            await writer.stop()

    asyncio.run(run())


def params(**given: Any) -> dict[str, Any]:
    return DEFAULTS | {"wait": None, "timeout": PATIENCE_S} | given


def send(text: str = "hi", **given: Any) -> dict[str, Any]:
    return params(to="bob", text=text, **given)


def test_a_bell_rings_for_all_who_registered_and_for_nobody_later() -> None:
    """A7."""

    async def script() -> None:
        bell = Bell()
        first, second = bell.event("x"), bell.event("x")
        other = bell.event("y")
        bell.ring("x")
        assert first.is_set()
        assert second.is_set()
        assert not other.is_set()
        assert not bell.event("x").is_set()
        bell.ring("nobody waits for this")

    asyncio.run(script())


def test_a_wait_returns_at_once_what_is_unread(pair: Core) -> None:
    async def script(calls: Calls) -> None:
        await calls.call("send", send())
        page = await calls.call("wait", params(agent="bob", timeout=0.0))
        assert [it["text"] for it in page["messages"]] == ["hi"]

    play(pair, script)


def test_a_wait_is_woken_by_the_message(pair: Core) -> None:
    async def script(calls: Calls) -> None:
        waits = [asyncio.ensure_future(calls.call("wait", params(agent="bob"))) for _ in range(5)]  # noqa: TID251 - ours
        await calls.call("whoami", params())
        await calls.call("send", send())
        pages = await asyncio.gather(*waits)
        assert [page["messages"][0]["text"] for page in pages] == ["hi"] * 5

    play(pair, script)


def test_processes_that_wait_as_one_reader_are_told(pair: Core) -> None:
    """Each gets every message: callers that meant to share the work must be told."""

    async def script(calls: Calls) -> None:
        waits = [asyncio.ensure_future(calls.call("wait", params(agent="bob"))) for _ in range(3)]  # noqa: TID251 - ours
        await calls.call("whoami", params())
        await calls.call("send", send())
        assert [page["shared"] for page in await asyncio.gather(*waits)] == [True] * 3
        await calls.call("ack", params(agent="bob", cursor=None))
        alone = asyncio.ensure_future(calls.call("wait", params(agent="bob")))  # noqa: TID251 - ours
        await calls.call("whoami", params())
        night = await calls.call("wait", params(agent="bob", reader="night", new_reader=True))
        assert night["shared"] is False
        await calls.call("send", send())
        assert (await alone)["shared"] is False

    play(pair, script)


def test_a_claim_lasts_as_long_as_its_client(pair: Core) -> None:
    async def script(calls: Calls) -> None:
        await calls.call("send", send())
        mine, other = (calls.stream("claim", params(agent="bob")) for _ in range(2))
        async with aclosing(mine):  # type: ignore[type-var]  # it is a generator
            claimed = await anext(mine)
            assert (claimed["type"], len(claimed["messages"])) == ("claimed", 1)
            async with aclosing(other):  # type: ignore[type-var]  # it is a generator
                assert (await anext(other))["messages"] == []
        assert len((await calls.call("wait", params(agent="bob")))["messages"]) == 1

    play(pair, script)


def test_a_wait_that_ends_empty_names_where_to_go_on(pair: Core) -> None:
    async def script(calls: Calls) -> None:
        with pytest.raises(WaitTimeout) as ended:
            await calls.call("wait", params(agent="bob", timeout=0.0))
        await calls.call("send", send())
        page = await calls.call("wait", params(agent="bob", after=ended.value.details["cursor"]))
        assert [it["text"] for it in page["messages"]] == ["hi"]

    play(pair, script)


def test_a_wait_for_one_peer_sleeps_through_others(pair: Core) -> None:
    from tests.core.stage import hosts

    hosts(pair, "carol")

    async def script(calls: Calls) -> None:
        waiting = asyncio.ensure_future(calls.call("wait", params(agent="bob", **{"from": "carol"})))  # noqa: TID251 - ours
        await calls.call("send", send("from alice"))
        await calls.call("send", send("from carol", agent="carol"))
        assert [it["text"] for it in (await waiting)["messages"]] == ["from carol"]

    play(pair, script)


def readers(core: Core) -> int:
    return next(hosted.readers for hosted in core.hosted.values() if hosted.local.name == "bob")


def test_who_watches_is_attending_until_it_leaves(pair: Core) -> None:
    async def script(calls: Calls) -> None:
        async with aclosing(calls.stream("watch", params(agent="bob"))) as events:
            assert (await anext(events))["type"] == "ready"
            assert readers(pair) == 1
        await calls.call("whoami", params())
        assert readers(pair) == 0

    play(pair, script)


@pytest.mark.parametrize("turns", range(8))
def test_a_wait_given_up_at_any_moment_leaves_nobody_attending(pair: Core, turns: int) -> None:
    """A client may vanish between its request and the commit that counts it as a reader."""

    async def script(calls: Calls) -> None:
        waiting = asyncio.ensure_future(calls.call("wait", params(agent="bob")))  # noqa: TID251 - ours
        for _ in range(turns):
            await asyncio.sleep(0)
        if turns == 7:
            await calls.call("whoami", params())
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        for _ in range(3):  # the commit that counts, its news, the commit that uncounts
            await calls.call("whoami", params())
        assert readers(pair) == 0

    play(pair, script)


def test_a_send_may_wait_until_it_is_read(pair: Core) -> None:
    """B8, H3."""

    async def script(calls: Calls) -> None:
        sending = asyncio.ensure_future(calls.call("send", send(wait="read")))  # noqa: TID251 - ours
        page = await calls.call("wait", params(agent="bob"))
        await calls.call("ack", params(agent="bob", cursor=page["cursor"]))
        assert (await sending)["state"] == "read"

    play(pair, script)


def test_a_send_whose_wait_ran_out_stays_accepted(pair: Core) -> None:
    """H3, B10."""

    async def script(calls: Calls) -> None:
        with pytest.raises(SendUnconfirmed) as late:
            await calls.call("send", send(wait="read", timeout=0.0))
        told = late.value.details
        assert (told["accepted"], told["state"]) == (True, "delivered")
        again = await calls.call("send", send(id=told["key"]))
        assert (again["id"], again["duplicate"]) == (told["id"], True)
        assert told["id"] in late.value.hint
        assert not late.value.retryable

    play(pair, script)


def test_a_send_that_failed_says_why_at_once(pair: Core) -> None:
    """H3: a message that will never arrive is not a time-out."""
    peer = os.urandom(32)
    meet(pair, peer, "carol", "online")

    def refuse(core: Core) -> None:
        hosted = core.acting(None)
        for row in outbox.queued_for(core.db, hosted.local.id, direct(hosted.local.agent, peer).id, peer, PAGE):
            failures.void(core, hosted.local.id, row.id, row.entry, "not accepted")

    asks(pair, commands.send, to="carol", text="hi", id="k")
    does(pair, refuse)

    async def script(calls: Calls) -> None:
        with pytest.raises(SendFailed, match="the message to carol failed: not accepted") as failed:
            await calls.call("send", send(wait="delivered") | {"to": "carol", "id": "k"})
        assert failed.value.details["state"] == "failed"
        assert not failed.value.retryable

    play(pair, script)


def test_a_watch_tells_messages_and_states_in_order(pair: Core) -> None:
    async def script(calls: Calls) -> None:
        async with aclosing(calls.stream("watch", params())) as events:
            assert (await anext(events))["type"] == "ready"
            sent = await calls.call("send", send())
            await calls.call("inbox", params(agent="bob"))
            await calls.call("ack", params(agent="bob"))
            while (event := await anext(events))["type"] != "state" or event["state"] != "read":
                pass
            assert event["id"] == sent["id"]

    play(pair, script)


def ask(core: Core, name: str) -> bytes:
    """A stranger's request to alice becomes pending."""
    peer = os.urandom(32)
    alice = core.acting("alice").local.id
    contacts.save_request(core.db, alice, Request(peer, name, "human", b"e" * 32, "may I?", 0, "pending"))
    contacts.save_contact(core.db, alice, peer, name=name, kind="human", trust=Trust.REQUESTED, now_ms=0)
    core.effect(Asked(alice, peer))
    return peer


def test_a_request_is_told_to_watchers_and_ends_no_wait(pair: Core) -> None:
    """B11: a request is not a message: it is counted separately."""

    async def script(calls: Calls) -> None:
        async with aclosing(calls.stream("watch", params())) as events:
            assert (await anext(events))["requests"] == 0
            await calls._writer.call(lambda core: ask(core, "carol"))
            event = await anext(events)
            assert (event["type"], event["name"], event["text"]) == ("request", "carol", "may I?")
        with pytest.raises(WaitTimeout) as ended:
            await calls.call("wait", params(timeout=0.0))
        assert ended.value.details["requests"] == 1
        assert "requests list" in ended.value.hint
        assert (await calls.call("inbox", params()))["requests"] == 1
        assert (await calls.call("inbox", params(agent="bob")))["requests"] == 0

    play(pair, script)


def test_a_request_is_accepted_by_name_where_strangers_share_it(pair: Core) -> None:
    meet(pair, os.urandom(32), "carol")
    peer = does(pair, lambda core: ask(core, "carol"))
    with pytest.raises(PeerAmbiguous):
        asks(pair, commands.send, to="carol", text="which of you?")
    assert asks(pair, commands.accept, peer="carol")["contact"]["id"] == id_text(peer)


def test_a_slip_in_the_name_of_who_asks_is_answered_with_the_name(pair: Core) -> None:
    does(pair, lambda core: ask(core, "carol"))
    with pytest.raises(PeerUnknown) as refused:
        asks(pair, commands.accept, peer="carl")
    assert refused.value.hint == "did you mean carol? run: p2p-agents requests list"


def test_a_name_of_our_own_means_ourselves_until_another_was_accepted(pair: Core) -> None:
    """E5: nobody takes over a name, least of all our own."""
    peer = does(pair, lambda core: ask(core, "alice"))
    with pytest.raises(PeerUnknown, match="alice is the agent you act for"):
        asks(pair, commands.send, to="alice", text="hello, me?")
    assert asks(pair, commands.accept, peer="alice")["contact"]["id"] == id_text(peer)


def test_a_watch_from_the_start_tells_everything_once(pair: Core) -> None:
    async def script(calls: Calls) -> None:
        for number in range(120):
            await calls.call("send", send(str(number)))
        async with aclosing(calls.stream("watch", params(agent="bob", after="0"))) as events:
            await anext(events)
            heard = [(await anext(events))["message"]["text"] for _ in range(120)]
            await calls.call("send", send("live"))
            assert (await anext(events))["message"]["text"] == "live"
        assert heard == [str(number) for number in range(120)]

    play(pair, script)


def test_a_watch_of_peers_tells_a_change_once(pair: Core) -> None:
    async def script(calls: Calls) -> None:
        async with aclosing(calls.stream("peers.watch", params())) as events:
            assert (await anext(events))["type"] == "ready"
            first = await anext(events)
            assert (first["name"], first["status"]) == ("bob", "online")
            await calls.call("status.set", params(agent="bob", status="busy"))
            await calls.call("init", {"name": "carol", "kind": "other", "policy": "ask", "hidden": False})
            heard = {(event := await anext(events))["name"]: event["status"] for _ in range(2)}
            assert heard == {"bob": "busy", "carol": "online"}

    play(pair, script)


def test_a_ping_of_an_agent_next_door_needs_no_network(pair: Core) -> None:
    async def script(calls: Calls) -> None:
        pong = await calls.call("ping", params(to="bob"))
        assert (pong["path"], pong["to"]["name"]) == ("local", "bob")

    play(pair, script)


def test_an_address_where_nobody_answers(pair: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("p2p_agents.node.service.ADD_PEER_S", 0.05)

    async def script(calls: Calls) -> None:
        with pytest.raises(NotReachable, match="it is tried again") as caught:
            await calls.call("peers.add", params(address="192.0.2.9:9"))
        assert caught.value.hint == "to stop trying: p2p-agents peers remove 192.0.2.9:9"
        assert await calls.call("peers.remove", params(address="192.0.2.9:9")) == {"removed": ["192.0.2.9:9"]}
        assert contacts.places(pair.db) == []
        assert not pair.router.due(pair.now() + 3600.0)
        await calls.call("whoami", params())
        with pytest.raises(AddressUnknown, match="was not added"):
            await calls.call("peers.remove", params(address="192.0.2.9:9"))

    play(pair, script)


def test_a_search_finds_what_was_just_sent(pair: Core) -> None:
    async def script(calls: Calls) -> None:
        await calls.call("send", send("the quick fox"))
        found = await calls.call("search", params(text="quick"))
        assert [it["text"] for it in found["messages"]] == ["the quick fox"]

    play(pair, script)


# --- pair ---


def test_a_wait_for_a_pairing_ends_with_it_and_in_time(pair: Core) -> None:
    """A7, F1: woken by the end of the code, whatever it is; a code that stays valid is a timeout."""

    async def script(calls: Calls) -> None:
        shown = await calls.call("pair.start", params(petname=None, addresses=(), device=False, history="30"))
        with pytest.raises(WaitTimeout):
            await calls.call("pair.wait", params(code=shown["id"], timeout=0.0))
        waiting = asyncio.ensure_future(calls.call("pair.wait", params(code=shown["id"])))  # noqa: TID251 - ours
        await calls.call("pair.cancel", params(code=shown["id"]))
        with pytest.raises(PairCancelled):
            await waiting

    play(pair, script)


def test_a_joiner_who_hangs_up_gives_the_attempt_up(pair: Core) -> None:
    """F1: and a joiner that finds nobody is told so in time."""

    async def script(calls: Calls) -> None:
        code = params(code="coral-fiddle-00000", petname=None)
        with pytest.raises(NobodyFound):
            await calls.call("pair.join", code | {"timeout": 0.0})
        joining = asyncio.ensure_future(calls.call("pair.join", code))  # noqa: TID251 - ours
        await asyncio.sleep(0)
        await calls.call("whoami", params())
        assert len(pair.of(Desk).joins) == 1
        joining.cancel()
        await asyncio.gather(joining, return_exceptions=True)
        await calls.call("whoami", params())
        assert pair.of(Desk).joins == {}

    play(pair, script)
