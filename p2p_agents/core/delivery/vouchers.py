"""Entries of a revoked device travel with a cut by a live device, in the same payload (PROTOCOL E3)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from p2p_agents.conversation.record import read_item
from p2p_agents.crypto.cuts import allowed, read_cut, sign_cut
from p2p_agents.errors import PeerFault

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from p2p_agents.conversation.record import Record
    from p2p_agents.core.kernel.core import Core
    from p2p_agents.core.kernel.state import Link
    from p2p_agents.crypto.cuts import Cut
    from p2p_agents.crypto.identity import Identity
    from p2p_agents.store.outbox import Owed
    from p2p_agents.wire.payload import Item, Payload

log = logging.getLogger(__name__)


def cuts(core: Core, link: Link, owed: Sequence[Owed]) -> tuple[bytes, ...]:
    """Cuts which say that we hold these entries, for those that a revoked device of ours wrote."""
    speaker = core.host(link.agent).speaker
    identity = speaker.identity
    if not identity.revoked or link.peer == identity.agent:
        return ()
    written: dict[tuple[bytes, bytes], list[bytes]] = {}
    for device in identity.revoked:
        for each in owed:
            if each.device == device:
                written.setdefault((device, each.conversation), []).append(each.entry)
    return tuple(sign_cut(speaker.key, identity.agent, *place, held) for place, held in written.items())


def believed(link: Link, payload: Payload) -> frozenset[bytes]:
    """The entries of this payload that its cuts cover, by hash."""
    assert link.identity is not None
    found = list(_cuts(link.identity, payload.cuts))
    records = [record for item in payload.items if (record := _record(item)) is not None]
    return frozenset(r.hash for r in records if _is_covered(link.identity, r, records, found))


def _is_covered(identity: Identity, r: Record, records: Sequence[Record], found: Sequence[Cut]) -> bool:
    parents = {other.hash: other.prev for other in records if other.device == r.device}
    return allowed(identity, r.device, r.conversation, r.hash, parents, found)


def _cuts(identity: Identity, signed: Sequence[bytes]) -> Iterator[Cut]:
    for each in signed:
        try:
            yield read_cut(each, identity)
        except PeerFault as fault:  # the entries it should cover are refused
            log.info("a cut of %s does not hold: %s", identity.agent.hex()[:12], fault.message)


def _record(item: Item) -> Record | None:
    try:
        return read_item(item)
    except PeerFault:  # reported in the item's verdict
        return None
