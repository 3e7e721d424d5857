"""How far a name can be trusted: whether it belongs to the id that uses it, and with whose name it could be
confused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from p2p_agents.crypto.fingerprint import id_text
from p2p_agents.store import contacts
from p2p_agents.wire.names import skeleton

if TYPE_CHECKING:
    from p2p_agents.core.kernel.core import Core
    from p2p_agents.core.kernel.state import Hosted
    from p2p_agents.results.people import Party, Worth

Json = dict[str, Any]


class Names:
    """The names that one of our agents uses for others, for the length of one answer."""

    def __init__(self, core: Core, hosted: Hosted) -> None:
        self._core = core
        self._hosted = hosted
        self._own: dict[str, list[tuple[bytes, str]]] = {}  # our agents' names, by look
        self._told: dict[bytes, Party] = {}

    def of(self, agent: bytes) -> Party:
        """Id, name and how far the name can be trusted. A name that belongs to another is shown with a part of the
        id."""
        if agent not in self._told:
            self._told[agent] = self._of(agent)
        return self._told[agent]

    def _of(self, agent: bytes) -> Party:
        local = self._core.hosted_id(agent)
        if local is not None:
            return _party(agent, local.local.name, None, self.worth(agent, local.local.name))
        found = contacts.contact(self._core.db, self._hosted.local.id, agent)
        if found is None:
            return _party(agent, "", None, self.worth(agent, ""))
        worth = self.worth(agent, found.name, found.petname)
        is_anothers = (found.petname or not worth["pinned"]) and self._is_anothers(agent, found.name)
        name = f"{found.name}~{id_text(agent)[:6]}" if is_anothers else found.name
        return _party(agent, name, found.petname, worth)

    def worth(self, agent: bytes, name: str, petname: str | None = None) -> Worth:
        """`pinned`: the name is one we give, or the one under which this id was accepted (PROTOCOL E5); otherwise only
        the id identifies the peer. `like`: another agent's name that it could be confused with."""
        if petname or self._core.hosted_id(agent) is not None:
            return {"pinned": True, "like": None}
        pinned = bool(name) and contacts.pinned(self._core.db, self._hosted.local.id, name) == agent
        return {"pinned": pinned, "like": self._like(agent, name) if name else None}

    def _is_anothers(self, agent: bytes, name: str) -> bool:
        owner = contacts.pinned(self._core.db, self._hosted.local.id, name)
        return owner is not None and owner != agent

    def _like(self, agent: bytes, name: str) -> str | None:
        """The similar name among those in use: of our own agents, and those under which contacts were accepted or that
        we gave them."""
        look = skeleton(name)
        if not self._own:
            for hosted in self._core.hosted.values():
                self._own.setdefault(skeleton(hosted.local.name), []).append((hosted.local.agent, hosted.local.name))
        alike = [*self._own.get(look, ()), *contacts.names(self._core.db, self._hosted.local.id, look)]
        return next((known for owner, known in alike if owner != agent), None)


def _party(agent: bytes, name: str, petname: str | None, worth: Worth) -> Party:
    return {"id": id_text(agent), "name": name, "petname": petname, "pinned": worth["pinned"], "like": worth["like"]}
