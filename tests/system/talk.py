"""A conversation of two agents, and whether all of it arrived."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.system.harness import PATIENCE_S

if TYPE_CHECKING:
    from tests.system.harness import Agent

Said = dict[str, list[str]]


def exchange(alice: Agent, bob: Agent, count: int, said: Said | None = None) -> Said:
    """Each says so much more, in turns, waiting for nothing; what each has said so far, in order."""
    said = {alice.name: [], bob.name: []} if said is None else said
    for _ in range(count):
        for author, reader in ((alice, bob), (bob, alice)):
            text = f"{author.name} {len(said[author.name])}"
            author.send(reader, text)
            said[author.name].append(text)
    return said


def arrived(alice: Agent, bob: Agent, said: Said, within: float = PATIENCE_S * 2) -> None:
    """Everything said is delivered: each message once, in its author's order."""
    for author, reader in ((alice, bob), (bob, alice)):
        said[author.name].append(f"{author.name} {len(said[author.name])}, and that was all")
        author.send(reader, said[author.name][-1], wait="delivered", timeout=within)
    for author, reader in ((alice, bob), (bob, alice)):
        heard = [text for text in reader.everything() if text.startswith(f"{author.name} ")]
        assert heard == said[author.name]
        states = {it["state"] for it in author.call("history", to=reader.id, limit=1000)["messages"]}
        assert states <= {"delivered", "read"}
